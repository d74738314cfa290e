// Package collector takes batches of events over gRPC and answers a batch when
// its events are durable in the event log, and not before.
//
// The bytes of an event are never decoded. A plan compiled at start from the
// descriptors of the contract walks them once and checks every rule that the
// contract states (proto/flywheel/v1/rules.proto); the bytes then go to the log as
// they came. Batches that arrive while earlier ones are being synced to disk share
// one message of the log: a sync costs about as much for 500 KB as for 500 bytes.
//
// What is acknowledged is safe; what is not may be sent again: merging is
// idempotent, so a duplicate never counts twice.
package collector
