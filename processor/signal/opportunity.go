package signal

import (
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

func (b *Batch) requested(h *head, p *flywheelv1.Requested) error {
	var d warehouse.Dimensions
	if err := readDimensions(&d, p.GetDimensions()); err != nil {
		return err
	}
	row, err := b.opportunity(h)
	if err != nil {
		return err
	}
	raiseDimensions(&row.Dimensions, &d)
	raise(&row.RequestedAt, h.at)
	raise(&row.RequestedSequence, h.event.GetSequence())
	if text := b.text(h, h.opportunity); text != nil {
		raise(&text.Prompt, h.event.GetContent().GetPrompt())
	}
	return nil
}

func (b *Batch) notProduced(h *head, p *flywheelv1.NotProduced) error {
	var names naming
	reason := names.name(&notProducedReasons, int32(p.GetReason()))
	if names.err != nil {
		return names.err
	}
	row, err := b.opportunity(h)
	if err != nil {
		return err
	}
	raise(&row.NotProducedAt, h.at)
	raise(&row.NotProducedReason, reason)
	raise(&row.NotProducedDetail, p.GetDetail())
	raise(&row.NotProducedLatencyUs, micros(p.GetLatencyUs()))
	b.text(h, h.opportunity)
	return nil
}

// readDimensions translates dimensions. Absent ones are all empty.
func readDimensions(d *warehouse.Dimensions, p *flywheelv1.Dimensions) error {
	if p == nil {
		return nil
	}
	var names naming
	*d = warehouse.Dimensions{
		User:          p.GetUser(),
		Repository:    p.GetRepository(),
		Surface:       names.name(&surfaces, int32(p.GetSurface())),
		Model:         p.GetModel(),
		Variant:       p.GetVariant(),
		Experiment:    p.GetExperiment(),
		Language:      p.GetLanguage(),
		Client:        p.GetClient(),
		ClientVersion: p.GetClientVersion(),
		ClientSetting: p.GetClientSetting(),
		ViewKind:      names.name(&viewKinds, int32(p.GetViewKind())),
		Source:        names.name(&sources, int32(p.GetSource())),
		Trigger:       names.name(&triggers, int32(p.GetTrigger())),
	}
	return names.err
}

func raiseDimensions(kept, d *warehouse.Dimensions) {
	raise(&kept.User, d.User)
	raise(&kept.Repository, d.Repository)
	raise(&kept.Surface, d.Surface)
	raise(&kept.Model, d.Model)
	raise(&kept.Variant, d.Variant)
	raise(&kept.Experiment, d.Experiment)
	raise(&kept.Language, d.Language)
	raise(&kept.Client, d.Client)
	raise(&kept.ClientVersion, d.ClientVersion)
	raise(&kept.ClientSetting, d.ClientSetting)
	raise(&kept.ViewKind, d.ViewKind)
	raise(&kept.Source, d.Source)
	raise(&kept.Trigger, d.Trigger)
}

// text finds or makes the row of an event's content in the table content, and notes
// its consent. It returns nil when the event has no content.
func (b *Batch) text(h *head, id [16]byte) *warehouse.Text {
	c := h.event.GetContent()
	if c == nil {
		return nil
	}
	i, found := b.place(&b.content, h.tenant, id, len(b.Content))
	if !found {
		b.Content = append(b.Content, warehouse.Text{Tenant: h.tenant, ID: id})
	}
	row := &b.Content[i]
	row.Consents |= 1 << c.GetConsent()
	return row
}
