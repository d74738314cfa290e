package files

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Card is what the dataset card says besides what the manifest knows. Everything may be
// left out.
type Card struct {
	// PrettyName is the title.
	PrettyName string
	// License, Languages, TaskCategories and Tags are in the words of the hubs, for
	// example apache-2.0, en, text-generation.
	License                         string
	Languages, TaskCategories, Tags []string
	// About says what the set is, Selection how its rows were chosen, in Markdown.
	About, Selection string
}

// header is the YAML that dataset hubs and the Python library datasets read.
type header struct {
	PrettyName     string     `yaml:"pretty_name,omitempty"`
	License        string     `yaml:"license,omitempty"`
	Language       []string   `yaml:"language,omitempty"`
	TaskCategories []string   `yaml:"task_categories,omitempty"`
	Tags           []string   `yaml:"tags,omitempty"`
	SizeCategories []string   `yaml:"size_categories"`
	Configs        []dataset  `yaml:"configs,omitempty"`
	Info           infoHeader `yaml:"dataset_info"`
}

type dataset struct {
	Name  string      `yaml:"config_name"`
	Files []dataFiles `yaml:"data_files"`
}

type dataFiles struct {
	Split string `yaml:"split"`
	Path  string `yaml:"path"`
}

type infoHeader struct {
	Features     []yaml.Node   `yaml:"features"`
	Splits       []splitHeader `yaml:"splits"`
	DownloadSize int64         `yaml:"download_size"`
	DatasetSize  int64         `yaml:"dataset_size"`
}

type splitHeader struct {
	Name        string `yaml:"name"`
	NumBytes    int64  `yaml:"num_bytes"`
	NumExamples int64  `yaml:"num_examples"`
}

// card is the text of [CardFile].
func (m *Manifest) card(c *Card) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("---\n")
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(m.header(c)); err != nil {
		return nil, fmt.Errorf("encode header of %s: %w", CardFile, err)
	}
	b.WriteString("---\n\n")
	m.text(&b, c)
	return b.Bytes(), nil
}

func (m *Manifest) header(c *Card) header {
	h := header{
		PrettyName: c.PrettyName, License: c.License, Language: c.Languages,
		TaskCategories: c.TaskCategories, Tags: c.Tags, SizeCategories: []string{sizeCategory(m.Total.Rows)},
		Info: infoHeader{DownloadSize: m.Total.Bytes, DatasetSize: m.Total.NumBytes},
	}
	for i := range m.Schema {
		h.Info.Features = append(h.Info.Features, *m.feature(&m.Schema[i]))
	}
	var found []dataFiles
	for _, split := range m.Splits {
		if split.Rows == 0 { // a pattern without files is an error to readers
			continue
		}
		found = append(found, dataFiles{Split: split.Split, Path: "data/" + split.Split + "-*"})
		h.Info.Splits = append(h.Info.Splits, splitHeader{
			Name: split.Split, NumBytes: split.NumBytes, NumExamples: split.Rows,
		})
	}
	if found != nil {
		h.Configs = []dataset{{Name: "default", Files: found}}
	}
	return h
}

// feature describes a field as the library datasets does: {name, dtype} for a value,
// {name, struct: [...]} and {name, list: ...} for nested ones.
func (m *Manifest) feature(f *Field) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	if f.Name != "" {
		node.Content = append(node.Content, scalar("name"), scalar(f.Name))
	}
	node.Content = append(node.Content, m.dtype(f)...)
	return node
}

// dtype is the key and the value that say a field's type.
func (m *Manifest) dtype(f *Field) []*yaml.Node {
	switch f.Kind {
	case Struct:
		return []*yaml.Node{scalar("struct"), m.features(f.Fields)}
	case List:
		element := m.dtype(&f.Fields[0])
		switch element[0].Value {
		case "list":
			return []*yaml.Node{scalar("list"), {Kind: yaml.MappingNode, Content: element}}
		default: // the value of a dtype or the fields of a struct
			return []*yaml.Node{scalar("list"), element[1]}
		}
	case Timestamp:
		return []*yaml.Node{scalar("dtype"), scalar("timestamp[us, tz=UTC]")}
	case JSON:
		// In Parquet it is text, which the library then parses.
		return []*yaml.Node{scalar("dtype"), scalar("json")} // since datasets 4.7
	default: // string, bool, int64, float64
		return []*yaml.Node{scalar("dtype"), scalar(string(f.Kind))}
	}
}

func (m *Manifest) features(fields []Field) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range fields {
		list.Content = append(list.Content, m.feature(&fields[i]))
	}
	return list
}

func scalar(s string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(s)
	return node
}

// sizeCategory is the hubs' word for a number of rows.
func sizeCategory(rows int64) string {
	limits := []struct {
		rows int64
		name string
	}{
		{1e3, "n<1K"},
		{1e4, "1K<n<10K"},
		{1e5, "10K<n<100K"},
		{1e6, "100K<n<1M"},
		{1e7, "1M<n<10M"},
		{1e8, "10M<n<100M"},
		{1e9, "100M<n<1B"},
	}
	for _, limit := range limits {
		if rows < limit.rows {
			return limit.name
		}
	}
	return "1B<n<10B"
}

// text writes what people read.
func (m *Manifest) text(b *bytes.Buffer, c *Card) {
	title := c.PrettyName
	if title == "" {
		title = "Training set"
	}
	fmt.Fprintf(b, "# %s\n\n", title)
	section(b, "", c.About)
	if c.About != "" {
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "Made by Flywheel %s from everything before %s, with version %d of the definition of label and reward.\n",
		m.Version, m.Watermark.Format(time.RFC3339), m.Definition)
	fmt.Fprintf(b, "`%s` has the request, every counter, and the SHA-256 of each file.\n", ManifestFile)
	section(b, "\n## How the rows were chosen\n\n", c.Selection)
	b.WriteString("\n## Columns\n\n| column | type | meaning |\n|---|---|---|\n")
	columns(b, "", m.Schema)
	m.counts(b)
}

func section(b *bytes.Buffer, title, text string) {
	if text != "" {
		fmt.Fprintf(b, "%s%s\n", title, strings.TrimSpace(text))
	}
}

func columns(b *bytes.Buffer, path string, fields []Field) {
	for i := range fields {
		f := &fields[i]
		kind := string(f.Kind)
		if f.Nullable {
			kind += ", or none"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", path, f.Name, kind, cell(f.Doc))
		below := path + f.Name + "."
		for f.Kind == List {
			f = &f.Fields[0]
			below = strings.TrimSuffix(below, ".") + "[]."
		}
		columns(b, below, f.Fields)
	}
}

// cell makes a text fit for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

// counts writes the tables of rows by split and label, and of the quality counters.
func (m *Manifest) counts(b *bytes.Buffer) {
	labels := slices.Sorted(maps.Keys(m.Total.Labels))
	b.WriteString("\n## Counts\n\n| split | rows |")
	for _, label := range labels {
		fmt.Fprintf(b, " %s |", cell(label))
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(labels)) + "\n")
	for _, split := range m.Splits {
		fmt.Fprintf(b, "| %s | %d |", split.Split, split.Rows)
		for _, label := range labels {
			fmt.Fprintf(b, " %d |", split.Labels[label])
		}
		b.WriteString("\n")
	}
	if len(m.Quality) == 0 {
		return
	}
	b.WriteString("\n## Quality\n\n| counter | rows |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(m.Quality)) {
		fmt.Fprintf(b, "| %s | %d |\n", cell(name), m.Quality[name])
	}
}
