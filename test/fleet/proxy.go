package fleet

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// A Proxy takes TCP connections at one address to several in turn: a load
// balancer without stickiness, so for WebSocket and for publishing, not for
// polling. One that refuses is passed over, and so is one that is not ready.
type Proxy struct {
	URL string

	mu       sync.Mutex
	backends []string
	unready  map[string]bool
	next     int
	open     map[net.Conn]bool
	closed   bool
	all      sync.WaitGroup
}

// StartProxy starts a proxy before some URLs, which ends with the test.
func StartProxy(t testing.TB, urls ...string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{open: map[net.Conn]bool{}, unready: map[string]bool{}}
	p.Target(urls...)
	u, _ := url.Parse(urls[0])
	p.URL = u.Scheme + "://" + l.Addr().String()
	p.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.Cut()
		p.all.Wait()
	})
	return p
}

// Target sets where connections go from now on.
func (p *Proxy) Target(urls ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backends = nil
	for _, raw := range urls {
		if u, err := url.Parse(raw); err == nil {
			p.backends = append(p.backends, u.Host)
		}
	}
}

// Watch asks instances every so often whether they are ready, until ctx ends.
func (p *Proxy) Watch(ctx context.Context, instances []*Instance) {
	for {
		for _, in := range instances {
			ready := in.Ready()
			p.mu.Lock()
			p.unready[in.addr] = !ready
			p.mu.Unlock()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server := p.dial()
	if server == nil {
		return
	}
	defer server.Close()
	if !p.keep(client, server) {
		return
	}
	defer p.forget(client, server)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			io.Copy(way[1], way[0])
			client.Close()
			server.Close()
		})
	}
	both.Wait()
}

// dial connects to the next that takes connections, nil if none does.
func (p *Proxy) dial() net.Conn {
	for _, backend := range p.candidates() {
		if c, err := net.DialTimeout("tcp", backend, 2*time.Second); err == nil {
			return c
		}
	}
	return nil
}

// candidates returns those that are ready, beginning with another each time.
func (p *Proxy) candidates() (ready []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.backends {
		if b := p.backends[(p.next+i)%len(p.backends)]; !p.unready[b] {
			ready = append(ready, b)
		}
	}
	p.next++
	return ready
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.open[c] = true
	}
	return !p.closed
}

func (p *Proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.open, c)
	}
}

// Cut ends all connections, for good.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.open {
		c.Close()
	}
}
