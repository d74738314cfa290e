// Package rpc holds what every gRPC server of Flywheel shares: transport
// settings, recovery from panics, health, reflection, a stop that loses nothing,
// the tenant of a call, and errors that say which field is wrong.
package rpc
