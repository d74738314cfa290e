// Package eventlog is the durable log between collectors and processors, and the
// only place that names a stream, a subject or a consumer of it.
//
// The log is NATS JetStream: embedded in this process, or a server of one's own.
// It has two lanes, each of one stream or more (shards), and a stream of dead letters.
// A record is bytes to this package; what is in them (a LogRecord) is agreed between
// its users.
//
// Three promises hold, and everything else follows from them:
//
//   - [Log.Publish] returns nil when the record is stored, and not before. With the
//     embedded log, stored means synced to disk.
//   - A record is delivered until a processor acknowledges it: at least once,
//     possibly more often, in no promised order.
//   - Nothing makes room by dropping a record that is not acknowledged. A lane
//     without room refuses with [ErrFull]. Only age, [StreamLimits.MaxAge], ends
//     the life of such a record, and [Log.Trim] warns before that.
//
// See DESIGN.md for how, and why.
package eventlog
