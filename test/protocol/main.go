// Command protocol is the small server that the official protocol suites ask
// for, built on the packages of the real one; and, for load tests, one that
// answers a few more events.
//
//	go run ./test/protocol -addr :3000          # Engine.IO 4, Socket.IO 5
//	go run ./test/protocol -addr :3000 -eio3    # Engine.IO 3
//
// At /engine.io/ it sends every message back. At /socket.io/ there are the
// namespaces / and /custom, which send "auth" to whoever enters, answer
// "message" with "message-back" and acknowledge "message-with-ack".
//
// For load tests: "bench:echo" is acknowledged by a typed handler behind the
// router, "bench:join" joins a room, and "bench:publish" {room, count, event,
// payload} publishes to one, count times back to back.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/gcfloor"
	"github.com/roomcast/roomcast/internal/redis"
)

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "127.0.0.1:3000", "address to listen on")
	flag.BoolVar(&o.eio3, "eio3", false, "admit Engine.IO 3")
	flag.BoolVar(&o.load, "load", false, "settings for load tests: the default heartbeat and limits, contract off")
	flag.BoolVar(&o.recovery, "recovery", false, "let clients come back to their sessions")
	flag.StringVar(&o.redis, "redis", "", "URL of a Redis by whose stream several of these are one cluster")
	flag.StringVar(&o.contract, "contract", "off", "contract of bench:echo: off or enforce")
	profile := flag.String("profile", "", "write a profile of the processor time to this file")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	gcfloor.Set() // as the real one does
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, func(addr net.Addr) { fmt.Println("listening on", addr) }); err != nil {
		log.Fatal(err)
	}
}

type options struct {
	addr     string
	eio3     bool
	load     bool
	recovery bool
	redis    string
	contract string
}

// engine returns the settings that the suites expect, or those for load tests.
func (o options) engine() engineio.Options {
	if o.load {
		return engineio.Options{AllowEIO3: o.eio3, SendLimit: 64 << 20}
	}
	return engineio.Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond, MaxPayload: 1_000_000, AllowEIO3: o.eio3}
}

// bus joins several of these; nil is none.
func (o options) bus() (cluster.Bus, error) {
	if o.redis == "" {
		return nil, nil
	}
	return redis.New(redis.Options{
		URL: o.redis, Adapter: redis.Streams, Prefix: "socket.io", Stream: redis.Stream{Name: "socket.io", MaxLen: 10_000, Count: 1},
		Timeout: 5 * time.Second, DialTimeout: 5 * time.Second, MaxWait: time.Second,
		QueueLength: 10_000, QueueBytes: 16 << 20, Log: slog.New(slog.DiscardHandler),
	})
}

// run serves until ctx ends. ready is called with the address once it listens.
func run(ctx context.Context, o options, ready func(net.Addr)) error {
	bus, err := o.bus()
	if err != nil {
		return err
	}
	sio, err := newSocketIO(o, bus, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	eio := newEngineIO(o)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", sio)
	mux.Handle("/engine.io/", eio)
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go sio.Run(background)
	if bus != nil {
		go bus.Run(background)
	}
	go eio.Run(background)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	ready(l.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go server.Shutdown(closing)
	sio.Close(closing)
	return eio.Close(closing)
}

// echo sends every Engine.IO message back.
type echo struct{ conn *engineio.Conn }

func newEngineIO(o options) *engineio.Server {
	opts := o.engine()
	opts.Open = func(c *engineio.Conn, _ *http.Request) engineio.Session { return echo{c} }
	return engineio.NewServer(opts)
}

func (e echo) Message(_ *engineio.Turn, data []byte, binary bool) {
	if binary {
		e.conn.Send(engineio.BinaryFrame(data))
	} else {
		e.conn.Reply(nil, data)
	}
}

func (echo) Closed(engineio.Reason) {}
