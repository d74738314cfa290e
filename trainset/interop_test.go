package trainset_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset"
	"github.com/yirifi/flywheel/trainset/files"
)

// TestInterop writes training sets that the service made for testdata/interop/check.py,
// which reads them with the trainers' libraries: their Parquet files are ClickHouse's.
// `make test-interop` runs both.
func TestInterop(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("FLYWHEEL_INTEROP_DIR")
	if folder == "" {
		t.Skip("writes only where FLYWHEEL_INTEROP_DIR says; make test-interop sets it")
	}
	s := newStore(t)
	s.fill(1400)
	for n := range 20 {
		s.session(n, 2,
			step{kind: "message", role: "user", text: "Fix it."},
			step{kind: "tool_call", call: "a", tool: "read", arguments: `{"path": "x.go", "lines": [1, 2]}`, text: "package x", seconds: 3},
			step{kind: "tool_call", call: "b", tool: "run", arguments: "go test", decision: "denied", seconds: 20},
			step{kind: "message", role: "assistant", text: "Done.", seconds: 30})
	}
	for _, format := range []flywheelv1.TrainingFormat{supervised, preference, unpaired, reward, signals, messages, openAIChat, openAIPairs} {
		set := s.create(&flywheelv1.CreateTrainingSetRequest{
			Format: format, Split: &flywheelv1.Split{Unit: flywheelv1.SplitUnit_SPLIT_UNIT_SESSION, Validation: 2000, Test: 2000},
		})
		for name, encoding := range map[string]flywheelv1.FileEncoding{
			"jsonl": flywheelv1.FileEncoding_FILE_ENCODING_JSONL, "parquet": flywheelv1.FileEncoding_FILE_ENCODING_PARQUET,
		} {
			made := strings.ToLower(strings.TrimPrefix(format.String(), "TRAINING_FORMAT_"))
			sink, err := files.NewFolder(filepath.Join(folder, "made_"+made+"-"+name))
			if err != nil {
				t.Fatal(err)
			}
			d := &trainset.Download{TrainingSetID: set.GetTrainingSetId(), Encoding: encoding.String(), ShardBytes: 50_000}
			if err := d.Run(t.Context(), s, sink, func(uint64, uint64) {}); err != nil {
				t.Fatalf("%s: %v", made, err)
			}
		}
	}
}
