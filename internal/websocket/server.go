package websocket

import (
	"context"
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
	// HandoverAfter is how long [Turn.Work] may keep the reading goroutine.
	// Default 10 ms; it is kept to within a factor of two.
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
		o.HandoverAfter = 10 * time.Millisecond
	}
	return o
}

// A Server holds what its connections share. Its methods may be called
// concurrently.
type Server struct {
	opts  Options
	watch watchdog
}

// NewServer returns a Server. Nothing runs before [Server.Run].
func NewServer(opts Options) *Server {
	opts = opts.withDefaults()
	return &Server{opts: opts, watch: watchdog{wake: make(chan struct{}, 1), every: opts.HandoverAfter}}
}

// Run watches over long calls of [Turn.Work] until ctx ends. Without it
// connections work, but a slow handler keeps its connection from being read.
func (s *Server) Run(ctx context.Context) error {
	s.watch.run(ctx)
	return nil
}
