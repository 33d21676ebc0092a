package redis

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/redis/redistest"
)

// A peer is a server of the JavaScript implementation, in a process of its own.
type peer struct {
	t      *testing.T
	stdin  interface{ Write([]byte) (int, error) }
	stderr *lockedBuffer

	mu      sync.Mutex
	next    int
	replies map[int]chan reply
	events  []string // JSON
}

type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
	Event  json.RawMessage `json:"event"`
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startPeer(t *testing.T, s *redistest.Server, adapter, library string) *peer {
	t.Helper()
	folder, err := filepath.Abs("../../test/e2e")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "testdata/peer.cjs", folder, fmt.Sprint(s.Port()), adapter, library)
	p := &peer{t: t, stderr: &lockedBuffer{}, replies: map[int]chan reply{0: make(chan reply, 1)}}
	cmd.Stderr = p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(bufio.NewReader(stdout))
	}()
	t.Cleanup(func() {
		stdin.Close()
		<-read
		if err := cmd.Wait(); err != nil || p.stderr.String() != "" {
			t.Errorf("the peer ended with %v\n%s", err, p.stderr)
		}
	})
	p.result(0)
	return p
}

func (p *peer) read(r *bufio.Reader) {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		var got reply
		if err := json.Unmarshal(line, &got); err != nil {
			p.t.Errorf("the peer wrote %s", line)
			continue
		}
		p.mu.Lock()
		if got.Event != nil {
			p.events = append(p.events, string(got.Event))
		} else {
			p.replies[got.ID] <- got
		}
		p.mu.Unlock()
	}
}

func (p *peer) result(id int) string {
	p.t.Helper()
	p.mu.Lock()
	c := p.replies[id]
	p.mu.Unlock()
	select {
	case r := <-c:
		if r.Error != "" {
			p.t.Fatalf("the peer says %s", r.Error)
		}
		return string(r.Result)
	case <-time.After(eventually.Patience):
		p.t.Fatalf("the peer does not answer\n%s", p.stderr)
		return ""
	}
}

// begin evaluates code; result tells what came of it.
func (p *peer) begin(code string) (id int) {
	p.t.Helper()
	p.mu.Lock()
	p.next++
	id = p.next
	p.replies[id] = make(chan reply, 1)
	p.mu.Unlock()
	line, _ := json.Marshal(map[string]any{"id": id, "code": code})
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p *peer) eval(code string) string {
	p.t.Helper()
	return p.result(p.begin(code))
}

// expect waits for events, in any order, and forgets them. There must be no
// others.
func (p *peer) expect(want ...string) {
	p.t.Helper()
	p.await(len(want))
	p.eval("await new Promise((done) => setTimeout(done, 5))") // what else there may be
	p.mu.Lock()
	defer p.mu.Unlock()
	got := map[string]int{}
	for _, e := range p.events {
		got[e]++
	}
	for _, w := range want {
		got[w]--
	}
	for e, n := range got {
		if n != 0 {
			p.t.Errorf("%+d of %s", n, e)
		}
	}
	p.events = nil
	if p.t.Failed() {
		p.t.FailNow()
	}
}

// await waits for so many events.
func (p *peer) await(n int) {
	eventually.Within(eventually.Patience, time.Millisecond, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.events) >= n
	})
}

// withoutOffsets removes the offset that a server with recovery adds as last argument.
func (p *peer) withoutOffsets(event string) string {
	if i := strings.LastIndex(event, `,"`); i > 0 && strings.Count(event[i:], "-") == 1 {
		return event[:i] + "]"
	}
	return event
}
