package files_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/yirifi/flywheel/trainset/files"
)

// store is an S3 server in this process.
type store struct {
	backend gofakes3.Backend
	address string
}

func newStore(t *testing.T) store {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("sets"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return store{backend: backend, address: server.URL}
}

// open opens the bucket as its users do: by the usual variables.
func (s store) open(t *testing.T, prefix string) *files.Bucket {
	t.Helper()
	cfg, err := files.BucketFromEnvironment("s3://sets/"+prefix, func(name string) string {
		return map[string]string{
			"AWS_ENDPOINT_URL": s.address, "AWS_REGION": "eu-central-1",
			"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
		}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := files.NewBucket(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// contents are the objects under a prefix.
func (s store) contents(t *testing.T, prefix string) map[string]string {
	t.Helper()
	list, err := s.backend.ListBucket("sets", &gofakes3.Prefix{}, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, object := range list.Contents {
		name, found := strings.CutPrefix(object.Key, prefix+"/")
		if !found {
			continue
		}
		got, err := s.backend.GetObject("sets", object.Key, nil)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(got.Contents); err != nil {
			t.Fatal(err)
		}
		all[name] = text.String()
	}
	return all
}

// TestBucketAsFolder checks that a bucket gets the files that a folder gets, also when
// the export is interrupted.
func TestBucketAsFolder(t *testing.T) {
	t.Parallel()
	rows := randomRows(1500)
	cfg := config(files.Parquet)
	folder, path := newFolder(t)
	if _, err := export(t.Context(), folder, cfg, rows, 200); err != nil {
		t.Fatal(err)
	}
	want := contents(t, path)
	s := newStore(t)
	if _, err := export(t.Context(), s.open(t, "a/b"), cfg, rows, 200); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, s.contents(t, "a/b")); diff != "" {
		t.Error(diff)
	}
	r := rand.New(rand.NewPCG(1, 1))
	interruptions := 0
	for _, prefix := range []string{"c", "d", "e", "f"} {
		interruptions += interrupted(t, s.open(t, prefix), cfg, rows, r)
		if different := differences(want, s.contents(t, prefix)); different != nil {
			t.Errorf("%v differ", different)
		}
	}
	if interruptions < 5 {
		t.Errorf("%d interruptions only", interruptions)
	}
}

// TestBucketFile checks uploads of several parts: whole at once, or not at all.
func TestBucketFile(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	bucket := s.open(t, "set")
	content := bytes.Repeat([]byte("0123456789abcdef"), 3<<20) // three parts of 16 MB
	for name, commit := range map[string]bool{"committed": true, "aborted": false} {
		file, err := bucket.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(content); err != nil {
			t.Fatal(err)
		}
		if _, err := bucket.Read(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there before it is complete: %v", name, err)
		}
		finish := file.Abort
		if commit {
			finish = file.Commit
		}
		if err := finish(); err != nil {
			t.Fatal(err)
		}
		got, err := bucket.Read(t.Context(), name)
		if commit != (err == nil && bytes.Equal(got, content)) || !commit && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestBucketClean checks that uploads which a killed writer left are ended, and only
// those under the prefix.
func TestBucketClean(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	begun := map[string]files.File{}
	for _, prefix := range []string{"set", "set2"} {
		ctx := context.WithoutCancel(t.Context())
		file, err := s.open(t, prefix).Create(ctx, "data/train-00000.parquet")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(make([]byte, 40<<20)); err != nil { // two parts are there
			t.Fatal(err)
		}
		begun[prefix] = file
	}
	if err := s.open(t, "set").Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := begun["set"].Commit(); err == nil {
		t.Error("an upload that was ended could be completed")
	}
	if err := begun["set2"].Commit(); err != nil {
		t.Errorf("another prefix: %v", err)
	}
}

func TestBucketAddresses(t *testing.T) {
	t.Parallel()
	getenv := func(string) string { return "" }
	for _, address := range []string{"", "bucket", "http://bucket/prefix", "s3:///prefix"} {
		if _, err := files.BucketFromEnvironment(address, getenv); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
	want := files.BucketConfig{Bucket: "bucket", Prefix: "a/b"}
	if got, err := files.BucketFromEnvironment("s3://bucket/a/b/", getenv); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	s := newStore(t)
	for _, cfg := range []files.BucketConfig{
		{Endpoint: "localhost:9000", Bucket: "sets"},
		{Endpoint: s.address, Bucket: "missing", AccessKey: "key", SecretKey: "secret"},
	} {
		if _, err := files.NewBucket(t.Context(), cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
