// Package rpc holds what every gRPC server of Flywheel shares: transport
// settings, recovery from panics, health, reflection, a stop that loses nothing,
// and the tenant of a call.
package rpc
