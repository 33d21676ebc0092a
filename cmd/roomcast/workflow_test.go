package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
)

// orders is a workflow with a loop, and a decision that it waits for.
const orders = `{"title":"Orders",
	"nodes":[
		{"id":"s","type":"start","data":{"title":"Begin"}},
		{"id":"l","type":"loop","data":{"title":"Each","sourceVariable":"input.n"}},
		{"id":"b","type":"transform","data":{"title":"Double","expression":"ctx.item * 2","outputVariable":"b"}},
		{"id":"p","type":"approval","data":{"title":"Release?"}},
		{"id":"e","type":"end","data":{"title":"End","outputParameters":[{"name":"r","sourceVariable":"loopResults"}]}}],
	"edges":[{"source":"s","target":"l"},{"source":"l","sourceHandle":"loop","target":"b"},{"source":"l","sourceHandle":"completed","target":"p"},
		{"source":"p","sourceHandle":"approve","target":"e"}],
	"workflowOptions":{"args":[{"key":"n","type":"integer","required":true}]}}`

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWorkflowValidate(t *testing.T) {
	good, bad := file(t, "good.json", orders), file(t, "bad.json", `{"title":"T","definition":{"nodes":[{"id":"s","type":"start"},{"id":"h","type":"http","data":{}}],"edges":[{"source":"s","target":"x"}]}}`)
	broken, long := file(t, "broken.json", "{\n  nodes: []}"), file(t, "long.json", `{"nodes":[{"id":"s","type":"start"}],"workflowOptions":{"timeoutSeconds":1e9}}`)
	t.Setenv("ROOMCAST_WORKFLOW_MAXDURATION", "24h")
	for _, tt := range []struct {
		args   []string
		status int
		want   []string
	}{
		{[]string{good}, 0, []string{"the workflow is fine"}},
		{[]string{good, good}, 0, []string{"the 2 workflows are fine"}},
		{[]string{good, bad}, 1, []string{bad + `: nodes[1].data.url: node "h": is missing`, bad + `: edges[0].target: there is no node "x"`}},
		{[]string{broken}, 1, []string{broken + ": line 2, column 3: is not JSON"}},
		{[]string{long}, 1, []string{"workflowOptions.timeoutSeconds: is more than workflow.maxDuration"}},
		{[]string{"/no/such.json"}, 1, []string{"/no/such.json: no such file"}},
		{[]string{bad, "--json"}, 1, []string{`"valid": false`, `"nodeID": "h"`, `"field": "nodes[1].data.url"`, `"file": "` + bad}},
		{[]string{good, "--json"}, 0, []string{`"valid": true`, `"problems": []`}},
		{nil, 2, nil},
		{[]string{"--nope"}, 2, nil},
	} {
		out, err := run(t, append([]string{"workflow", "validate"}, tt.args...)...)
		expectStatus(t, err, tt.status)
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: %q is missing in\n%s", tt.args, want, out)
			}
		}
	}
}

func expectStatus(t *testing.T, err error, want int) {
	t.Helper()
	got := 0
	if err != nil {
		got = statusOf(err)
	}
	if got != want {
		t.Errorf("exit status %d, want %d: %v", got, want, err)
	}
}

// moments are the times in lines, which are never the same.
var moments = regexp.MustCompile(`(?m)^ *[0-9hm.]+s  |"completedAt":"[^"]*"|"decidedBy":"[^"]*"| in [0-9.]+s|, [0-9hm]+ left`)

func timeless(out string) string {
	return moments.ReplaceAllStringFunc(out, func(s string) string { return strings.Repeat("", len(s)) })
}

const ordersLines = `● Begin  done  {"inputReceived":{"n":2},"started":true}
◐ Each  items: 2
● Double #1  done  0
● Double #2  done  2
● Each  done  [0,2]
⏸ Release?  waits for a decision
● Release?  done  {"comment":"",,"decision":"approve"}
● End  done  {,"status":"success","workflowOutput":{"r":[0,2]}}
● Orders  COMPLETED  {"r":[0,2]}
`

func TestWorkflowRunHere(t *testing.T) {
	flow := file(t, "orders.json", orders)
	fails := file(t, "fails.json", `{"nodes":[{"id":"s","type":"start"},{"id":"e","type":"end","data":{"status":"failed"}}],"edges":[{"source":"s","target":"e"}]}`)
	out, err := run(t, "workflow", "run", flow, "--input", "n=2", "--answer", `p={"decision":"approve"}`)
	expectStatus(t, err, 0)
	if got := timeless(out); got != ordersLines {
		t.Errorf("got\n%s\nwant\n%s", got, ordersLines)
	}
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{flow, "--input-json", `{"n":1}`, "--answer", `p={"decision":"reject"}`}, 0, "COMPLETED"},
		{[]string{flow, "--input", "n=1"}, 2, "--answer p="},
		{[]string{flow, "--input", "n=many"}, 2, "--input: inputValues.n: got string, want integer"},
		{[]string{flow}, 2, "inputValues.n: is missing"},
		{[]string{flow, "--input", "n"}, 2, `"n" is not key=value`},
		{[]string{flow, "--input-json", "[]"}, 2, "--input-json is not an object"},
		{[]string{flow, "--input", "n=1", "--answer", "p"}, 2, "is not NODE=JSON"},
		{[]string{flow, "--input", "n=1", "--answer", `p={"decision":"maybe"}`}, 1, "--answer p: "},
		{[]string{fails}, 1, "FAILED"},
		{[]string{"/no/such.json"}, 1, "no such file"},
		{[]string{flow, "--server", "nowhere"}, 2, "is not an address such as"},
		{[]string{flow, "--server", "http://127.0.0.1:1"}, 1, "look whether the server runs"},
	} {
		out, err := run(t, append([]string{"workflow", "run"}, tt.args...)...)
		expectStatus(t, err, tt.status)
		if all := out + fmt.Sprint(err); !strings.Contains(all, tt.want) {
			t.Errorf("%v: %q is missing in\n%s", tt.args, tt.want, all)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "roomcast-run-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Who breaks off a run here stops it.
func TestWorkflowRunBrokenOff(t *testing.T) {
	flow := file(t, "slow.json", `{"title":"Slow","nodes":[{"id":"s","type":"start"},{"id":"d","type":"delay","data":{"delayMinutes":5}}],"edges":[{"source":"s","target":"d"}]}`)
	ctx, cancel := context.WithCancel(t.Context())
	out, done := started(ctx, "workflow", "run", flow)
	out.awaits(t, "d  waits")
	cancel()
	expectStatus(t, <-done, 3)
	out.awaits(t, "Slow  STOPPED")
}

// started runs the program beside the test.
func started(ctx context.Context, args ...string) (*lines, chan error) {
	out, done := &lines{written: make(chan struct{}, 1)}, make(chan error, 1)
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(out)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	return out, done
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) awaits(t *testing.T, want string) {
	t.Helper()
	eventually.True(t, func() bool { return strings.Contains(l.text(), want) }, func() string { return want + " in\n" + l.text() })
}

func TestWorkflowWatch(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.Token("ada", "acme", auth.Admin)
	const base = "/api/v1/tenants/acme/workflows"
	var w struct{ WorkflowID string }
	s.Do(admin, "POST", base, orders, &w)
	out, done := started(t.Context(), "workflow", "run", w.WorkflowID, "--server", s.URL, "--token", admin, "--input", "n=2")
	out.awaits(t, "waits for a decision")
	var list struct {
		Instances []struct{ InstanceID string }
	}
	s.Do(admin, "GET", base+"/instances", nil, &list)
	id := list.Instances[0].InstanceID
	also, alsoDone := started(t.Context(), "workflow", "watch", id, "--server", s.URL+"/", "--token", admin, "--tenant", "acme")
	also.awaits(t, "waits for a decision")
	var state struct {
		Pending []struct{ CollectionRequestID string } `json:"pendingDataCollection"`
	}
	s.Do(admin, "GET", base+"/instances/"+id, nil, &state)
	s.Do(admin, "POST", base+"/data-collection", map[string]any{"collectionRequestID": state.Pending[0].CollectionRequestID, "submittedData": map[string]any{"decision": "approve"}}, nil)
	expectStatus(t, <-done, 0)
	expectStatus(t, <-alsoDone, 0)
	over, err := run(t, "workflow", "watch", id, "--server", s.URL, "--token", admin)
	expectStatus(t, err, 0)
	for _, got := range []string{out.text(), also.text(), over} {
		if got := timeless(got); got != ordersLines {
			t.Errorf("got\n%s\nwant\n%s", got, ordersLines)
		}
	}
	foreign := s.Token("eve", "other", auth.Admin)
	for want, args := range map[string][]string{
		"there is no run nope in acme":                {"watch", "nope", "--token", admin},
		"there is no run " + id + " in other":         {"watch", id, "--token", foreign},
		"the server asks who you are":                 {"watch", id},
		"does not accept the credential":              {"watch", id, "--token", "rubbish"},
		"there is no workflow nope in acme":           {"run", "nope", "--token", admin},
		"one is enough":                               {"watch", id, "--token", "a", "--api-key", "b"},
		"inputValues.n: is missing (VALIDATION_ERROR": {"run", w.WorkflowID, "--token", admin},
	} {
		if _, err := run(t, append(append([]string{"workflow"}, args...), "--server", s.URL)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// A watch goes on where it was when its server has been killed and is back:
// nothing is missing, and nothing comes twice.
func TestWorkflowWatchThroughAKill(t *testing.T) {
	folder := t.TempDir()
	server, a := serverProcess(t, folder, "127.0.0.1:0")
	const flow = `{"title":"Long","nodes":[{"id":"s","type":"start"},{"id":"l","type":"loop","data":{"sourceVariable":"input.n","delayBetweenItems":50}},{"id":"b","type":"transform","data":{"expression":"ctx.item"}},{"id":"e","type":"end"}],
		"edges":[{"source":"s","target":"l"},{"source":"l","sourceHandle":"loop","target":"b"},{"source":"l","sourceHandle":"completed","target":"e"}]}`
	var w struct{ WorkflowID string }
	send(t, a, "/api/v1/tenants/default/workflows", flow, &w)
	out, done := started(t.Context(), "workflow", "run", w.WorkflowID, "--server", a.URL, "--token", a.Tokens.Admin, "--input", "n=40")
	out.awaits(t, "b #3")
	server.Process.Kill()
	server.Wait()
	out.awaits(t, "trying again")
	serverProcess(t, folder, a.Addresses[0])
	expectStatus(t, <-done, 0)
	text := out.text()
	for i := 1; i <= 40; i++ {
		if n := strings.Count(text, fmt.Sprintf("b #%d  ", i)); n != 1 {
			t.Errorf("item %d comes %d times in\n%s", i, n, text)
			break
		}
	}
}

// serverProcess starts the program as a server, which ends with the test.
func serverProcess(t *testing.T, folder, addr string) (*exec.Cmd, announcement) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "serve", "--dev", "--json", "--addr", addr)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "RUN_ROOMCAST=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { cmd.Process.Kill(); cmd.Wait() }) })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var a announcement
	if err := json.Unmarshal(line, &a); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return cmd, a
}

// answers that people type.
func TestAsker(t *testing.T) {
	var out bytes.Buffer
	schema := json.RawMessage(`{"required":["name"],"properties":{"age":{"type":"integer"},"name":{"type":"string","title":"Your name"},"size":{"enum":["s","m"]}}}`)
	a := &asker{in: bufio.NewReader(strings.NewReader("Ada\n36\n\n{\"a\":1\n[1]\n")), out: &out}
	got, err := a.ask(collection(schema))
	if raw, _ := json.Marshal(got); err != nil || string(raw) != `{"age":36,"name":"Ada"}` {
		t.Errorf("%s %v", raw, err)
	}
	got, err = a.ask(collection(nil))
	if raw, _ := json.Marshal(got); err != nil || string(raw) != `[1]` {
		t.Errorf("%s %v", raw, err)
	}
	if want := "  Your name (string): " + "  age (integer, or nothing): " + "  size (s or m, or nothing): " + "  input, as JSON:   that is not JSON\n  input, as JSON: "; out.String() != want {
		t.Errorf("got %q\nwant %q", out.String(), want)
	}
	if _, err := a.ask(collection(nil)); err == nil {
		t.Error("the end of the input is an answer")
	}
}

func collection(schema json.RawMessage) events.CollectionConfig {
	return events.CollectionConfig{FormSchema: events.JSON(schema)}
}

// send posts something to a server as its administrator.
func send(t *testing.T, a announcement, path, body string, out any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, a.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.Tokens.Admin)
	eventually.True(t, func() bool {
		res, err := http.Get(a.URLs["ready"])
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("%s %v", res.Status, err)
	}
}
