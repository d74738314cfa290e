package trainset_test

import (
	"flag"
	"fmt"
	"maps"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

var (
	propertyCases = flag.Int("property.cases", 12, "random training sets to make")
	propertySeed  = flag.Uint64("property.seed", 1, "what the random training sets are drawn from")
)

// TestLeftOut makes training sets with one condition each, and compares what is in them
// and what was left out.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(700)
	type selection = flywheelv1.TrainingSelection
	type quality = flywheelv1.Quality
	for name, test := range map[string]struct {
		req     *flywheelv1.CreateTrainingSetRequest
		rows    int
		leftOut map[string]uint64
	}{
		"consent":                               {&flywheelv1.CreateTrainingSetRequest{Format: supervised, Selection: &selection{IncludeWithoutConsent: true}}, 500, nil},
		"label":                                 {&flywheelv1.CreateTrainingSetRequest{Format: supervised, Selection: &selection{Labels: []flywheelv1.Outcome{flywheelv1.Outcome_OUTCOME_REJECTED}}}, 98, map[string]uint64{"no_consent": 2}},
		"rejected, without what the user wrote": {&flywheelv1.CreateTrainingSetRequest{Format: supervised, Selection: &selection{Labels: []flywheelv1.Outcome{flywheelv1.Outcome_OUTCOME_IGNORED}}}, 0, map[string]uint64{"no_consent": 2, "no_text": 98}},
		"reward":                                {&flywheelv1.CreateTrainingSetRequest{Format: reward, Selection: &selection{MinReward: new(int32(1))}}, 490, map[string]uint64{"no_consent": 10}},
		"retention":                             {&flywheelv1.CreateTrainingSetRequest{Format: signals, Selection: &selection{MinRetention: 7000}}, 0, nil},
		"less retained":                         {&flywheelv1.CreateTrainingSetRequest{Format: signals, Selection: &selection{MinRetention: 6000}}, 500, nil},
		"predicate":                             {&flywheelv1.CreateTrainingSetRequest{Format: signals, Selection: &selection{Predicate: "user = 'user 3' OR user = 'user 4'"}}, 40, nil},
		"filter": {&flywheelv1.CreateTrainingSetRequest{Format: signals, Selection: &selection{Filters: []*flywheelv1.Filter{
			{Dimension: flywheelv1.Dimension_DIMENSION_SURFACE, Values: []string{"chat", "inline_completion"}}, {Dimension: flywheelv1.Dimension_DIMENSION_LANGUAGE, Values: []string{"rust"}},
		}}}, 0, nil},
		"per user":       {&flywheelv1.CreateTrainingSetRequest{Format: supervised, Selection: &selection{MaxPerUser: 3}}, 120, map[string]uint64{"no_consent": 10, "per_user": 370}},
		"balance":        {&flywheelv1.CreateTrainingSetRequest{Format: unpaired, Selection: &selection{BalanceLabels: true}}, 196, map[string]uint64{"no_consent": 8, "balance": 196}},
		"prompt chars":   {&flywheelv1.CreateTrainingSetRequest{Format: supervised, Quality: &quality{MaxPromptChars: 20}}, 0, map[string]uint64{"no_consent": 10, "too_long": 490}},
		"few tokens":     {&flywheelv1.CreateTrainingSetRequest{Format: supervised, Quality: &quality{MaxTokens: 10}}, 0, map[string]uint64{"no_consent": 10, "too_long": 490}},
		"many tokens":    {&flywheelv1.CreateTrainingSetRequest{Format: supervised, Quality: &quality{MaxTokens: 1000, Encoding: "cl100k_base"}}, 490, map[string]uint64{"no_consent": 10}},
		"decontaminated": {&flywheelv1.CreateTrainingSetRequest{Format: supervised, Quality: &quality{Decontaminate: s.prompts(0, 1, 5)}}, 488, map[string]uint64{"no_consent": 10, "contaminated": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			set, files := s.made(test.req)
			if rows := files.all(t); len(rows) != test.rows {
				t.Errorf("%d rows, want %d", len(rows), test.rows)
			}
			if test.leftOut == nil {
				test.leftOut = map[string]uint64{}
			}
			if got := set.GetLeftOut(); !maps.Equal(got, test.leftOut) {
				t.Errorf("left out: %v, want %v", got, test.leftOut)
			}
		})
	}
}

// prompts are the prompts of interactions by number, in capitals and without spaces.
func (s *store) prompts(numbers ...int) (found []string) {
	s.t.Helper()
	for _, n := range numbers {
		var text string
		if err := s.db.Conn().QueryRow(s.t.Context(), fmt.Sprintf("SELECT upper(replaceAll(%s, ' ', '')) FROM (SELECT toUInt64(%d) AS number)", prompt, n)).Scan(&text); err != nil {
			s.t.Fatal(err)
		}
		found = append(found, text)
	}
	return found
}

// TestDuplicates stores equal and nearly equal texts: of each group the earliest stays.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(70)
	s.exec("ALTER TABLE content UPDATE prompt = concat('the same beginning of all of these prompts, long enough to count ', toString(reinterpretAsUInt64(substring(reinterpret(id, 'FixedString(16)'), 9)) % 10)), output = 'one' WHERE 1 SETTINGS mutations_sync = 2")
	equal, files := s.made(&flywheelv1.CreateTrainingSetRequest{Format: reward})
	if rows := files.all(t); len(rows) != 10 || equal.GetLeftOut()["duplicate"] != 59 {
		t.Errorf("%d rows, %v left out", len(rows), equal.GetLeftOut())
	}
	for _, row := range files.all(t) {
		if n := s.numbers()[row["interaction_id"].(string)]; n >= 10 {
			t.Errorf("a later one stays: %d", n)
		}
	}
	kept, _ := s.made(&flywheelv1.CreateTrainingSetRequest{Format: reward, Quality: &flywheelv1.Quality{KeepDuplicates: true}})
	if kept.GetProgress().GetRows() != 69 {
		t.Errorf("%d rows with duplicates, want 69", kept.GetProgress().GetRows())
	}
	near, _ := s.made(&flywheelv1.CreateTrainingSetRequest{Format: reward, Quality: &flywheelv1.Quality{NearDuplicateBits: 7}})
	if n := near.GetProgress().GetRows(); n >= 10 || near.GetLeftOut()["near_duplicate"] != 10-n {
		t.Errorf("%d rows without near duplicates, %v left out", n, near.GetLeftOut())
	}
}

// TestAnyTrainingSet makes training sets of random requests over random texts: nobody is
// in two splits, none or in the same in the next training set, no two rows are nearly the
// same, and every row is of the interaction that it names.
func TestAnyTrainingSet(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(2100)
	// Half of the prompts are variants of a few texts.
	s.exec(`ALTER TABLE content UPDATE prompt = concat(['parse the flags of the command and return an error when one is not known; ',
			'read every line of the file and count the words of each of them in a map; '][1 + cityHash64(id) % 2], prompt) WHERE cityHash64(id, 1) % 2 = 0 SETTINGS mutations_sync = 2`)
	s.exec(`ALTER TABLE content UPDATE prompt = concat(substring(prompt, 1, 90), toString(cityHash64(id) % 30)) WHERE cityHash64(id, 1) % 2 = 0 SETTINGS mutations_sync = 2`)
	truths := s.truths()
	splits := map[string]map[string]string{} // by unit, shares and salt
	for n := range *propertyCases {
		random := rand.New(rand.NewPCG(*propertySeed, uint64(n)))
		req := &flywheelv1.CreateTrainingSetRequest{
			Format: []flywheelv1.TrainingFormat{supervised, reward, unpaired}[random.IntN(3)],
			Selection: &flywheelv1.TrainingSelection{
				MaxPerUser: uint32(random.IntN(2) * random.IntN(60)), BalanceLabels: random.IntN(4) == 0, IncludeWithoutConsent: random.IntN(4) == 0,
			},
			Quality: &flywheelv1.Quality{NearDuplicateBits: uint32(random.IntN(8)), KeepDuplicates: random.IntN(4) == 0},
			Split: &flywheelv1.Split{
				Unit: flywheelv1.SplitUnit(1 + random.IntN(3)), Validation: uint32(random.IntN(2) * 2000), Test: uint32(random.IntN(2) * 3000), Salt: []string{"", "x"}[random.IntN(2)],
			},
		}
		set, files := s.made(req)
		same := req.GetSplit().String()
		if splits[same] == nil {
			splits[same] = map[string]string{}
		}
		perUser := map[string]uint32{}
		var texts []string
		total := 0
		for _, split := range []string{"train", "validation", "test"} {
			for _, row := range files.rows(t, split) {
				total++
				truth, known := truths[row["interaction_id"].(string)]
				if !known {
					t.Fatalf("case %d: a row of an interaction that does not exist: %v", n, row)
				}
				if row["prompt"] != truth.prompt || row["language"] != truth.language || !slices.Contains(truth.completions, row["completion"].(string)) {
					t.Fatalf("case %d: the row\n%v\nis not the interaction's\n%v", n, row, truth)
				}
				unit := [...]string{1: truth.user, 2: truth.session, 3: truth.repository}[req.GetSplit().GetUnit()]
				if was := splits[same][unit]; was != "" && was != split {
					t.Fatalf("case %d: %s is in %s and in %s", n, unit, was, split)
				}
				splits[same][unit] = split
				perUser[truth.user]++
				if text := row["prompt"].(string) + row["completion"].(string); len(text) >= 64 {
					texts = append(texts, row["prompt"].(string)+"\n"+row["completion"].(string))
				}
			}
		}
		if total == 0 || total != int(set.GetProgress().GetRows()) {
			t.Errorf("case %d: %d rows, the training set says %d", n, total, set.GetProgress().GetRows())
		}
		if most := req.GetSelection().GetMaxPerUser(); most > 0 && slices.Max(slices.Collect(maps.Values(perUser))) > most {
			t.Errorf("case %d: more than %d rows of a user: %v", n, most, perUser)
		}
		if near := req.GetQuality().GetNearDuplicateBits(); near > 0 {
			hashes := s.simHashes(texts)
			for i, a := range hashes {
				for _, b := range hashes[:i] {
					if bits.OnesCount64(a^b) <= int(near) {
						t.Fatalf("case %d: two rows are within %d bits", n, near)
					}
				}
			}
			if set.GetLeftOut()["near_duplicate"] == 0 && near > 3 {
				t.Errorf("case %d: nothing is nearly the same: the test shows little", n)
			}
		}
		if diff := cmp.Diff(req.GetSplit(), set.GetRequest().GetSplit(), protocmp.Transform()); diff != "" {
			t.Errorf("case %d: another split (-want +got)\n%s", n, diff)
		}
	}
}

// truth is what is stored of an interaction.
type truth struct {
	user, session, repository, language, prompt string
	completions                                 []string
}

func (s *store) truths() map[string]truth {
	s.t.Helper()
	rows, err := s.db.Conn().Query(s.t.Context(), `
		SELECT toString(interaction_id), user, toString(session_id), repository, language, c.prompt,
			[c.output, substringUTF8(c.output, 1, 8), c.final_text, c.alternative]
		FROM interactions AS i FINAL INNER JOIN content AS c FINAL ON c.id = i.interaction_id`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	all := map[string]truth{}
	for rows.Next() {
		var id string
		var one truth
		if err := rows.Scan(&id, &one.user, &one.session, &one.repository, &one.language, &one.prompt, &one.completions); err != nil {
			s.t.Fatal(err)
		}
		all[id] = one
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return all
}

// simHashes are ClickHouse's of the 5-grams of texts.
func (s *store) simHashes(texts []string) (hashes []uint64) {
	s.t.Helper()
	if err := s.db.Conn().QueryRow(s.t.Context(), "SELECT arrayMap(t -> ngramSimHash(t, 5), {texts:Array(String)})", named("texts", texts)).Scan(&hashes); err != nil {
		s.t.Fatal(err)
	}
	return hashes
}
