// Package cluster shows that servers of this program share a cluster with
// those on socket.io from npm: every operation in every direction, with each
// of the official Redis adapters.
package cluster
