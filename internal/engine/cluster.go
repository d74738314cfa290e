package engine

import (
	"errors"
	"fmt"
	"regexp"
)

// Cluster is a ClickHouse cluster of engines on this machine, one shard each and without
// replicas: an engine has no Keeper and serves no other server's fetches. All its engines
// are started with the same values, but for Node.
type Cluster struct {
	// Name is the cluster's name in ClickHouse (system.clusters).
	Name string
	// Ports are those of the nodes' native protocol on loopback, Node is which of them
	// this engine is.
	Ports []int
	Node  int
	// Password is that of all nodes: letters and digits.
	Password string
}

var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// Validate returns everything that is wrong with the cluster, or nil. Nil is valid.
func (c *Cluster) Validate() error {
	if c == nil {
		return nil
	}
	var errs []error
	if !word.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("cluster name %q: a letter and then letters, digits and underscores are needed", c.Name))
	}
	if !word.MatchString(c.Password) {
		errs = append(errs, errors.New("cluster password: a letter and then letters, digits and underscores are needed"))
	}
	if c.Node < 0 || c.Node >= len(c.Ports) {
		errs = append(errs, fmt.Errorf("node %d of a cluster of %d", c.Node, len(c.Ports)))
	}
	return errors.Join(errs...)
}
