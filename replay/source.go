package replay

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/yirifi/flywheel/replay/predict"
)

const (
	// maxFile is the largest file that is retyped, in bytes, and maxLine the longest
	// line that a person would have written.
	maxFile = 200_000
	maxLine = 400
	// headLines is how far from the top a file says that it was generated.
	headLines = 30
)

// language returns how editors name the language of a file, or "" for a file that
// is not known to be source code.
func language(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".go":
		return "go"
	case ".py":
		return "python"
	case ".js", ".mjs", ".cjs":
		return "javascript"
	case ".jsx":
		return "javascriptreact"
	case ".ts":
		return "typescript"
	case ".tsx":
		return "typescriptreact"
	case ".java":
		return "java"
	case ".kt":
		return "kotlin"
	case ".rs":
		return "rust"
	case ".c", ".h":
		return "c"
	case ".cc", ".cpp", ".cxx", ".hpp":
		return "cpp"
	case ".cs":
		return "csharp"
	case ".rb":
		return "ruby"
	case ".php":
		return "php"
	case ".swift":
		return "swift"
	case ".scala":
		return "scala"
	case ".lua":
		return "lua"
	case ".sh", ".bash":
		return "shellscript"
	case ".sql":
		return "sql"
	case ".proto":
		return "proto3"
	case ".md":
		return "markdown"
	case ".yaml", ".yml":
		return "yaml"
	case ".html":
		return "html"
	case ".css":
		return "css"
	}
	return ""
}

// tree is a folder of source code, split into files that are retyped and files that
// models are trained on: never both, so that no model has seen what it predicts.
type tree struct {
	root string
	// retyped and training hold paths below root, in an order drawn from the seed.
	retyped, training []string
	// trainedOn holds the paths of the files in the corpus.
	trainedOn []string
}

// openTree lists the files of a folder.
func openTree(ctx context.Context, cfg Config) (*tree, error) {
	root, err := sourceRoot(ctx, cfg.Source)
	if err != nil {
		return nil, err
	}
	t := &tree{root: root}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && skipFolder(entry.Name(), cfg.TestData) {
				return fs.SkipDir
			}
			return ctx.Err()
		}
		if !entry.Type().IsRegular() || language(path) == "" {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if hash(cfg.Seed, "split", filepath.ToSlash(relative))%2 == 0 {
			t.training = append(t.training, relative)
		} else {
			t.retyped = append(t.retyped, relative)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list source folder: %w", err)
	}
	shuffle(cfg.Seed, "retyped", t.retyped)
	shuffle(cfg.Seed, "training", t.training)
	if len(t.retyped) == 0 {
		t.retyped, t.training = t.training, nil
	}
	if len(t.retyped) == 0 {
		return nil, fmt.Errorf("source folder %s: it holds no source code of a known language", root)
	}
	t.retyped = slices.DeleteFunc(t.retyped, func(path string) bool { return !cfg.Part.holds(cfg.Seed, path) })
	if len(t.retyped) == 0 {
		return nil, fmt.Errorf("source folder %s: part %s holds no file: have fewer parts", root, cfg.Part)
	}
	return t, nil
}

// sourceRoot returns the folder to retype: the given one, or that of Go's own
// source code.
func sourceRoot(ctx context.Context, source string) (string, error) {
	if source != "" {
		info, err := os.Stat(source)
		if err != nil {
			return "", fmt.Errorf("open source folder: %w", err)
		}
		if !info.IsDir() {
			return "", fmt.Errorf("open source folder: %s is not a folder", source)
		}
		return filepath.Abs(source)
	}
	goroot := os.Getenv("GOROOT")
	if goroot == "" {
		out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return "", fmt.Errorf("find the Go tree (give a source folder instead): %w", err)
		}
		goroot = strings.TrimSpace(string(out))
	}
	return filepath.Join(goroot, "src"), nil
}

func skipFolder(name string, testData bool) bool {
	switch name {
	case "vendor", "node_modules", "third_party", "dist", "build", "target":
		return true
	case "testdata":
		return !testData
	}
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// read returns the lines of a file, or nothing for one that no person typed: too
// large, binary, generated, or with other line ends than a line feed.
func (t *tree) read(path string) ([]string, error) {
	info, err := os.Stat(filepath.Join(t.root, path))
	if err != nil {
		return nil, fmt.Errorf("read source file: %w", err)
	}
	if info.Size() > maxFile {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(t.root, path))
	if err != nil {
		return nil, fmt.Errorf("read source file: %w", err)
	}
	return linesOf(data), nil
}

func linesOf(data []byte) []string {
	text, complete := bytes.CutSuffix(data, []byte("\n"))
	if !complete || len(data) > maxFile || !utf8.Valid(text) || bytes.ContainsAny(text, "\x00\r") {
		return nil
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if len(line) > maxLine || i < headLines && generated(line) {
			return nil
		}
	}
	return lines
}

func generated(line string) bool {
	return strings.Contains(line, "DO NOT EDIT") || strings.Contains(line, "@generated") ||
		strings.Contains(line, "AUTO-GENERATED")
}

// corpus reads training text up to a number of bytes.
func (t *tree) corpus(ctx context.Context, limit int) (predict.Corpus, error) {
	var corpus predict.Corpus
	size := 0
	for _, path := range t.training {
		if size >= limit {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		lines, err := t.read(path)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			size += len(line) + 1
		}
		if len(lines) > 0 {
			corpus, t.trainedOn = append(corpus, lines), append(t.trainedOn, path)
		}
	}
	return corpus, nil
}

// hash mixes a seed and texts into a number that is the same on every machine.
func hash(seed uint64, texts ...string) uint64 {
	h := fnv.New64a()
	for shift := 0; shift < 64; shift += 8 {
		_, _ = h.Write([]byte{byte(seed >> shift)})
	}
	for _, text := range texts {
		_, _ = h.Write([]byte(text))
		_, _ = h.Write([]byte{0})
	}
	// FNV mixes its last bytes badly: finish as MurmurHash3 does.
	sum := h.Sum64()
	sum = (sum ^ sum>>33) * 0xff51afd7ed558ccd
	sum = (sum ^ sum>>33) * 0xc4ceb9fe1a85ec53
	return sum ^ sum>>33
}

func shuffle[T any](seed uint64, purpose string, items []T) {
	rng := rand.New(rand.NewPCG(seed, hash(seed, purpose)))
	rng.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
}
