// Package telemetry is how a process is watched: its metrics in the form of Prometheus,
// whether it is ready, and profiles of it, all on one HTTP address for those who run it,
// and its spans, which go to a receiver of OpenTelemetry's protocol.
// Roles know nothing of it: they count, and are read when somebody asks.
package telemetry
