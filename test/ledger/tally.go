package ledger

import (
	"time"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// tallied names the counts of rates that the ledger tallies by itself, in the order of
// counts.
var tallied = [...]string{
	"opportunities", "not_produced", "shown", "read", "accepted", "partially_accepted", "accepted_modified", "auto_accepted",
	"rejected", "ignored", "superseded", "cancelled", "undecided", "thumbs_up", "thumbs_down",
}

// The first of tallied; outcomes follow in the order of the contract.
const (
	countOpportunities = iota
	countNotProduced
	countShown
	countRead
	countAccepted
	countUndecided = countAccepted + int(flywheelv1.Outcome_OUTCOME_CANCELLED)
	countUp        = countUndecided + 1
	countDown      = countUp + 1
)

// bounds are the smallest and the largest count that the ledger allows.
type bounds struct{ least, most uint64 }

// fact is what the ledger says of something that an event would make true: for sure
// when it was acknowledged, perhaps when it is unknown.
type fact struct{ sure, possible bool }

func (f *fact) learn(s State) {
	f.sure = f.sure || s == Acknowledged
	f.possible = f.possible || s != Refused
}

// item is an interaction or an opportunity.
type item struct {
	tenant                                                               string
	requested, notProduced, shown, read, ended, auto, thumbUp, thumbDown fact
	outcome                                                              flywheelv1.Outcome
}

// tally counts what rates must count, by tenant, without any of Flywheel's own code.
func (l *Ledger) tally() map[string]*[len(tallied)]bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	items := map[uuid.UUID]*item{}
	for _, e := range l.events {
		of := e.event.GetInteractionId()
		if len(of) == 0 {
			of = e.event.GetOpportunityId()
		}
		if len(of) == 0 {
			continue
		}
		i, ok := items[uuid.UUID(of)]
		if !ok {
			i = &item{tenant: e.tenant}
			items[uuid.UUID(of)] = i
		}
		i.learn(e.event, e.state())
	}
	all := map[string]*[len(tallied)]bounds{}
	for _, i := range items {
		if all[i.tenant] == nil {
			all[i.tenant] = new([len(tallied)]bounds)
		}
		i.count(all[i.tenant])
	}
	return all
}

func (i *item) learn(e *flywheelv1.Event, s State) {
	visible := func(us int64) {
		if us >= minRead.Microseconds() {
			i.read.learn(s)
		}
	}
	switch p := e.GetPayload().(type) {
	case *flywheelv1.Event_Requested:
		i.requested.learn(s)
	case *flywheelv1.Event_NotProduced:
		i.notProduced.learn(s)
	case *flywheelv1.Event_Shown:
		i.shown.learn(s)
	case *flywheelv1.Event_Read:
		visible(p.Read.GetVisibleUs())
	case *flywheelv1.Event_Ended:
		visible(p.Ended.GetVisibleUs())
		i.outcome = p.Ended.GetOutcome()
		i.ended.learn(s)
		if i.outcome == flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED {
			i.auto.learn(s)
		}
	case *flywheelv1.Event_Feedback:
		if p.Feedback.GetThumb() == flywheelv1.Thumb_THUMB_UP {
			i.thumbUp.learn(s)
		} else {
			i.thumbDown.learn(s)
		}
	default:
	}
}

// count adds the item to the counts. What was accepted automatically counts as that and
// as nothing else.
func (i *item) count(counts *[len(tallied)]bounds) {
	add := func(at int, sure, possible bool) {
		if sure {
			counts[at].least++
		}
		if possible {
			counts[at].most++
		}
	}
	manual := fact{sure: !i.auto.possible, possible: !i.auto.sure}
	shown := fact{sure: i.shown.sure && manual.sure, possible: i.shown.possible && manual.possible}
	add(countOpportunities, i.requested.sure, i.requested.possible)
	add(countNotProduced, i.requested.sure && i.notProduced.sure, i.requested.possible && i.notProduced.possible)
	add(countShown, shown.sure, shown.possible)
	add(countRead, shown.sure && i.read.sure, shown.possible && i.read.possible)
	add(countUndecided, shown.sure && !i.ended.possible, shown.possible && !i.ended.sure)
	add(countUp, i.thumbUp.sure && manual.sure, i.thumbUp.possible && manual.possible)
	add(countDown, i.thumbDown.sure && manual.sure, i.thumbDown.possible && manual.possible)
	if i.outcome == flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED {
		shown = fact{sure: true, possible: true}
	}
	if i.outcome != flywheelv1.Outcome_OUTCOME_UNSPECIFIED {
		add(countAccepted+int(i.outcome)-1, shown.sure && i.ended.sure, shown.possible && i.ended.possible)
	}
}

// settlePoll is the pause between two looks at the tables.
const settlePoll = 300 * time.Millisecond
