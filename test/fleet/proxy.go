package fleet

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// A Proxy takes TCP connections at one address to the instances in turn. One
// that refuses is passed over. Requests of one polling client reach different
// instances through it: it is for WebSocket and for publishing.
type Proxy struct {
	URL string

	backends []string
	mu       sync.Mutex
	next     int
	open     map[net.Conn]bool
	closed   bool
	all      sync.WaitGroup
}

// StartProxy starts a proxy, which ends with the test.
func StartProxy(t testing.TB, urls []string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "http://" + l.Addr().String(), open: map[net.Conn]bool{}}
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		p.backends = append(p.backends, u.Host)
	}
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
		p.closeAll()
		p.all.Wait()
	})
	return p
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

// dial connects to the next instance that takes connections, nil if none does.
func (p *Proxy) dial() net.Conn {
	for range p.backends {
		p.mu.Lock()
		backend := p.backends[p.next%len(p.backends)]
		p.next++
		p.mu.Unlock()
		if c, err := net.DialTimeout("tcp", backend, 2*time.Second); err == nil {
			return c
		}
	}
	return nil
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

func (p *Proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.open {
		c.Close()
	}
}
