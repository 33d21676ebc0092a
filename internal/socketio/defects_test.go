package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/namespaces"
)

// The tests of this file each hold one of the defects of the library that
// docs/defects.md lists.

// D5: CONNECT is answered however early it comes: with the WebSocket handshake
// in one segment, or on the heels of the polling handshake.
func TestEveryConnectIsAnswered(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	const clients = 1000
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range clients / 4 {
				if err := f.connectAtOnce(); err != nil {
					t.Errorf("WebSocket: %v", err)
					return
				}
			}
		})
		all.Go(func() {
			for range clients / 4 {
				if err := f.connectByPolling(); err != nil {
					t.Errorf("polling: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
}

// connectAtOnce writes the handshake, CONNECT and an event before it reads.
func (f *fixture) connectAtOnce() error {
	c, err := net.Dial("tcp", strings.Split(f.url, "/")[2])
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	request := "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := c.Write(append([]byte(request), encodeFrames([]string{"40", `427["x",1]`})...)); err != nil {
		return err
	}
	var got []byte
	buf := make([]byte, 1024)
	for !strings.HasSuffix(string(got), "437[1]") {
		n, err := c.Read(buf)
		if err != nil {
			return fmt.Errorf("after %q: %w", got, err)
		}
		got = append(got, buf[:n]...)
	}
	return nil
}

func (f *fixture) connectByPolling() error {
	do := func(method, query, body string) (string, error) {
		req, err := http.NewRequest(method, f.url+"?EIO=4&transport=polling"+query, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	open, err := do("GET", "", "")
	if err != nil {
		return err
	}
	var h struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(open, "0")), &h); err != nil {
		return err
	}
	query := "&sid=" + h.SID
	if got, err := do("POST", query, "40"); got != "ok" || err != nil {
		return fmt.Errorf("CONNECT: %q %w", got, err)
	}
	got, err := do("GET", query, "")
	if err != nil || !strings.HasPrefix(got, `40{"sid"`) {
		return fmt.Errorf("CONNECT was answered with %q %w", got, err)
	}
	_, err = do("POST", query, "1")
	return err
}

// D10: recovery is not offered, and who asks for it gets a new session.
func TestRecoveryIsNotOffered(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	c := f.dial("EIO=4")
	c.send(`40{"pid":"sNcRet","offset":"x"}`, `420["x",1]`)
	if got := c.read(); !regexp.MustCompile(`^40\{"sid":"[^"]+"\}$`).MatchString(got) {
		t.Errorf("CONNECT was answered with %s", got)
	}
	c.expect("430[1]")
}

// D11, D12: an acknowledgement that nobody asked for does no harm, whatever it
// carries.
func TestUnaskedAcknowledgements(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	c := f.enter()
	c.send(`431["text"]`, `432[]`, `433[1,"two",{"three":3}]`, `434[null]`,
		`461-5[{"_placeholder":true,"num":0}]`, "binary:x", `420["x",1]`)
	c.expect("430[1]")
}

// D11, D12: the library's own acknowledgements are not used; nor are its
// remote sockets, whose acknowledgements end the process.
func TestLibraryIsNotAskedForAcknowledgements(t *testing.T) {
	shunned := []string{
		"FetchSockets", "RemoteSocket", "EmitWithAck", "BroadcastWithAck", "ServerSideEmitWithAck", "Timeout",
		"SetConnectionStateRecovery", // D10
		"SetPerMessageDeflate",       // D13
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := goparser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return strings.Contains(i.Path.Value, "zishang520") }) {
			continue // it has these names of its own
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(shunned, s.Sel.Name) {
				t.Errorf("%s uses %s", file, s.Sel.Name)
			}
			return true
		})
	}
}

// anything is a contract that allows everything.
type anything struct{}

func (anything) Inbound(string, string, []byte) error { return nil }
func (anything) Ack(string, string, []byte) error     { return nil }

// D14: a panic in a handler is the end of its event only. It is acknowledged
// as internal and logged with the stack.
func TestPanicEndsOneEvent(t *testing.T) {
	var f *fixture
	var router *namespaces.Router
	f = newFixture(t, Options{}, namespaces.Namespace{}, func(s namespaces.Session, event string, args []json.RawMessage, wantsAck bool) string {
		return string(router.Dispatch(t.Context(), s, event, args, wantsAck))
	})
	router = namespaces.NewRouter(namespaces.Namespace{Name: "/", Routes: []namespaces.Route{
		namespaces.Handle("boom", func(context.Context, namespaces.Session, int) (int, error) { panic("kaboom") }),
		namespaces.Handle("fine", func(_ context.Context, _ namespaces.Session, n int) (int, error) { return n, nil }),
	}}, namespaces.RouterOptions{Contract: anything{}, Logger: f.srv.opts.Logger})
	bystander, c := f.enter(), f.enter()
	c.send(`421["boom",1]`, `422["fine",2]`)
	if got := c.read(); !strings.HasPrefix(got, "431[") || !strings.Contains(got, `"INTERNAL`) || strings.Contains(got, "kaboom") {
		t.Errorf("the panic was acknowledged with %s", got)
	}
	if got := c.read(); !strings.HasPrefix(got, "432[") {
		t.Errorf("got %s", got)
	}
	bystander.send(`423["fine",3]`)
	if got := bystander.read(); !strings.HasPrefix(got, "433[") {
		t.Errorf("got %s", got)
	}
	for _, want := range []string{"kaboom", "defects_test.go", "level=ERROR"} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log does not say %s", want)
		}
	}
}

// unspeakable is a payload that cannot be encoded.
type unspeakable struct{}

func (unspeakable) EventName() string            { return "unspeakable" }
func (unspeakable) MarshalJSON() ([]byte, error) { return nil, errUnspeakable }

var errUnspeakable = errors.New("no words")

// D18: what cannot be encoded is an error of whoever sends it; no client gets
// half a packet.
func TestWhatCannotBeEncodedIsNotSent(t *testing.T) {
	emitted := make(chan error, 1)
	f := newFixture(t, Options{}, namespaces.Namespace{}, func(s namespaces.Session, _ string, _ []json.RawMessage, _ bool) string {
		s.Join("room")
		emitted <- s.Emit(unspeakable{})
		return "1"
	})
	c := f.enter()
	c.send(`420["x"]`)
	c.expect("430[1]")
	if err := <-emitted; !errors.Is(err, errUnspeakable) {
		t.Errorf("Emit: %v", err)
	}
	if err := f.srv.Publish("/", "room", cluster.Position{}, unspeakable{}); !errors.Is(err, errUnspeakable) {
		t.Errorf("Publish: %v", err)
	}
	if err := f.srv.PublishVolatile("/", "room", unspeakable{}); !errors.Is(err, errUnspeakable) {
		t.Errorf("PublishVolatile: %v", err)
	}
	f.srv.lib.Emit("library", make(chan int))
	c.send(`421["x"]`)
	c.expect("431[1]")
}

// picture is a payload with bytes in it.
type picture struct {
	Data []byte `json:"data"`
}

func (picture) EventName() string { return "picture" }

// D19: bytes within a payload go out as text in base64, which is what package
// encoding/json makes of them; binary arguments come in as the same.
func TestBytesWithinPayloadsAreBase64(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, func(s namespaces.Session, _ string, args []json.RawMessage, _ bool) string {
		var in picture
		if err := json.Unmarshal(args[0], &in); err != nil {
			t.Error(err)
		}
		s.Emit(in)
		return fmt.Sprint(len(in.Data))
	})
	c := f.enter()
	c.send(`451-0["x",{"data":{"_placeholder":true,"num":0}}]`, "binary:\x00\x01\xff")
	c.expect(`42["picture",{"data":"AAH/"}]`)
	c.expect("430[3]")
}

// D4: on polling, a message may be as long as MaxPayload says, in either
// direction.
func TestLongPollingMessages(t *testing.T) {
	f := newFixture(t, Options{Engine: engineio.Options{MaxPayload: 1 << 20}}, namespaces.Namespace{}, echo)
	do := func(query, body string) string {
		t.Helper()
		method := http.MethodGet
		if body != "" {
			method = http.MethodPost
		}
		req, _ := http.NewRequest(method, f.url+"?EIO=4&transport=polling"+query, strings.NewReader(body))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var h struct{ SID string }
	json.Unmarshal([]byte(do("", "")[1:]), &h)
	query := "&sid=" + h.SID
	do(query, "40")
	do(query, "")
	for _, n := range []int{64 << 10, 500_000} {
		long := `"` + strings.Repeat("é", n) + `"`
		if got := do(query, `420["x",`+long+`]`); got != "ok" {
			t.Fatalf("%d bytes were answered with %q", len(long), got)
		}
		if got := do(query, ""); got != "430["+long+"]" {
			t.Errorf("%d bytes came back as %d", len(long), len(got))
		}
	}
}

// A panic in what a namespace does is the fault of one session.
func TestNamespacePanics(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{
		Opened: func(context.Context, namespaces.Session) { panic("opened") },
		Closed: func(namespaces.Session) { panic("closed") },
	}, func(_ namespaces.Session, event string, _ []json.RawMessage, _ bool) string {
		if event == "panic" {
			panic("handler")
		}
		return "1"
	})
	c := f.enter()
	c.send(`421["panic"]`, `422["x"]`)
	c.expect(`431[{"ok":false,"error":{"code":"INTERNAL_ERROR","message":"internal server error"}}]`)
	c.expect("432[1]")
	c.Close()
	c = f.enter()
	c.send(`421["x"]`)
	c.expect("431[1]")
}

func TestPublishNowhere(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	p := events.AIChatBotMessage{Text: "x"}
	if f.srv.Publish("/nowhere", "room", cluster.Position{}, p) == nil || f.srv.PublishVolatile("/nowhere", "room", p) == nil {
		t.Error("published to a namespace that does not exist")
	}
}
