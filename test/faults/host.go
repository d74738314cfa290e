package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	// netPrefix begins the names of all network namespaces and interfaces of a run.
	netPrefix = "fwf"
	// subnet is what they use; the third number is the slot.
	subnet = "10.77"
)

// network is the network of a run: one namespace per host, all on one bridge, or, where
// namespaces are not permitted, loopback for all, with links in between.
type network struct {
	slot       int
	namespaces bool
	hosts      map[string]string // address by host
}

// newNetwork makes a host per name. The slot has no network.
func newNetwork(ctx context.Context, slot int, names []string) (*network, error) {
	n := &network{slot: slot, hosts: map[string]string{}}
	n.namespaces = os.Geteuid() == 0 && n.bridge(ctx) == nil
	for i, name := range names {
		n.hosts[name] = "127.0.0.1"
		if !n.namespaces {
			continue
		}
		n.hosts[name] = fmt.Sprintf("%s.%d.%d", subnet, slot, 11+i)
		if err := n.add(ctx, name, i); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *network) space(host string) string { return fmt.Sprintf("%s%d-%s", netPrefix, n.slot, host) }

// outer is the harness's end of a host's cable.
func (n *network) outer(number string) string {
	return fmt.Sprintf("%s%dv%s", netPrefix, n.slot, number)
}

func (n *network) bridgeName() string { return fmt.Sprintf("%s%d", netPrefix, n.slot) }

// gateway is the address of the harness that hosts reach.
func (n *network) gateway() string {
	if !n.namespaces {
		return "127.0.0.1"
	}
	return n.bridgeAddress()
}

func (n *network) bridgeAddress() string { return fmt.Sprintf("%s.%d.1", subnet, n.slot) }

func ip(ctx context.Context, args string) error {
	_, err := output(ctx, "ip", strings.Fields(args)...)
	return err
}

func (n *network) bridge(ctx context.Context) error {
	name := n.bridgeName()
	for _, args := range []string{"link add " + name + " type bridge", "addr add " + n.bridgeAddress() + "/24 dev " + name, "link set " + name + " up"} {
		if err := ip(ctx, args); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) add(ctx context.Context, host string, i int) error {
	space, outer := n.space(host), n.outer(strconv.Itoa(i))
	for _, args := range []string{
		"netns add " + space,
		"link add " + outer + " type veth peer name eth0 netns " + space,
		"link set " + outer + " master " + n.bridgeName() + " up",
		"-n " + space + " addr add " + n.hosts[host] + "/24 dev eth0",
		"-n " + space + " link set eth0 up",
		"-n " + space + " link set lo up",
	} {
		if err := ip(ctx, args); err != nil {
			return err
		}
	}
	return nil
}

// command is how a program is started on a host.
func (n *network) command(host string, args ...string) []string {
	if !n.namespaces {
		return args
	}
	return append([]string{"ip", "netns", "exec", n.space(host)}, args...)
}

// isolate cuts a host off from all nodes of the log, in both directions, and returns what
// joins them again.
func (w *world) isolate(ctx context.Context, host string) (func() error, error) {
	peers := slices.DeleteFunc(natsNames(), func(name string) bool { return name == host })
	if !w.network.namespaces {
		var cut []*link
		for pair, l := range w.paths {
			if pair[0] == host || pair[1] == host && slices.Contains(natsNames(), pair[0]) {
				l.held.Store(true)
				cut = append(cut, l)
			}
		}
		return healLinks(cut), nil
	}
	each := func(ctx context.Context, route func(ctx context.Context, from, to string) error) error {
		var errs []error
		for _, name := range peers {
			errs = append(errs, route(ctx, host, name), route(ctx, name, host))
		}
		return errors.Join(errs...)
	}
	return func() error { return each(ctx, w.network.unblock) }, each(ctx, w.network.block)
}

// block lets a host send nothing to another; unblock ends that, if nothing has yet.
func (n *network) block(ctx context.Context, from, to string) error {
	return ip(ctx, "-n "+n.space(from)+" route replace blackhole "+n.hosts[to]+"/32")
}

func (n *network) unblock(ctx context.Context, from, to string) error {
	err := ip(ctx, "-n "+n.space(from)+" route del blackhole "+n.hosts[to]+"/32")
	if err != nil && strings.Contains(err.Error(), "No such process") { // a fault of the same host has ended
		return nil
	}
	return err
}

// path is the address at which a host reaches a port of a node of the log: the port
// itself or, where there are no namespaces, a link to it that can be held.
func (w *world) path(ctx context.Context, host, node, number string) (string, error) {
	address := net.JoinHostPort(w.network.hosts[node], number)
	if w.network.namespaces {
		return address, nil
	}
	l, err := newLink(ctx, w.network.gateway(), address)
	if err != nil {
		return "", err
	}
	w.paths[[2]string{host, node}] = l
	return l.address(), nil
}

// removeNetwork removes the network of a slot, also one that a killed harness left. That
// there is none is no error.
func removeNetwork(ctx context.Context, slot int) {
	n := &network{slot: slot}
	// A namespace takes its interfaces along, but later.
	for pattern, remove := range map[string]string{"/sys/class/net/" + n.outer("*"): "link del ", "/run/netns/" + n.space("*"): "netns del "} {
		left, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		for _, path := range left {
			_ = ip(ctx, remove+filepath.Base(path))
		}
	}
	_ = ip(ctx, "link del "+n.bridgeName())
}
