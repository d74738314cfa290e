package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// documents are the pages whose commands, targets and links are checked.
func documents(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	return append(pages, filepath.Join(root, "README.md"))
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDocumentedCommandsParse checks that every flywheel command line in the
// documents is one that the program understands.
func TestDocumentedCommandsParse(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^\s*(?:\./bin/|\$ )?flywheel ([a-z][^#|>\n]*)`)
	found := 0
	for _, page := range documents(t) {
		for _, match := range line.FindAllStringSubmatch(fenced(read(t, page)), -1) {
			found++
			args := splitWords(match[1])
			var out, errs bytes.Buffer
			if _, err := parse(args, &out, &errs); err != nil {
				t.Errorf("%s: flywheel %s: %v", page, match[1], err)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d commands found in the documents", found)
	}
}

// TestDocumentedTargetsExist checks every "make x" in the documents.
func TestDocumentedTargetsExist(t *testing.T) {
	t.Parallel()
	makefile := read(t, filepath.Join(root, "Makefile"))
	target := regexp.MustCompile("(?m)(?:^|`)make ([a-z][a-z-]*)")
	for _, page := range documents(t) {
		for _, match := range target.FindAllStringSubmatch(read(t, page), -1) {
			if !regexp.MustCompile(`(?m)^` + match[1] + `:`).MatchString(makefile) {
				t.Errorf("%s: make %s is no target", page, match[1])
			}
		}
	}
}

// TestDocumentedLinksExist checks the links between files.
func TestDocumentedLinksExist(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, page := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s: link to %s: %v", page, match[1], err)
			}
		}
	}
}

// TestReadmeExampleBuilds builds the program in the README.
func TestReadmeExampleBuilds(t *testing.T) {
	t.Parallel()
	_, rest, found := strings.Cut(read(t, filepath.Join(root, "README.md")), "```go\n")
	program, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("no Go program in the README")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "example"), file)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// fenced returns the fenced blocks of a page.
func fenced(page string) string {
	parts := strings.Split(page, "```")
	var blocks []string
	for i, part := range parts {
		if i%2 == 1 {
			blocks = append(blocks, part)
		}
	}
	return strings.Join(blocks, "\n")
}

// splitWords splits a command line at spaces outside single quotes.
func splitWords(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return slices.DeleteFunc(words, func(word string) bool { return word == "" })
}
