// Package sequence reads what happened in sessions, in its true order: it rebuilds the
// documents edit by edit, and gives for every interaction what the agent could know then,
// and what the user wrote after it. This is what a diff of the final text has lost.
package sequence
