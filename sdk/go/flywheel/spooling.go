package flywheel

import "errors"

// keep puts a batch that is in memory on disk, where it takes no memory. If that is
// not possible, it stays in memory.
func (e *exporter) keep(b *batch) {
	if !e.store(b) {
		return
	}
	b.data, b.spooled = nil, true
	e.queue.toSpool(b.events, b.size)
}

// keepPart is keep for a part of a batch, which is counted where the batch was.
func (e *exporter) keepPart(part *batch) {
	if part.spooled {
		e.store(part)
	}
}

// store writes a batch to the spool and says whether that is done.
func (e *exporter) store(b *batch) bool {
	if e.spool == nil || b.file != "" {
		return false
	}
	err := e.spool.put(b)
	switch {
	case err == nil:
		return true
	case !errors.Is(err, errSpoolFull):
		e.counters.spoolErrors.Add(1)
		e.warnings.spool("events cannot be kept on disk, they stay in memory", err)
	default:
		e.warnings.spool("the spool is full, events stay in memory", err)
	}
	return false
}

// load makes sure that a batch is in memory. It returns false for one that cannot be
// read any more, whose events are dropped.
func (e *exporter) load(b *batch) bool {
	if b.data != nil {
		return true
	}
	err := e.spool.load(b)
	if err == nil {
		return true
	}
	e.warnings.spool("a batch on disk cannot be read and is set aside", err)
	e.spool.setAside(b)
	e.counters.dropped.Add(uint64(b.events))
	e.queue.release(b, b.events, b.size)
	return false
}

// done releases so many events of a batch that was answered.
func (e *exporter) done(b *batch, events, bytes int) {
	e.forget(b)
	e.queue.release(b, events, bytes)
}

// forget removes a batch from the disk: it was answered, or its parts stand for it.
func (e *exporter) forget(b *batch) {
	if b.file != "" {
		e.spool.remove(b)
	}
}

// leaveToSpool says whether a client that closes need not wait: everything is on disk
// and the collector cannot be reached, or takes nothing.
func (e *exporter) leaveToSpool() bool {
	memory, _ := e.queue.held()
	return e.spool != nil && e.failures > 0 && memory == 0
}

// stow puts what is left in memory on disk, as far as there is room, and gives the
// spool to the next client.
func (e *exporter) stow() {
	if e.spool == nil {
		return
	}
	e.queue.close()
	e.pending = append(e.pending, e.queue.take().sealed...)
	for _, b := range e.pending {
		if !b.spooled {
			e.keep(b)
		}
	}
	e.spool.close()
}
