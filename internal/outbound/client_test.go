package outbound

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var limits = Limits{Time: 20 * time.Second, Body: 1 << 20}

// short is for what never ends by itself.
const short = 300 * time.Millisecond

// bombs are what a server may do to who asks it.
var bombs = map[string]struct {
	want  string
	serve http.HandlerFunc
}{
	"never answers": {"no answer within 300ms", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	"one byte at a time": {"the answer was not complete within 300ms", func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			<-tick.C
		}
	}},
	"slow headers": {"no answer within 300ms", func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		defer conn.Close()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: ")
		for err == nil {
			<-tick.C
			_, err = io.WriteString(conn, "x")
		}
	}},
	"large body": {"larger than 1048576 bytes", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20+1)) }},
	"body without an end": {"larger than 1048576 bytes", func(w http.ResponseWriter, r *http.Request) {
		for block := make([]byte, 64<<10); r.Context().Err() == nil; {
			w.Write(block)
		}
	}},
	"inflates": {"larger than 1048576 bytes", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(inflating)
	}},
	"large headers": {"headers of the answer are larger than 65536 bytes", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 65<<10))
	}},
	"many headers": {"headers of the answer are larger than 65536 bytes", func(w http.ResponseWriter, _ *http.Request) {
		for i := range 10_000 {
			w.Header().Set(fmt.Sprint("X-", i), "x")
		}
	}},
	"informs for ever": {"headers of the answer are larger than 65536 bytes", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 8<<10))
		for range 1000 {
			w.WriteHeader(http.StatusEarlyHints)
		}
	}},
	"redirects to itself": {"more than 5 redirects", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }},
	"redirects to a file": {"neither to http nor to https", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	}},
	"cuts the body": {"unexpected EOF", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("short"))
	}},
}

var inflating = func() []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(make([]byte, 8<<20))
	w.Close()
	return b.Bytes()
}()

func get(t *testing.T, c *Client, url string, l Limits) (Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(req, l)
}

func TestBombs(t *testing.T) {
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(bomb.serve)
			defer server.Close()
			client := New(Options{AllowPrivate: true})
			defer client.Close()
			begun := time.Now()
			l := limits
			if strings.Contains(bomb.want, short.String()) {
				l.Time = short
			}
			_, err := get(t, client, server.URL+"/secret", l)
			if err == nil || !strings.Contains(err.Error(), bomb.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %q", err, bomb.want)
			}
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Who ends a request from outside is told so, and not of a limit.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	req, _ := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	if _, err := New(Options{AllowPrivate: true}).Do(req, Limits{Time: time.Minute, Body: 1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Addresses are refused by what they are, however they are written, whatever
// name leads to them and wherever a redirect goes.
func TestPrivateAddresses(t *testing.T) {
	reached := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Host }))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	guarded := New(Options{Setting: "the setting"})
	for _, host := range []string{
		"127.0.0.1", "localhost", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[fe80::1%25lo]",
		"2130706433", "0x7f000001", "0177.0.0.1", "127.1", "user:password@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1.", "LOCALHOST",
		"10.0.0.1", "169.254.169.254", "192.168.1.1", "[fd00::1]",
	} {
		_, err := get(t, guarded, "http://"+host+":"+port+"/", Limits{Time: 5 * time.Second, Body: 1})
		if err == nil {
			t.Errorf("%s was reached", host)
		} else if private := strings.Contains(err.Error(), "the setting"); !private && !strings.Contains(err.Error(), "lookup") && !strings.Contains(err.Error(), "no answer within") { // a name that nobody knows
			t.Errorf("%s: %v", host, err)
		}
	}
	if len(reached) > 0 {
		t.Errorf("%s was reached", <-reached)
	}
}

// What was public when it was looked up and is private when it is connected
// to, or where it redirects to, is private: the one check is of the connection.
func TestPrivateAfterRedirect(t *testing.T) {
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inner server was reached") }))
	defer inner.Close()
	outer := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusFound))
	defer outer.Close()
	client := New(Options{Setting: "the setting"})
	allowed := strings.TrimPrefix(outer.URL, "http://")
	transport := client.http.Transport.(*http.Transport)
	guarded := transport.DialContext
	open := New(Options{AllowPrivate: true}).http.Transport.(*http.Transport).DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == allowed { // stands for a public one
			return open(ctx, network, address)
		}
		return guarded(ctx, network, address)
	}
	if _, err := get(t, client, outer.URL, limits); err == nil || !strings.Contains(err.Error(), "the setting") {
		t.Error(err)
	}
}

// A name that anybody can make leads where its owner says, which may be another
// place a moment later.
func TestNamesOfPrivateAddresses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was reached") }))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	go answer(dns)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", dns.LocalAddr().String())
	}}
	client := Options{Setting: "the setting"}.client(&net.Dialer{Resolver: resolver})
	for _, name := range []string{"public.example", "127.0.0.1.nip.example"} {
		if _, err := get(t, client, "http://"+name+":"+port, limits); err == nil || !strings.Contains(err.Error(), "the setting") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// answer says of every name that it is 127.0.0.1.
func answer(dns net.PacketConn) {
	for buf := make([]byte, 512); ; {
		n, from, err := dns.ReadFrom(buf)
		if err != nil {
			return
		}
		end := 12 + bytes.IndexByte(buf[12:n], 0) + 5 // of the question
		reply := append([]byte{}, buf[:end]...)
		copy(reply[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}) // one question, nothing else
		if reply[end-3] == 1 {                                      // it asks for IPv4
			reply[7] = 1
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
		}
		dns.WriteTo(reply, from)
	}
}

func TestRedirectedHeaders(t *testing.T) {
	seen := make(chan http.Header, 10)
	last := func(w http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone() }
	plain := httptest.NewServer(http.HandlerFunc(last))
	defer plain.Close()
	var target string
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/here" {
			last(w, r)
			return
		}
		http.Redirect(w, r, target, http.StatusTemporaryRedirect)
	}))
	defer secure.Close()
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, secure.URL+"/here", http.StatusTemporaryRedirect)
	}))
	defer there.Close()
	client := New(Options{AllowPrivate: true})
	client.http.Transport.(*http.Transport).TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
	for _, tt := range []struct {
		name, target string
		secrets      bool
	}{
		{"the same origin", "/here", true},
		{"from https to http and another port", plain.URL, false},
		{"another host", strings.Replace(plain.URL, "127.0.0.1", "localhost", 1), false},
		{"back by way of another", there.URL, false},
	} {
		target = tt.target
		req, _ := http.NewRequestWithContext(t.Context(), "POST", secure.URL+"/?token=secret", strings.NewReader("body"))
		for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Idempotency-Key"} {
			req.Header.Set(name, "secret")
		}
		if _, err := client.Do(req, limits); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := <-seen
		for _, name := range []string{"Authorization", "Cookie", "X-Api-Key"} {
			if (got.Get(name) != "") != tt.secrets {
				t.Errorf("%s: %s is %q", tt.name, name, got.Get(name))
			}
		}
		if got.Get("Referer") != "" || got.Get("Idempotency-Key") == "" {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// The environment may name a proxy, which would connect without asking.
func TestNoProxy(t *testing.T) {
	if New(Options{}).http.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy may be used")
	}
}

func TestCheckHeader(t *testing.T) {
	for _, name := range []string{"Host", "content-length", "Transfer-Encoding", "connection", "TE", "Upgrade", "Proxy-Authorization", "Keep-Alive", "Trailer", "", "a b", "a\r\nb", "ä", "a:"} {
		if CheckHeader(name) == nil {
			t.Errorf("%q may be set", name)
		}
	}
	for _, name := range []string{"Authorization", "x-api-key", "Idempotency-Key", "User-Agent", "Content-Type"} {
		if err := CheckHeader(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
