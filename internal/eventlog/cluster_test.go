package eventlog

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// natsCluster runs three servers that know each other, and returns them when they have
// a leader.
func natsCluster(t testing.TB, change func(*server.Options)) []*server.Server {
	t.Helper()
	var routes []*url.URL
	for range 3 {
		lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, &url.URL{Scheme: "nats", Host: lis.Addr().String()})
		if err := lis.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var servers []*server.Server
	for i, route := range routes {
		servers = append(servers, natsServer(t, func(o *server.Options) {
			o.ServerName = fmt.Sprint("server-", i)
			o.Cluster = server.ClusterOpts{Name: "cluster", Host: "127.0.0.1", Port: portOf(t, route)}
			o.Routes, o.JetStreamMaxStore = routes, storeLimit
			change(o)
		}))
	}
	waitFor(t, func() bool {
		leaders := 0
		for _, srv := range servers {
			if srv.JetStreamIsLeader() {
				leaders++
			}
		}
		return leaders == 1 && servers[0].JetStreamIsCurrent() && servers[1].JetStreamIsCurrent() && servers[2].JetStreamIsCurrent()
	})
	return servers
}

func portOf(t testing.TB, at *url.URL) int {
	t.Helper()
	address, err := net.ResolveTCPAddr("tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	return address.Port
}

// clusterConfig is that of a log in a cluster.
func clusterConfig(servers []*server.Server, replicas, shards int) Config {
	var urls []string
	for _, srv := range servers {
		urls = append(urls, srv.ClientURL())
	}
	cfg := config("")
	cfg.URL, cfg.Replicas, cfg.Shards = strings.Join(urls, ","), replicas, shards
	return cfg
}

// leaders are the servers that lead the shards of the outcome lane.
func leaders(t *testing.T, log *Log) (names []string) {
	t.Helper()
	for _, s := range log.lanes[Outcome].all() {
		_, info, err := log.streamInfo(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Cluster.Leader)
	}
	return names
}

// TestClusterLosesLeader: three servers hold each stream. The one that leads the first
// shard goes away under publishers and consumers; everything acknowledged, before and
// after, is in the log once and is delivered.
func TestClusterLosesLeader(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			t.Parallel()
			servers := natsCluster(t, func(*server.Options) {})
			log := open(t, clusterConfig(servers, 3, shards))
			delivered := collect(t, consume(t, log, Outcome))
			p := newPublishers(t)
			for i := range 4 {
				p.start(fmt.Sprint("p", i), log, Outcome, 5_000)
			}
			p.waitAcknowledged(40)
			led := leaders(t, log)
			for _, srv := range servers {
				if srv.Name() == led[0] {
					srv.Shutdown()
					srv.WaitForShutdown()
				}
			}
			p.waitAcknowledged(100)
			p.stop()
			t.Logf("leaders were %v and are %v, %d records acknowledged", led, leaders(t, log), p.count())

			records := storedRecords(t, log, Outcome)
			p.wantAcknowledged(records)
			for record, n := range records {
				if n != 1 {
					t.Errorf("%sis in the log %d times", record, n)
				}
			}
			waitFor(t, func() bool { return delivered.len() == len(records) })
			p.wantAcknowledged(delivered.all())
		})
	}
}

// delivery is the records that a consumer has delivered, and acknowledged.
type delivery struct {
	mu      sync.Mutex
	records map[string]int
}

// collect takes what a consumer delivers until the test ends.
func collect(t *testing.T, consumer *Consumer) *delivery {
	d := &delivery{records: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			m, err := consumer.Next(ctx)
			if err != nil {
				return
			}
			name, _, _ := strings.Cut(string(m.Data()), " ")
			d.mu.Lock()
			d.records[name+" "]++
			d.mu.Unlock()
			_ = m.Ack() // one that is lost comes again
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return d
}

func (d *delivery) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.records)
}

func (d *delivery) all() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.records
}
