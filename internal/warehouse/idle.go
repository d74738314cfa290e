package warehouse

import (
	"sync"
	"time"

	"github.com/ClickHouse/ch-go"
)

// maxIdle is how long a connection may have been idle to be used again: less than after
// what time servers and what is before them close it.
const maxIdle = time.Minute

// idleClients are open connections that nobody uses. The zero value is empty and ready;
// it is safe for concurrent use.
type idleClients struct {
	mu      sync.Mutex
	clients []idleClient // the one used last is at the end
	closed  bool
}

type idleClient struct {
	*ch.Client
	since time.Time
}

// take returns the connection that was used last, or nil when none can be used.
func (i *idleClients) take() *ch.Client {
	i.mu.Lock()
	defer i.mu.Unlock()
	last := len(i.clients) - 1
	if last < 0 {
		return nil
	}
	if time.Since(i.clients[last].since) > maxIdle {
		i.clear()
		return nil
	}
	client := i.clients[last].Client
	i.clients = i.clients[:last]
	return client
}

// put keeps a connection for others.
func (i *idleClients) put(client *ch.Client) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || len(i.clients) == maxConnections {
		_ = client.Close()
		return
	}
	i.clients = append(i.clients, idleClient{client, time.Now()})
}

// drop closes a connection after a failure, and the idle ones, which may be to the same
// server that is gone.
func (i *idleClients) drop(client *ch.Client) {
	_ = client.Close()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.clear()
}

// close closes the idle connections, and later ones when they become idle.
func (i *idleClients) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	i.clear()
}

func (i *idleClients) clear() {
	for _, idle := range i.clients {
		_ = idle.Close()
	}
	i.clients = nil
}
