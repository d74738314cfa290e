package signal

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// endOfTime is 2106-02-07, where the narrowest time column, a minute in 32 bits of
// seconds, ends. It also leaves the upper bits of ranks free.
const endOfTime = 1 << 32 * time.Second / time.Microsecond

// head is what all events have, checked.
type head struct {
	event  *flywheelv1.Event
	tenant string
	// at is the event's time in microseconds since the Unix epoch.
	at int64

	id, session, opportunity, interaction uuid.UUID
	hasOpportunity, hasInteraction        bool
}

// read checks and takes over what all events have. Ids that are absent stay zero.
func (h *head) read(e *flywheelv1.Event) error {
	h.event = e
	h.at = e.GetTimeUnixUs()
	if h.at <= 0 || h.at >= int64(endOfTime) {
		return fmt.Errorf("time_unix_us %d: outside 1970 to 2106", h.at)
	}
	var err error
	if h.id, err = uuid7("event_id", e.GetEventId()); err != nil {
		return err
	}
	if h.session, err = timedID("session_id", e.GetSessionId()); err != nil {
		return err
	}
	if h.hasOpportunity = len(e.GetOpportunityId()) > 0; h.hasOpportunity {
		if h.opportunity, err = timedID("opportunity_id", e.GetOpportunityId()); err != nil {
			return err
		}
	}
	if h.hasInteraction = len(e.GetInteractionId()) > 0; h.hasInteraction {
		if h.interaction, err = timedID("interaction_id", e.GetInteractionId()); err != nil {
			return err
		}
	}
	if c := e.GetContent(); c != nil {
		if c.GetConsent() == flywheelv1.Consent_CONSENT_UNSPECIFIED {
			return errors.New("content without consent")
		}
		var names naming
		names.name(&consents, int32(c.GetConsent()))
		return names.err
	}
	return nil
}

// optionalID reads an id that may be absent, which gives the zero id.
func optionalID(field string, b []byte) (uuid.UUID, error) {
	if len(b) == 0 {
		return uuid.Nil, nil
	}
	return uuid7(field, b)
}

// timedID reads an id whose time places a row.
func timedID(field string, b []byte) (uuid.UUID, error) {
	id, err := uuid7(field, b)
	if err != nil {
		return id, err
	}
	if ms := warehouse.MillisOf(id); ms <= 0 || ms >= int64(endOfTime)/1000 {
		return id, fmt.Errorf("%s: its time is outside 1970 to 2106", field)
	}
	return id, nil
}

// uuid7 reads an id: 16 bytes with version 7 and the variant of RFC 9562.
func uuid7(field string, b []byte) (uuid.UUID, error) {
	if len(b) != 16 || b[6]>>4 != 7 || b[8]>>6 != 2 {
		return uuid.Nil, fmt.Errorf("%s is not a UUIDv7 in 16 bytes", field)
	}
	return uuid.UUID(b), nil
}
