package leaks

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// done is the answer to every command of the crowd that went well.
const done = "done"

// serveCrowd does what its standard input says, one line at a time.
func serveCrowd(address, token string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	s := &street{host: u.Host, token: token}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		var what string
		var n int
		if _, err := fmt.Sscan(commands.Text(), &what, &n); err != nil {
			return err
		}
		switch what {
		case "abort":
			err = s.each(n, func(i int) error {
				if err := s.abort(stages[i%len(stages)].run); err != nil {
					return fmt.Errorf("%s: %w", stages[i%len(stages)].name, err)
				}
				return nil
			})
		case "idle":
			err = s.each(n, s.settle)
		case "vanish":
			s.vanish()
		}
		if err != nil {
			return err
		}
		fmt.Println(done)
	}
	return nil
}

// street is where clients come from.
type street struct {
	host, token string
	dialed      atomic.Uint32

	mu   sync.Mutex
	idle []*resident
}

// each calls fn for 0 to n-1, a few at a time.
func (s *street) each(n int, fn func(i int) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, 16)
	for range cap(failed) {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := fn(i - 1); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// wire is one TCP connection.
type wire struct {
	*net.TCPConn
	r *bufio.Reader
	s *street
}

// dial comes from ever another address of this machine: one has too few ports.
func (s *street) dial() (*wire, error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+s.dialed.Add(1)%100))}
	c, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", s.host)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	return &wire{c.(*net.TCPConn), bufio.NewReaderSize(c, 1024), s}, nil
}

// reset ends the connection with a RST, as a process that crashes does.
func (w *wire) reset() {
	w.SetLinger(0)
	w.Close()
}

func (w *wire) say(format string, args ...any) error {
	_, err := fmt.Fprintf(w, format, args...)
	return err
}

// ask sends a request; header lines end with \r\n.
func (w *wire) ask(method, query, header, body string) error {
	return w.say("%s /socket.io/?EIO=4&%s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s", method, query, w.s.host, header, body)
}

const wsHeader = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func (w *wire) upgrade(query string) error {
	return errors.Join(w.ask("GET", "transport=websocket"+query, wsHeader, ""), w.opened())
}

func (w *wire) get(path, header string) error {
	return w.say("GET %s?token=%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, w.s.token, w.s.host, header)
}

// plain opens a plain WebSocket.
func (w *wire) plain(path string) error { return errors.Join(w.get(path, wsHeader), w.opened()) }

// opened reads the answer to a handshake.
func (w *wire) opened() error {
	res, err := http.ReadResponse(w.r, nil)
	if err == nil && res.StatusCode != http.StatusSwitchingProtocols {
		err = errors.New(res.Status)
	}
	return err
}

// poll sends a request of the polling transport and returns the answer.
func (w *wire) poll(query string) (string, error) {
	if err := w.ask("GET", "transport=polling"+query, "", ""); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// openPolling returns the query that belongs to a new polling connection.
func (w *wire) openPolling() (query string, err error) {
	body, err := w.poll("")
	if err != nil {
		return "", err
	}
	var h struct{ SID string }
	err = json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &h)
	return "&sid=" + h.SID, err
}

func (w *wire) send(packet string) error {
	_, err := w.Write(websocket.AppendClientFrame(nil, websocket.OpText, []byte(packet)))
	return err
}

// next returns the next packet that is no heartbeat; those it answers.
func (w *wire) next() (string, error) {
	for {
		packet, err := w.read()
		if err != nil || packet != "2" {
			return packet, err
		}
		if err := w.send("3"); err != nil {
			return "", err
		}
	}
}

func (w *wire) read() (string, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(w.r, head[:2]); err != nil {
		return "", err
	}
	n := int(head[1])
	if n == 126 {
		if _, err := io.ReadFull(w.r, head[2:]); err != nil {
			return "", err
		}
		n = int(head[2])<<8 | int(head[3])
	}
	b := make([]byte, n)
	_, err := io.ReadFull(w.r, b)
	return string(b), err
}

// expect reads until a packet begins with prefix.
func (w *wire) expect(prefix string) error {
	for {
		packet, err := w.next()
		if err != nil || strings.HasPrefix(packet, prefix) {
			return err
		}
		if strings.HasPrefix(packet, "44") {
			return errors.New(packet)
		}
	}
}

func (w *wire) connect() error {
	if err := w.upgrade(""); err != nil {
		return err
	}
	return w.send(fmt.Sprintf(`40{"token":%q}`, w.s.token))
}

func (w *wire) join() error { return w.send(`420["join_tenant","default"]`) }

// enter connects, and is in a room when it returns.
func (w *wire) enter() error {
	return errors.Join(w.connect(), w.expect("40"), w.join(), w.expect("430"))
}
