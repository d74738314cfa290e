// Package signal turns events into rows of the warehouse. It is pure: no I/O, no
// clock, no goroutine.
//
// The events of an interaction or opportunity become one row, combined by the
// functions by which ClickHouse merges rows of one key: the largest value of each
// column, bitwise or for sets of bits. These are commutative, associative and
// idempotent, so the result is the same in whatever order, how often, and in however
// many batches the events come. The files in testdata show it by example.
//
// What it does with values that the collector would not have let through, or that a
// column cannot hold:
//
//   - refused, with a reason: ids that are not UUIDv7, times outside 1970 to 2106, enum
//     values that this build does not know, an outcome or task result that is not set,
//     a retention after a delay that is none of the seven, a four-gram survival outside
//     0 to 1, a rating above 100, a mean log probability that is no number, content
//     without consent, and events without a payload or without the id it needs
//   - a negative duration counts as not measured
//   - retained characters stop at the largest value of their column
//   - text on an event to which the contract gives no such text is not stored; its
//     consent is
package signal

import (
	"errors"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// Batch is the rows of some events: at most one per interaction, opportunity and
// text, and one per edit and step. Its strings and those of the events it was given
// are the same memory: they must stay as they are until Reset. The zero Batch is
// empty and ready; it is not for concurrent use.
type Batch struct {
	Interactions  []warehouse.Interaction
	Opportunities []warehouse.Opportunity
	Content       []warehouse.Text
	Edits         []warehouse.Edit
	Steps         []warehouse.Step

	interactions, opportunities, content map[key]int
	tenants                              tenants
}

// key identifies a row; tenant is a number from [tenants].
type key struct {
	tenant int
	id     uuid.UUID
}

// Rows is the number of rows.
func (b *Batch) Rows() int {
	return len(b.Interactions) + len(b.Opportunities) + len(b.Content) + len(b.Edits) + len(b.Steps)
}

// Reset empties the batch and keeps its buffers, without references to any event.
func (b *Batch) Reset() {
	b.Interactions = empty(b.Interactions)
	b.Opportunities = empty(b.Opportunities)
	b.Content = empty(b.Content)
	b.Edits = empty(b.Edits)
	b.Steps = empty(b.Steps)
	clear(b.interactions)
	clear(b.opportunities)
	clear(b.content)
	b.tenants.reset()
}

func empty[T any](rows []T) []T {
	clear(rows)
	return rows[:0]
}

// Add combines an event into the rows. An error says why the event cannot be stored,
// in words for whoever sent it; the batch is then as it was. The event itself may be
// reused afterwards.
func (b *Batch) Add(tenant string, e *flywheelv1.Event) error {
	var h head
	if err := h.read(e); err != nil {
		return err
	}
	h.tenant = tenant
	switch p := e.GetPayload().(type) {
	case *flywheelv1.Event_Requested:
		return b.requested(&h, p.Requested)
	case *flywheelv1.Event_NotProduced:
		return b.notProduced(&h, p.NotProduced)
	case *flywheelv1.Event_Generated:
		return b.generated(&h, p.Generated)
	case *flywheelv1.Event_Shown:
		return b.shown(&h, p.Shown)
	case *flywheelv1.Event_NotShown:
		return b.notShown(&h, p.NotShown)
	case *flywheelv1.Event_Read:
		return b.read(&h, p.Read)
	case *flywheelv1.Event_Ended:
		return b.ended(&h, p.Ended)
	case *flywheelv1.Event_Retention:
		return b.retention(&h, p.Retention)
	case *flywheelv1.Event_Feedback:
		return b.feedback(&h, p.Feedback)
	case *flywheelv1.Event_TaskOutcome:
		return b.taskOutcome(&h, p.TaskOutcome)
	case *flywheelv1.Event_Alternative:
		return b.alternative(&h, p.Alternative)
	case *flywheelv1.Event_Edit:
		return b.edit(&h, p.Edit)
	default:
		return b.addStep(&h)
	}
}

// interaction finds or makes the row of the event's interaction.
func (b *Batch) interaction(h *head) (*warehouse.Interaction, error) {
	if !h.hasInteraction {
		return nil, errors.New("interaction_id is missing")
	}
	i, found := b.place(&b.interactions, h.tenant, h.interaction, len(b.Interactions))
	if !found {
		b.Interactions = append(b.Interactions, warehouse.Interaction{Tenant: h.tenant, ID: h.interaction})
	}
	row := &b.Interactions[i]
	raiseID(&row.OpportunityID, h.opportunity)
	raiseID(&row.SessionID, h.session)
	return row, nil
}

// opportunity finds or makes the row of the event's opportunity.
func (b *Batch) opportunity(h *head) (*warehouse.Opportunity, error) {
	if !h.hasOpportunity {
		return nil, errors.New("opportunity_id is missing")
	}
	i, found := b.place(&b.opportunities, h.tenant, h.opportunity, len(b.Opportunities))
	if !found {
		b.Opportunities = append(b.Opportunities, warehouse.Opportunity{Tenant: h.tenant, ID: h.opportunity})
	}
	row := &b.Opportunities[i]
	raiseID(&row.SessionID, h.session)
	return row, nil
}

// place returns the index of a row, which is next when the row is new.
func (b *Batch) place(rows *map[key]int, tenant string, id uuid.UUID, next int) (index int, found bool) {
	if *rows == nil {
		*rows = map[key]int{}
	}
	k := key{b.tenants.number(tenant), id}
	if i, ok := (*rows)[k]; ok {
		return i, true
	}
	(*rows)[k] = next
	return next, false
}

// tenants numbers tenants, so that keys hash quickly.
type tenants struct {
	numbers map[string]int
	// name and last are the tenant asked for last: events of one come together.
	name string
	last int
}

func (t *tenants) number(name string) int {
	if t.name == name && len(t.numbers) > 0 {
		return t.last
	}
	n, ok := t.numbers[name]
	if !ok {
		if t.numbers == nil {
			t.numbers = map[string]int{}
		}
		n = len(t.numbers)
		t.numbers[name] = n
	}
	t.name, t.last = name, n
	return n
}

func (t *tenants) reset() {
	clear(t.numbers)
	t.name, t.last = "", 0
}
