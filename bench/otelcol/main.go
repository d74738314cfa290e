// Command otelcol is the OpenTelemetry Collector with what it takes to bring log records
// from gRPC into ClickHouse, with a queue in memory or on disk: the peer that the benchmark measures Flywheel against. It is
// built from the collector's public modules alone.
package main

import (
	"fmt"
	"os"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/clickhouseexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

func main() {
	command := otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "otelcol", Description: "OpenTelemetry Collector", Version: "0.161.0"},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory()},
			DefaultScheme:     "file",
		}},
	})
	if err := command.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "otelcol:", err)
		os.Exit(1)
	}
}

// factories are the parts of the collector that its configuration can name.
func factories() (otelcol.Factories, error) {
	return otelcol.Factories{
		Extensions: map[component.Type]extension.Factory{component.MustNewType("file_storage"): filestorage.NewFactory()},
		Receivers:  map[component.Type]receiver.Factory{component.MustNewType("otlp"): otlpreceiver.NewFactory()},
		Processors: map[component.Type]processor.Factory{component.MustNewType("batch"): batchprocessor.NewFactory()},
		Exporters:  map[component.Type]exporter.Factory{component.MustNewType("clickhouse"): clickhouseexporter.NewFactory()},
		Telemetry:  otelconftelemetry.NewFactory(),
	}, nil
}
