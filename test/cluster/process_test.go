package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// A command tells a server, the emitter or the clients what to do.
type command struct {
	ID       int      `json:"id"`
	Op       string   `json:"op"`
	NS       string   `json:"ns,omitempty"`
	Rooms    []string `json:"rooms,omitempty"`
	Except   []string `json:"except,omitempty"`
	Local    bool     `json:"local,omitempty"`
	Volatile bool     `json:"volatile,omitempty"`
	Timeout  int      `json:"timeout,omitempty"` // milliseconds
	Event    string   `json:"event,omitempty"`
	Args     []any    `json:"args,omitempty"`
	Names    []string `json:"names,omitempty"` // of rooms to join or leave
	Close    bool     `json:"close,omitempty"`
	Name     string   `json:"name,omitempty"` // of a client
	URL      string   `json:"url,omitempty"`
	Fence    int      `json:"fence,omitempty"`
}

// A binary value in arguments, as it stands on the control channel.
type binary struct {
	Data []byte `json:"$bin"`
}

// A doer carries out commands.
type doer interface {
	do(ctx context.Context, c command) (json.RawMessage, error)
}

// A process is a Node process that carries out commands which come in lines
// of JSON.
type process struct {
	url string // where it listens, if it does
	in  io.Writer

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	ended   bool
}

type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

// startProcess starts a script of test/peer. It ends with the test.
func startProcess(t *testing.T, script string, args ...string) *process {
	t.Helper()
	cmd := exec.Command("node", append([]string{"../peer/" + script}, args...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{in: in, waiting: map[int]chan answer{}}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	read := make(chan struct{})
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		<-read
		cmd.Wait()
	})
	var hello struct{ URL string }
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &hello) != nil {
		close(read)
		t.Fatalf("%s did not start", script)
	}
	p.url = hello.URL
	go func() {
		defer close(read)
		p.read(lines)
	}()
	return p
}

func (p *process) read(lines *bufio.Scanner) {
	for lines.Scan() {
		var a answer
		if json.Unmarshal(lines.Bytes(), &a) != nil {
			continue
		}
		p.mu.Lock()
		to := p.waiting[a.ID]
		delete(p.waiting, a.ID)
		p.mu.Unlock()
		if to != nil {
			to <- a
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, to := range p.waiting {
		to <- answer{Error: "the process has ended"}
	}
}

func (p *process) do(ctx context.Context, c command) (json.RawMessage, error) {
	to := make(chan answer, 1)
	if err := p.send(c, to); err != nil {
		return nil, err
	}
	select {
	case a := <-to:
		if a.Error != "" {
			return nil, errors.New(a.Error)
		}
		return a.Result, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", c.Op, ctx.Err())
	}
}

func (p *process) send(c command, to chan answer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return errors.New("the process has ended")
	}
	p.last++
	c.ID = p.last
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	p.waiting[c.ID] = to
	_, err = p.in.Write(append(line, '\n'))
	return err
}
