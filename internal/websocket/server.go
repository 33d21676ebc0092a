package websocket

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Options are shared by all connections of a [Server]. The zero value of a
// field means its default.
type Options struct {
	// MaxMessage bounds one message in bytes, after reassembly and, with
	// compression, after inflation. A longer one closes the connection with
	// [StatusTooBig]. Default 1,000,000.
	MaxMessage int
	// SendLimit bounds what is queued for a client that does not keep up, in
	// bytes. A single longer message is still sent. Default 1 MiB.
	SendLimit int
	// CloseTimeout is how long the client may take to read what is still
	// queued and to answer a close frame. Default 5 s.
	CloseTimeout time.Duration
	// HandoverAfter is how long what lies between [Turn.Begin] and [Turn.End]
	// may keep others from being read. Default 5 ms; it is kept to within a
	// factor of two.
	HandoverAfter time.Duration
}

func (o Options) withDefaults() Options {
	if o.MaxMessage <= 0 {
		o.MaxMessage = 1_000_000
	}
	if o.SendLimit <= 0 {
		o.SendLimit = 1 << 20
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = 5 * time.Second
	}
	if o.HandoverAfter <= 0 {
		o.HandoverAfter = 5 * time.Millisecond
	}
	return o
}

// A Server holds what its connections share. Its methods may be called
// concurrently.
type Server struct {
	opts   Options
	watch  watchdog
	shards func() []*shard // opened when they are first needed
	next   atomic.Uint32
}

// NewServer returns a Server. Connections are accepted, but not read, before
// [Server.Run].
func NewServer(opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{opts: opts, watch: watchdog{wake: make(chan struct{}, 1), every: opts.HandoverAfter}}
	s.shards = sync.OnceValue(func() []*shard {
		shards, _ := newShards(s) // without any, every connection is a stream
		return shards
	})
	return s
}

// nextShard returns the shard of a new connection.
func (s *Server) nextShard() *shard {
	shards := s.shards()
	return shards[int(s.next.Add(1))%len(shards)]
}

// Run reads connections until ctx ends, and then ends those that are left.
func (s *Server) Run(ctx context.Context) error {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var watch sync.WaitGroup
	watch.Go(func() { s.watch.run(watching) })
	for _, sh := range s.shards() {
		go sh.run()
	}
	<-ctx.Done()
	for _, sh := range s.shards() {
		sh.stop()
	}
	stop()
	watch.Wait()
	return nil
}
