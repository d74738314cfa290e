package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// netPrefix begins the names of all network namespaces and interfaces of a run.
	netPrefix = "fwf"
	// subnet is what they use; the third number is the slot.
	subnet = "10.77"
)

// network is the network of a run: one namespace per host, all on one bridge, or, where
// namespaces are not permitted, loopback for all.
type network struct {
	slot       int
	namespaces bool
	hosts      map[string]string // address by host
	blocked    map[[2]string]bool
}

// newNetwork makes a host per name. The slot has no network.
func newNetwork(ctx context.Context, slot int, names []string) (*network, error) {
	n := &network{slot: slot, hosts: map[string]string{}, blocked: map[[2]string]bool{}}
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
	space, outer := n.space(host), fmt.Sprintf("%s%dv%d", netPrefix, n.slot, i)
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

// block cuts two hosts off from each other, in both directions; unblock joins them.
func (n *network) block(ctx context.Context, a, b string) error {
	return errors.Join(
		ip(ctx, "-n "+n.space(a)+" route replace blackhole "+n.hosts[b]+"/32"),
		ip(ctx, "-n "+n.space(b)+" route replace blackhole "+n.hosts[a]+"/32"))
}

func (n *network) unblock(ctx context.Context, a, b string) error {
	return errors.Join(
		ip(ctx, "-n "+n.space(a)+" route del blackhole "+n.hosts[b]+"/32"),
		ip(ctx, "-n "+n.space(b)+" route del blackhole "+n.hosts[a]+"/32"))
}

// removeNetwork removes the network of a slot, also one that a killed harness left. That
// there is none is no error.
func removeNetwork(ctx context.Context, slot int) {
	n := &network{slot: slot}
	left, err := filepath.Glob("/run/netns/" + n.space("*"))
	if err != nil {
		return
	}
	for _, path := range left {
		_ = ip(ctx, "netns del "+filepath.Base(path))
	}
	_ = ip(ctx, "link del "+n.bridgeName())
}
