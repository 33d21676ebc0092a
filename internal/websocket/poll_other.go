//go:build !linux

package websocket

import "net"

// readSize is the size of a read buffer.
const readSize = streamBuffer

// Without epoll every connection is a stream.

type (
	socket struct{ shard *shard }
	shard  struct{}
)

func newShards(*Server) ([]*shard, error) { return nil, nil }

func (*shard) run()       {}
func (*shard) stop()      {}
func (*shard) add(*Conn)  {}
func (*shard) wake(*Conn) {}

func (c *Conn) adopt(net.Conn) bool         { return false }
func (c *Conn) armLocked()                  {}
func (c *Conn) shutdown()                   {}
func (c *Conn) release()                    { c.nc.Close() }
func (c *Conn) write(b []byte) (int, error) { return 0, nil }
