package rpc

import (
	"context"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// recoverer turns a handler's panic into an INTERNAL status of that call.
type recoverer struct {
	log *slog.Logger
}

func (r recoverer) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
	defer r.recover(ctx, info.FullMethod, &err)
	return handler(ctx, req)
}

func (r recoverer) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer r.recover(stream.Context(), info.FullMethod, &err)
	return handler(srv, stream)
}

// recover must be deferred directly: only then does the built-in see the panic.
func (r recoverer) recover(ctx context.Context, method string, err *error) {
	cause := recover()
	if cause == nil {
		return
	}
	r.log.ErrorContext(ctx, "panic in handler",
		slog.String("method", method),
		slog.Any("panic", cause),
		slog.String("stack", string(debug.Stack())))
	*err = status.Error(codes.Internal, "internal error: the call failed because of a defect in the server, see its log")
}
