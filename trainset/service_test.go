package trainset_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// TestRefused asks for what cannot be: every field that is wrong is named.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	type request = flywheelv1.CreateTrainingSetRequest
	type selection = flywheelv1.TrainingSelection
	yesterday := timestamppb.New(time.Now().Add(-24 * time.Hour))
	for name, test := range map[string]struct {
		req    *request
		fields string
	}{
		"nothing":        {&request{}, "format"},
		"format":         {&request{Format: 99}, "format"},
		"name":           {&request{Format: supervised, Name: strings.Repeat("x", 200)}, "name"},
		"empty range":    {&request{Format: supervised, Selection: &selection{From: yesterday, To: yesterday}}, "selection.to"},
		"rewards":        {&request{Format: supervised, Selection: &selection{MinReward: new(int32(10_001)), MinRetention: 20_000}}, "selection.min_retention selection.min_reward"},
		"label":          {&request{Format: supervised, Selection: &selection{Labels: []flywheelv1.Outcome{77}}}, "selection.labels[0]"},
		"filter":         {&request{Format: supervised, Selection: &selection{Filters: []*flywheelv1.Filter{{}}}}, "selection.filters[0].dimension selection.filters[0].values"},
		"shares":         {&request{Format: supervised, Split: &flywheelv1.Split{Validation: 6_000, Test: 6_000}}, "split.test"},
		"unit":           {&request{Format: supervised, Split: &flywheelv1.Split{Unit: 9}}, "split.unit"},
		"near":           {&request{Format: supervised, Quality: &flywheelv1.Quality{NearDuplicateBits: 30}}, "quality.near_duplicate_bits"},
		"tokenizer":      {&request{Format: supervised, Quality: &flywheelv1.Quality{MaxTokens: 1, Encoding: "words"}}, "quality.encoding"},
		"no text":        {&request{Format: signals, Quality: &flywheelv1.Quality{MaxTokens: 1}}, "quality"},
		"sessions":       {&request{Format: messages, Selection: &selection{MinRetention: 1, Filters: []*flywheelv1.Filter{{Dimension: flywheelv1.Dimension_DIMENSION_LANGUAGE, Values: []string{"go"}}}}}, "selection.min_retention selection.filters[0].dimension"},
		"no SQL":         {&request{Format: supervised, Selection: &selection{Predicate: "reward >"}}, "selection.predicate"},
		"no column":      {&request{Format: supervised, Selection: &selection{Predicate: "salary > 3"}}, "selection.predicate"},
		"no condition":   {&request{Format: supervised, Selection: &selection{Predicate: "'yes'"}}, "selection.predicate"},
		"another table":  {&request{Format: supervised, Selection: &selection{Predicate: "user IN (SELECT user FROM interactions)"}}, "selection.predicate"},
		"a scalar query": {&request{Format: supervised, Selection: &selection{Predicate: "reward > (SELECT 0)"}}, "selection.predicate"},
		"a way out":      {&request{Format: supervised, Selection: &selection{Predicate: "1) OR (1 = 1) UNION ALL (SELECT 1"}}, "selection.predicate"},
		"two":            {&request{Format: supervised, Selection: &selection{Predicate: "1; DROP TABLE interactions"}}, "selection.predicate"},
		"a comment":      {&request{Format: supervised, Selection: &selection{Predicate: "1 = 1) -- "}}, "selection.predicate"},
		"a file":         {&request{Format: supervised, Selection: &selection{Predicate: "file('/etc/passwd') != ''"}}, "selection.predicate"},
		"a table":        {&request{Format: supervised, Selection: &selection{Predicate: "user IN interactions"}}, "selection.predicate"},
		"a dictionary":   {&request{Format: supervised, Selection: &selection{Predicate: "dictGet('d', 'v', 1) = 1"}}, "selection.predicate"},
		"a long wait":    {&request{Format: supervised, Selection: &selection{Predicate: "sleep(3) = 0"}}, "selection.predicate"},
		"a setting":      {&request{Format: supervised, Selection: &selection{Predicate: "1 SETTINGS max_threads = 9"}}, "selection.predicate"},
		"a placeholder":  {&request{Format: supervised, Selection: &selection{Predicate: "tenant = {tenant:String}"}}, "selection.predicate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.CreateTrainingSet(t.Context(), test.req)
			var fields []string
			for _, detail := range status.Convert(err).Details() {
				for _, violation := range detail.(*errdetails.BadRequest).GetFieldViolations() {
					fields = append(fields, violation.GetField())
				}
			}
			if status.Code(err) != codes.InvalidArgument || strings.Join(fields, " ") != test.fields {
				t.Errorf("%v: wrong are %v, want %s", err, fields, test.fields)
			}
		})
	}
	for predicate, want := range map[string]codes.Code{
		"reward > 0 AND has(['go', 'rust'], toString(language))":                                 codes.OK,
		"arrayExists(c -> c > 10, retained_chars) OR match(user, '^a') AND NOT (rating IS NULL)": codes.OK,
	} {
		if _, err := s.CreateTrainingSet(t.Context(), &request{Format: supervised, Selection: &selection{Predicate: predicate}}); status.Code(err) != want {
			t.Errorf("%s: %v", predicate, err)
		}
	}
	for name, call := range map[string]func() error{
		"no such definition": func() error {
			_, err := s.CreateTrainingSet(t.Context(), &request{Format: supervised, Definition: 9})
			return err
		},
		"no such set": func() error {
			_, err := s.GetTrainingSet(t.Context(), &flywheelv1.GetTrainingSetRequest{TrainingSetId: newV7(t).String()})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.CreateTrainingSet(t.Context(), &request{Format: supervised, Watermark: yesterday}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a watermark of the past: %v", err)
	}
	if _, err := s.GetTrainingSet(t.Context(), &flywheelv1.GetTrainingSetRequest{TrainingSetId: "x"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an id that is none: %v", err)
	}
}

// TestLife lists training sets, reads, deletes and cancels them; other tenants see none.
func TestLife(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(700)
	var ids []string
	for _, format := range []flywheelv1.TrainingFormat{supervised, reward, signals} {
		set, _ := s.made(&flywheelv1.CreateTrainingSetRequest{Format: format})
		ids = append(ids, set.GetTrainingSetId())
	}
	var listed []string
	list := &flywheelv1.ListTrainingSetsRequest{PageSize: 2}
	for range 2 {
		page, err := s.ListTrainingSets(t.Context(), list)
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range page.GetTrainingSets() {
			listed = append(listed, set.GetTrainingSetId())
		}
		list.PageToken = page.GetNextPageToken()
	}
	if diff := cmp.Diff([]string{ids[2], ids[1], ids[0]}, listed); diff != "" || list.GetPageToken() != "" {
		t.Errorf("listed (-want +got)\n%s", diff)
	}
	other := metadata.AppendToOutgoingContext(t.Context(), "flywheel-tenant", "other")
	if page, err := s.ListTrainingSets(other, &flywheelv1.ListTrainingSetsRequest{}); err != nil || len(page.GetTrainingSets()) != 0 {
		t.Errorf("another tenant sees %v: %v", page, err)
	}
	if _, err := s.GetTrainingSet(other, &flywheelv1.GetTrainingSetRequest{TrainingSetId: ids[0]}); status.Code(err) != codes.NotFound {
		t.Errorf("another tenant gets a training set: %v", err)
	}

	if _, err := s.CancelTrainingSet(t.Context(), &flywheelv1.CancelTrainingSetRequest{TrainingSetId: ids[0]}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("cancel what is ready: %v", err)
	}
	gone, err := s.DeleteTrainingSet(t.Context(), &flywheelv1.DeleteTrainingSetRequest{TrainingSetId: ids[0]})
	if err != nil || gone.GetTrainingSet().GetState() != deleted {
		t.Fatalf("delete: %v, %v", gone, err)
	}
	s.waitTables(2)
	stream, err := s.ReadTrainingSet(t.Context(), &flywheelv1.ReadTrainingSetRequest{TrainingSetId: ids[0]})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("read what is deleted: %v", err)
	}
	for _, bad := range []*flywheelv1.ReadTrainingSetRequest{
		{TrainingSetId: ids[1], Cursor: "{"}, {TrainingSetId: ids[1], Cursor: `{"files":[]}`}, {TrainingSetId: ids[1], Encoding: 9},
	} {
		stream, err := s.ReadTrainingSet(t.Context(), bad)
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("read with %v: %v", bad, err)
		}
	}
}

// waitTables waits until there are so many tables of training sets: what a job needs
// beside its rows goes away soon after it.
func (s *store) waitTables(want uint64) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := want + 1; n != want; <-tick.C {
		err := s.db.Conn().QueryRow(s.t.Context(), "SELECT count() FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'training_set_')").Scan(&n)
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestAbandoned leaves training sets behind as a server does that dies, one of them
// cancelled since: the next server makes the one.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(700)
	set, files := s.made(&flywheelv1.CreateTrainingSetRequest{Format: supervised, Split: &flywheelv1.Split{Test: 3000}})
	s.exec("INSERT INTO training_sets SELECT * REPLACE (revision + 100 AS revision, 'running' AS state, 'selecting' AS step, updated_at - INTERVAL 5 MINUTE AS updated_at) FROM training_sets FINAL")
	next := s.in(t)
	next.TrainingSetServiceClient = next.serve(quiet(t))
	again := next.wait(set.GetTrainingSetId())
	if again.GetState() != ready {
		t.Fatalf("taken over: %v", again)
	}
	same(t, files, next.read(&flywheelv1.ReadTrainingSetRequest{TrainingSetId: set.GetTrainingSetId()}, 0))
	s.waitTables(1) // the dead one's are gone
	if !proto.Equal(set.GetRequest(), again.GetRequest()) {
		t.Error("the request has changed")
	}
}

// TestCancel cancels a training set that waits for others.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(100_000)
	resp, err := s.CreateTrainingSet(t.Context(), &flywheelv1.CreateTrainingSetRequest{Format: supervised, Quality: &flywheelv1.Quality{MaxTokens: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	id := resp.GetTrainingSet().GetTrainingSetId()
	if _, err := s.CancelTrainingSet(t.Context(), &flywheelv1.CancelTrainingSetRequest{TrainingSetId: id}); err != nil {
		t.Fatal(err)
	}
	if set := s.wait(id); set.GetState() != cancelled {
		t.Errorf("%v", set)
	}
	s.waitTables(0)
	if _, err := s.DeleteTrainingSet(t.Context(), &flywheelv1.DeleteTrainingSetRequest{TrainingSetId: id}); err != nil {
		t.Errorf("delete: %v", err)
	}
}
