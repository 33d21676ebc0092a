package redistest

import (
	"fmt"
	"strings"
	"testing"
)

const slots = 16384

// A Cluster is a Redis Cluster of masters.
type Cluster struct{ Nodes []*Server }

// StartCluster starts a Redis Cluster and waits until all of it is in order.
func StartCluster(t testing.TB, masters int) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range masters {
		c.Nodes = append(c.Nodes, Start(t, Options{Args: []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", fmt.Sprint(freePort(t))}}))
	}
	for i, n := range c.Nodes {
		n.Do("CLUSTER", "ADDSLOTSRANGE", slots*i/masters, slots*(i+1)/masters-1)
		n.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i > 0 {
			first := c.Nodes[0]
			n.Do("CLUSTER", "MEET", "127.0.0.1", first.port, clusterPort(first))
		}
	}
	for _, n := range c.Nodes {
		n.await("the cluster is not complete", func() bool {
			info, err := n.try("CLUSTER", "INFO")
			return err == nil && strings.Contains(info.(string), "cluster_state:ok") &&
				strings.Contains(info.(string), fmt.Sprintf("cluster_known_nodes:%d", masters))
		})
	}
	return c
}

// Addrs are the addresses of the nodes.
func (c *Cluster) Addrs() (addrs []string) {
	for _, n := range c.Nodes {
		addrs = append(addrs, n.Addr())
	}
	return addrs
}

func clusterPort(s *Server) string {
	for i, a := range s.args {
		if a == "--cluster-port" {
			return s.args[i+1]
		}
	}
	return ""
}
