package eventlog

import (
	"fmt"
	"log/slog"
	"sync"
)

// serverLog passes the embedded server's lines on to slog. What the server notes in
// normal operation is of interest when debugging only.
type serverLog struct {
	log *slog.Logger

	mu    sync.Mutex
	cause error
}

// Noticef logs what the server notes in normal operation.
func (s *serverLog) Noticef(format string, v ...any) {
	s.log.Debug("event log server", slog.String("text", fmt.Sprintf(format, v...)))
}

// Warnf logs what deserves attention.
func (s *serverLog) Warnf(format string, v ...any) {
	s.log.Warn("event log server", slog.String("text", fmt.Sprintf(format, v...)))
}

// Errorf logs what has failed.
func (s *serverLog) Errorf(format string, v ...any) {
	s.log.Error("event log server", slog.String("text", fmt.Sprintf(format, v...)))
}

// Fatalf keeps the first reason why the server cannot run, for [serverLog.fatal]. It
// ends nothing.
func (s *serverLog) Fatalf(format string, v ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = fmt.Errorf(format, v...)
	}
}

// Debugf is never called: the server is told not to debug.
func (*serverLog) Debugf(string, ...any) {}

// Tracef is never called: the server is told not to trace.
func (*serverLog) Tracef(string, ...any) {}

// fatal returns why the server cannot run, or nil.
func (s *serverLog) fatal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}
