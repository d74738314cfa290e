package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

const envPrefix = "FLYWHEEL"

// libraryVariable is read by the engine, not by a flag.
const libraryVariable = "FLYWHEEL_LIBCHDB"

// configFile resolves flags from a YAML file.
type configFile struct {
	path   string
	values map[string]any
}

func loadFile(path string) (*configFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	file := &configFile{path: path}
	if err := yaml.Unmarshal(data, &file.values); err != nil {
		return nil, fmt.Errorf("read settings of %s: %w", path, err)
	}
	return file, nil
}

// Validate refuses keys that are no setting of any command, so that a misspelt
// one is not passed over.
func (f *configFile) Validate(model *kong.Application) error {
	known := flagNames(model.Node)
	for _, key := range slices.Sorted(maps.Keys(f.values)) {
		if !known[key] || key == "config" {
			return fmt.Errorf("%s: unknown setting %q: keys are the long flag names, see flywheel COMMAND --help", f.path, key)
		}
	}
	return nil
}

// Resolve returns the file's value for a flag, or nil.
func (f *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	switch value := f.values[flag.Name].(type) {
	case nil:
		return nil, nil
	case []any:
		parts := make([]string, len(value))
		for i, v := range value {
			parts[i] = fmt.Sprint(v)
		}
		return strings.Join(parts, ","), nil
	case map[string]any:
		return nil, fmt.Errorf("%s: setting %q is a map; a single value or a list is needed", f.path, flag.Name)
	default:
		return fmt.Sprint(value), nil
	}
}

// flagNames collects the long names of the flags of a command and all below it.
func flagNames(node *kong.Node) map[string]bool {
	names := map[string]bool{}
	for _, flag := range node.Flags {
		names[flag.Name] = true
	}
	for _, child := range node.Children {
		maps.Copy(names, flagNames(child))
	}
	return names
}

// checkEnvironment refuses FLYWHEEL_ variables that are no setting.
func checkEnvironment(model *kong.Application, environ []string) error {
	known := map[string]bool{libraryVariable: true}
	for name := range flagNames(model.Node) {
		known[envPrefix+"_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = true
	}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, envPrefix+"_") && !known[name] {
			return fmt.Errorf("unknown setting %s in the environment: names are %s_ and a flag's name in capitals, see flywheel COMMAND --help", name, envPrefix)
		}
	}
	return nil
}
