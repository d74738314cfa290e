// Package flywheel sends what an AI agent offers, and what people do with it, to a
// Flywheel collector.
//
// Make one [Client] per process with [Dial]. A [Session] is one user's work with the
// agent. An [Opportunity] is one moment at which the agent could offer something; it
// produces nothing, for a reason, or [Interaction] values: pieces of model output that
// are shown or not, read, and come to one terminal outcome. Around them a session
// records edits, messages and tool calls in their order.
//
//	session := client.Session(flywheel.SessionInfo{Client: "acme-editor", User: "u-17"})
//	opportunity := session.Opportunity(flywheel.Dimensions{Model: "tab-7b@3"})
//	suggestion := opportunity.Suggest(flywheel.Suggestion{Output: text})
//	suggestion.Shown(flywheel.Shown{})
//	suggestion.Accepted()
//
// What each event means and how rates are made of them is in docs/signals.md.
//
// # Guarantees
//
// The agent comes first. Recording an event encodes it into a queue and returns: it
// waits for no network, reports no error and does not panic, on nil values, after
// [Client.Close] and with odd text included. When the queue is full the event is
// dropped, traces before outcomes; importers can wait instead ([WithBlockWhenFull]).
//
// A queued event is sent until the collector has answered for it: acknowledged, which
// means synced to its disk, or refused for good. A batch is sent again with the same
// id and the same bytes, which changes nothing if it did arrive before. One event that
// the collector cannot take does not take others along. Events still in the queue when
// the process ends are lost: call [Client.Close].
//
// Every event ends up in one of four numbers: queued, accepted, rejected, dropped
// ([Client.Stats]). Drops and rejections are logged too, each kind once a minute.
//
// # Text
//
// Fields marked as content (prompts, outputs, what the user wrote) leave the process
// only with the user's consent, given by [WithContent]. Lengths and outcomes always
// do: they are enough for every rate. Text too large ([WithMaxContent]) is left out
// whole; names too long, and what is not valid UTF-8, are made to fit. Both are
// counted, neither loses the event.
//
// # Time
//
// Events have the time at which the method is called, by the client's clock
// ([WithClock]), and ids are UUIDv7 of that time. Durations that are left zero are
// taken from that clock where the client saw their beginning.
//
// # Memory and goroutines
//
// The queue holds at most the bytes and events of [WithQueue], what is under way
// included, and one batch's buffer. A call keeps nothing of what it was given, except
// that an opportunity holds its [Dimensions]. All types are safe for concurrent use. A
// client has one goroutine that sends and, while it is connected, one that receives,
// besides gRPC's; Close waits for them.
package flywheel
