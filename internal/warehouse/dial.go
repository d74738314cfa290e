package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// closeTimeout bounds how long closing a connection waits for the server.
const closeTimeout = 2 * time.Second

// dial opens a connection that ends in order. It does not speak TLS: servers that
// do are not the embedded engine.
func dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("dial %s: %T is no TCP connection", address, conn), conn.Close())
	}
	return orderlyConn{tcp}, nil
}

// orderlyConn tells the server that it is closing and reads what the server still
// says, so that the server never finds its connection reset. The embedded engine's
// main ends the whole process on such an error; see docs/adr/003.
type orderlyConn struct{ *net.TCPConn }

// Close ends the connection. It waits for the server, but not for long.
func (c orderlyConn) Close() error {
	if c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(closeTimeout)) == nil {
		_, _ = io.Copy(io.Discard, c.TCPConn)
	}
	return c.TCPConn.Close()
}
