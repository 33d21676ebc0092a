package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// runWorkflow is the workflow that runs are of, and what its nodes call.
type runWorkflow struct {
	id     string
	effect *http.Server
}

// createRunWorkflow stores the workflow, and starts the server that one of its
// nodes may call.
func createRunWorkflow(ctx context.Context, t Target, o RunsOptions) (*runWorkflow, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &runWorkflow{effect: &http.Server{Handler: http.HandlerFunc(multiply)}}
	go w.effect.Serve(listener)
	definition, err := definitionOf(o.Workflow, "http://"+listener.Addr().String()+"/")
	if err == nil {
		var made struct{ WorkflowID string }
		err = postRun(ctx, http.DefaultClient, t, o.Tenant, "", []byte(definition), &made)
		w.id = made.WorkflowID
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *runWorkflow) close() { w.effect.Close() }

// multiply is what the effect of a run is.
func multiply(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		http.Error(w, "n is not a number", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"answer":%d}`, 21*n)
}

// postRun posts to the workflows of a tenant.
func postRun(ctx context.Context, c *http.Client, t Target, tenant, path string, body []byte, out any) error {
	url := strings.TrimSuffix(t.URL, "/") + "/api/v1/tenants/" + tenant + "/workflows" + path
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+t.Token)
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s: %.300s", url, res.Status, answer)
	}
	return json.Unmarshal(answer, out)
}

// A runLane is a client that has one run after the other carried on.
type runLane struct {
	t        Target
	o        RunsOptions
	workflow string
	c        *client
	http     *http.Client
	widget   string
	n        int // the input, different for each run
	calls    int

	current string   // the run that is expected to go on
	nodes   []string // of it, that have ended
	over    bool
	acked   bool
}

func newRunLane(ctx context.Context, t Target, o RunsOptions, w *runWorkflow, i int) (*runLane, error) {
	c, err := connect(ctx, t)
	if err != nil {
		return nil, err
	}
	return &runLane{
		t: t, o: o, workflow: w.id, c: c, widget: uuid.NewString(), n: i * 1_000_000,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: patience},
	}, nil
}

func (l *runLane) close() {
	l.c.close()
	l.http.CloseIdleConnections()
}

// run has a run carried on, and returns when its client has seen all of it.
func (l *runLane) run(ctx context.Context) error {
	l.c.ws.SetDeadline(time.Now().Add(patience))
	l.n++
	l.current, l.nodes, l.over = "", l.nodes[:0], false
	if l.o.Widget {
		return l.follow(fmt.Sprintf(`["widget_workflow_connect",{"widgetID":%q,"workflowID":%q,"tenantID":%q,"mode":"execute","inputParams":{"n":%d}}]`,
			l.widget, l.workflow, l.o.Tenant, l.n))
	}
	var made struct{ InstanceID string }
	body := fmt.Appendf(nil, `{"inputValues":{"n":%d}}`, l.n)
	if err := postRun(ctx, l.http, l.t, l.o.Tenant, "/"+l.workflow+"/execute", body, &made); err != nil {
		return err
	}
	l.current = made.InstanceID
	return l.follow(fmt.Sprintf(`["workflow_run_join",{"runId":%q}]`, l.current))
}

// follow emits an event, and returns when it was acknowledged and the run is
// over.
func (l *runLane) follow(event string) error {
	if err := l.emit(event); err != nil {
		return err
	}
	for !l.acked || !l.over {
		if err := l.next(); err != nil {
			return fmt.Errorf("run %s of input %d, after nodes %v: %w", l.current, l.n, l.nodes, err)
		}
	}
	return nil
}

// settle makes sure that nothing has come more often than it should.
func (l *runLane) settle() error {
	l.c.ws.SetDeadline(time.Now().Add(patience))
	if err := l.emit(fmt.Sprintf(`["widget_workflow_disconnect",{"widgetID":%q}]`, l.widget)); err != nil {
		return err
	}
	for !l.acked {
		if err := l.next(); err != nil {
			return fmt.Errorf("after run %s: %w", l.current, err)
		}
	}
	return nil
}

func (l *runLane) emit(event string) error {
	l.calls++
	l.acked = false
	l.c.queue(append(strconv.AppendInt([]byte("42"), int64(l.calls), 10), event...))
	return l.c.flush()
}

// next takes in one packet.
func (l *runLane) next() error {
	b, err := l.c.read()
	if err != nil {
		return err
	}
	if rest, ok := bytes.CutPrefix(b, []byte("43"+strconv.Itoa(l.calls)+"[")); ok {
		l.acked = true
		if bytes.HasPrefix(rest, []byte(`{"error"`)) {
			return fmt.Errorf("the server refuses: %s", rest)
		}
		return nil
	}
	var args []json.RawMessage
	if !bytes.HasPrefix(b, []byte("42[")) || json.Unmarshal(b[2:], &args) != nil || len(args) < 2 {
		return fmt.Errorf("the server sends %.200q", b)
	}
	var e runEvent
	if err := json.Unmarshal(args[1], &e); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return l.event(string(bytes.Trim(args[0], `"`)), e)
}

// A runEvent is what is looked at of the events of a run.
type runEvent struct {
	InstanceID string
	NodeID     string
	Status     string
	Output     json.RawMessage
	Update     struct{ NodeID, Status string }
	// FinalContext are the variables of a widget's run that is over.
	FinalContext struct {
		Answer int
		Reply  struct{ Body runOutput }
	}
}

type runOutput struct{ Answer int }

// event takes in what happens in the run.
func (l *runLane) event(name string, e runEvent) error {
	switch name {
	case "widget_workflow_connected":
		l.current = e.InstanceID
	case "workflow_node_update":
		if !l.o.Widget {
			return l.nodeEnded(e.InstanceID, e.NodeID, e.Status)
		}
	case "widget_context_update":
		return l.nodeEnded(e.InstanceID, e.Update.NodeID, e.Update.Status)
	case "workflow_status_update":
		if !l.o.Widget {
			var output runOutput
			json.Unmarshal(e.Output, &output) // a run that fails has none
			return l.ended(e, output.Answer)
		}
	case "widget_workflow_status":
		return l.ended(e, e.FinalContext.Answer+e.FinalContext.Reply.Body.Answer)
	case "widget_workflow_disconnected":
	default:
		return fmt.Errorf("the server sends %s", name)
	}
	return nil
}

func (l *runLane) nodeEnded(run, node, status string) error {
	if run != l.current || len(l.nodes) == len(orderedNodes) || node != orderedNodes[len(l.nodes)] || status != "success" {
		return fmt.Errorf("node %s of run %s ended with %s", node, run, status)
	}
	l.nodes = append(l.nodes, node)
	return nil
}

func (l *runLane) ended(e runEvent, answer int) error {
	if l.over || e.InstanceID != l.current || len(l.nodes) != len(orderedNodes) || e.Status != "COMPLETED" || answer != 21*l.n {
		return fmt.Errorf("run %s ended with %s and %d", e.InstanceID, e.Status, answer)
	}
	l.over = true
	return nil
}
