package engine

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed config.xml.tmpl
var configTemplate string

//go:embed users.xml.tmpl
var usersTemplate string

// settings are what the engine's configuration files are made from.
type settings struct {
	Dir         string
	TCPPort     int
	HTTPPort    int
	Password    string
	MemoryLimit uint64
	Cluster     *Cluster
}

// writeConfig writes the engine's configuration into its data folder, readable by
// the owner only since it holds the password, and returns the main file's path.
func writeConfig(dir string, s settings) (string, error) {
	s.Dir = filepath.Join(dir, "config")
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return "", fmt.Errorf("write configuration of ClickHouse: %w", err)
	}
	for name, text := range map[string]string{"config.xml": configTemplate, "users.xml": usersTemplate} {
		tmpl, err := template.New(name).Parse(text)
		if err != nil {
			return "", fmt.Errorf("write configuration of ClickHouse: %w", err)
		}
		var out strings.Builder
		if err := tmpl.Execute(&out, s); err != nil {
			return "", fmt.Errorf("write configuration of ClickHouse: %w", err)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(out.String()), 0o600); err != nil {
			return "", fmt.Errorf("write configuration of ClickHouse: %w", err)
		}
	}
	return filepath.Join(s.Dir, "config.xml"), nil
}
