// Package processor turns the log's events into the rows that reports read.
//
// A [Processor] moves events from the log into ClickHouse as rows of interactions,
// opportunities, content, edits and steps; a [Settler] counts interactions and
// opportunities into rates. Both may run anywhere, in any number, and may be killed at
// any point. DESIGN.md says what happens then; package signal says what an event
// becomes.
package processor
