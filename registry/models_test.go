package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/registry"
)

const (
	offline    = flywheelv1.ModelStage_MODEL_STAGE_OFFLINE
	experiment = flywheelv1.ModelStage_MODEL_STAGE_EXPERIMENT
	released   = flywheelv1.ModelStage_MODEL_STAGE_RELEASED
)

// TestModelLife registers a model, reads it, changes it and reads it again.
func TestModelLife(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(t, &flywheelv1.CreateModelRequest{Model: "tab-6"})
	made := s.create(t, &flywheelv1.CreateModelRequest{
		Model: "tab-7", Parent: "tab-6", TrainingSetId: "2026-11", Stage: experiment, Notes: "'quoted' {x:String} ? \\ ü",
	})
	if age := time.Since(made.GetCreatedAt().AsTime()); age < 0 || age > time.Minute || !proto.Equal(made.GetCreatedAt(), made.GetUpdatedAt()) {
		t.Errorf("created %v, updated %v", made.GetCreatedAt().AsTime(), made.GetUpdatedAt().AsTime())
	}
	want := &flywheelv1.Model{
		Model: "tab-7", Parent: "tab-6", TrainingSetId: "2026-11", Stage: experiment, Notes: "'quoted' {x:String} ? \\ ü",
		CreatedAt: made.GetCreatedAt(), UpdatedAt: made.GetUpdatedAt(), Revision: 1,
	}
	s.wantModel(t, want)

	changed, err := s.UpdateModel(t.Context(), &flywheelv1.UpdateModelRequest{Model: "tab-7", Revision: 1, Stage: released.Enum()})
	if err != nil {
		t.Fatalf("UpdateModel: %v", err)
	}
	want.Stage, want.Revision, want.UpdatedAt = released, 2, changed.GetModel().GetUpdatedAt()
	s.wantModel(t, want)

	changed, err = s.UpdateModel(t.Context(), &flywheelv1.UpdateModelRequest{
		Model: "tab-7", Notes: new(""), Parent: new(""), TrainingSetId: new(""),
	})
	if err != nil {
		t.Fatalf("UpdateModel: %v", err)
	}
	want = &flywheelv1.Model{Model: "tab-7", Stage: released, CreatedAt: made.GetCreatedAt(), UpdatedAt: changed.GetModel().GetUpdatedAt(), Revision: 3}
	s.wantModel(t, want)

	_, err = s.UpdateModel(t.Context(), &flywheelv1.UpdateModelRequest{Model: "tab-7", Revision: 2, Notes: new("late")})
	if status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "revision 3, not 2") {
		t.Errorf("a change of an old revision: %v, want ABORTED", err)
	}
	s.wantModel(t, want)
}

func (s *running) wantModel(t *testing.T, want *flywheelv1.Model) {
	t.Helper()
	got, err := s.GetModel(t.Context(), &flywheelv1.GetModelRequest{Model: want.GetModel()})
	if diff := cmp.Diff(want, got.GetModel(), protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("GetModel: %v (-want +got):\n%s", err, diff)
	}
}

// TestModelRefusals checks the code, the field and that the message says what to do.
func TestModelRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(t, &flywheelv1.CreateModelRequest{Model: "a"})
	s.create(t, &flywheelv1.CreateModelRequest{Model: "b", Parent: "a"})
	s.create(t, &flywheelv1.CreateModelRequest{Model: "c", Parent: "b"})
	long, notes := strings.Repeat("x", 257), strings.Repeat("x", 4097)
	create := func(req *flywheelv1.CreateModelRequest) error {
		_, err := s.CreateModel(t.Context(), req)
		return err
	}
	update := func(req *flywheelv1.UpdateModelRequest) error {
		_, err := s.UpdateModel(t.Context(), req)
		return err
	}
	list := func(req *flywheelv1.ListModelsRequest) error {
		_, err := s.ListModels(t.Context(), req)
		return err
	}
	get := func(name string) error {
		_, one := s.GetModel(t.Context(), &flywheelv1.GetModelRequest{Model: name})
		_, line := s.GetModelLineage(t.Context(), &flywheelv1.GetModelLineageRequest{Model: name})
		if !errors.Is(one, line) {
			t.Errorf("GetModel: %v, GetModelLineage: %v; want the same", one, line)
		}
		return one
	}
	for name, c := range map[string]struct {
		err          error
		code         codes.Code
		field, words string
	}{
		"no name":                  {create(&flywheelv1.CreateModelRequest{}), codes.InvalidArgument, "model", "missing"},
		"long fields":              {create(&flywheelv1.CreateModelRequest{Model: long, Parent: long, TrainingSetId: long, Notes: notes}), codes.InvalidArgument, "model parent training_set_id notes", "257 bytes: at most 256"},
		"unknown stage":            {create(&flywheelv1.CreateModelRequest{Model: "x", Stage: 9}), codes.InvalidArgument, "stage", "9 is not a stage"},
		"there already":            {create(&flywheelv1.CreateModelRequest{Model: "a"}), codes.AlreadyExists, "", "UpdateModel changes it"},
		"unknown parent":           {create(&flywheelv1.CreateModelRequest{Model: "x", Parent: "y"}), codes.FailedPrecondition, "", "register it first"},
		"its own parent":           {create(&flywheelv1.CreateModelRequest{Model: "x", Parent: "x"}), codes.FailedPrecondition, "", "its own parent"},
		"get no name":              {get(""), codes.InvalidArgument, "model", "missing"},
		"get unknown":              {get("x"), codes.NotFound, "", "CreateModel registers it"},
		"nothing to change":        {update(&flywheelv1.UpdateModelRequest{Model: "a"}), codes.InvalidArgument, "stage", "nothing to change"},
		"change unknown":           {update(&flywheelv1.UpdateModelRequest{Model: "x", Notes: new("")}), codes.NotFound, "", "CreateModel"},
		"change to no stage":       {update(&flywheelv1.UpdateModelRequest{Model: "a", Stage: new(flywheelv1.ModelStage)}), codes.InvalidArgument, "stage", "0 is not a stage"},
		"change to long notes":     {update(&flywheelv1.UpdateModelRequest{Model: "a", Notes: &notes}), codes.InvalidArgument, "notes", "4097 bytes"},
		"change to unknown parent": {update(&flywheelv1.UpdateModelRequest{Model: "a", Parent: new("y")}), codes.FailedPrecondition, "", "register it first"},
		"change to own parent":     {update(&flywheelv1.UpdateModelRequest{Model: "a", Parent: new("a")}), codes.FailedPrecondition, "", "its own parent"},
		"cycle":                    {update(&flywheelv1.UpdateModelRequest{Model: "a", Parent: new("c")}), codes.FailedPrecondition, "", "a ← c ← b ← a"},
		"unknown stages":           {list(&flywheelv1.ListModelsRequest{Stages: []flywheelv1.ModelStage{1, 0, 7}}), codes.InvalidArgument, "stages[1] stages[2]", "not a stage"},
		"large page":               {list(&flywheelv1.ListModelsRequest{PageSize: 1001}), codes.InvalidArgument, "page_size", "1 to 1000"},
		"negative page":            {list(&flywheelv1.ListModelsRequest{PageSize: -1}), codes.InvalidArgument, "page_size", "1 to 1000"},
		"strange token":            {list(&flywheelv1.ListModelsRequest{PageToken: "?"}), codes.InvalidArgument, "page_token", "next_page_token"},
	} {
		if status.Code(c.err) != c.code || violated(c.err) != c.field || !strings.Contains(status.Convert(c.err).Message(), c.words) {
			t.Errorf("%s: %v in the fields %q; want %v in %q with %q", name, c.err, violated(c.err), c.code, c.field, c.words)
		}
	}
	if _, err := s.GetModel(as(t.Context(), "not a tenant"), &flywheelv1.GetModelRequest{Model: "a"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("invalid tenant: %v", err)
	}
	if got := s.log.String(); got != "" {
		t.Errorf("refusals are logged as errors: %s", got)
	}
}

func TestListModels(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(t, &flywheelv1.CreateModelRequest{Model: "root", TrainingSetId: "one"})
	for i := range 4 {
		stage := experiment
		if i == 3 {
			stage = released
		}
		s.create(t, &flywheelv1.CreateModelRequest{Model: fmt.Sprintf("leaf %d", i), Parent: "root", Stage: stage, TrainingSetId: []string{"one", "two"}[i%2]})
	}
	for want, req := range map[string]*flywheelv1.ListModelsRequest{
		"leaf 0 leaf 1 leaf 2 leaf 3 root": {},
		"leaf 0 leaf 1 leaf 2":             {Stages: []flywheelv1.ModelStage{experiment}},
		"leaf 3 root":                      {Stages: []flywheelv1.ModelStage{released, offline}},
		"root":                             {Parent: new("")},
		"leaf 0 leaf 1 leaf 2 leaf 3":      {Parent: new("root")},
		"leaf 1 leaf 3":                    {TrainingSetId: new("two")},
		"leaf 2":                           {TrainingSetId: new("one"), Parent: new("root"), PageToken: "bGVhZiAw"},
		"":                                 {TrainingSetId: new("")},
	} {
		resp, err := s.ListModels(t.Context(), req)
		if err != nil || names(resp.GetModels()) != want || resp.GetNextPageToken() != "" {
			t.Errorf("ListModels(%v) = %q, %q, %v; want %q", req, names(resp.GetModels()), resp.GetNextPageToken(), err, want)
		}
	}
	var pages []string
	req := &flywheelv1.ListModelsRequest{PageSize: 2, Parent: new("root")}
	for {
		resp, err := s.ListModels(t.Context(), req)
		if err != nil {
			t.Fatalf("ListModels: %v", err)
		}
		pages = append(pages, names(resp.GetModels()))
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if got := strings.Join(pages, " | "); got != "leaf 0 leaf 1 | leaf 2 leaf 3" {
		t.Errorf("pages %s", got)
	}
	other, err := s.ListModels(as(t.Context(), "other"), &flywheelv1.ListModelsRequest{})
	if err != nil || len(other.GetModels()) != 0 {
		t.Errorf("another tenant sees %v, %v", other, err)
	}
}

// TestLineage also has a cycle, which two processes can make at the same moment.
func TestLineage(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(t, &flywheelv1.CreateModelRequest{Model: "a", TrainingSetId: "one"})
	s.create(t, &flywheelv1.CreateModelRequest{Model: "b", Parent: "a", TrainingSetId: "two"})
	s.create(t, &flywheelv1.CreateModelRequest{Model: "c", Parent: "b"})
	line := func(name string) string {
		resp, err := s.GetModelLineage(t.Context(), &flywheelv1.GetModelLineageRequest{Model: name})
		if err != nil {
			t.Errorf("GetModelLineage: %v", err)
		}
		var sets []string
		for _, m := range resp.GetModels() {
			sets = append(sets, m.GetModel()+":"+m.GetTrainingSetId())
		}
		return strings.Join(sets, " ")
	}
	for name, want := range map[string]string{"a": "a:one", "b": "b:two a:one", "c": "c: b:two a:one"} {
		if got := line(name); got != want {
			t.Errorf("lineage of %s: %s, want %s", name, got, want)
		}
	}
	err := s.db.Conn().Exec(t.Context(), "INSERT INTO models (tenant, model, revision, parent, stage) VALUES ('default', 'a', 2, 'c', 'offline')")
	if err != nil {
		t.Fatal(err)
	}
	if got := line("b"); got != "b:two a: c:" {
		t.Errorf("lineage in a cycle: %s", got)
	}
	if err := s.db.Conn().Exec(t.Context(), "INSERT INTO models (tenant, model, revision, parent, stage) VALUES ('default', 'a', 3, 'gone', 'offline')"); err != nil {
		t.Fatal(err)
	}
	if got := line("c"); got != "c: b:two a:" {
		t.Errorf("lineage with a parent that is not there: %s", got)
	}
}

// TestWritesAreSerial registers one model many times at once.
func TestWritesAreSerial(t *testing.T) {
	t.Parallel()
	s := serve(t)
	var group sync.WaitGroup
	results := make(chan error, 8)
	for range cap(results) {
		group.Go(func() {
			_, err := s.CreateModel(t.Context(), &flywheelv1.CreateModelRequest{Model: "one"})
			results <- err
		})
	}
	group.Wait()
	close(results)
	created := 0
	for err := range results {
		switch status.Code(err) {
		case codes.OK:
			created++
		case codes.AlreadyExists:
		default:
			t.Errorf("CreateModel: %v", err)
		}
	}
	if created != 1 {
		t.Errorf("%d calls created the model, want 1", created)
	}
}

// TestStoreFails checks that clients learn that, and operators why.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if err := s.db.Conn().Exec(t.Context(), "DROP TABLE models"); err != nil {
		t.Fatal(err)
	}
	_, err := s.CreateModel(t.Context(), &flywheelv1.CreateModelRequest{Model: "a"})
	if status.Code(err) != codes.Unavailable || strings.Contains(err.Error(), "Unknown table") {
		t.Errorf("CreateModel = %v; want UNAVAILABLE without details", err)
	}
	if !strings.Contains(s.log.String(), "cannot use the registry") || !strings.Contains(s.log.String(), "Unknown table") {
		t.Errorf("the log does not say why: %s", s.log)
	}
}

func TestSlowCall(t *testing.T) {
	t.Parallel()
	s := serve(t, func(cfg *registry.Config) { cfg.QueryTimeout = time.Nanosecond })
	if _, err := s.ListModels(t.Context(), &flywheelv1.ListModelsRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("ListModels = %v, want DEADLINE_EXCEEDED", err)
	}
	if _, err := registry.New(registry.Config{}, s.db, nil); err == nil {
		t.Error("no time limit is taken")
	}
}
