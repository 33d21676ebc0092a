package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/websocket"
	"github.com/roomcast/roomcast/test/fleet"
)

// TestReportsSurviveKills kills one of two instances, several times, while an
// engine elsewhere reports to both what happens in a run, and asks again when it
// gets no answer. A client and a widget at the other instance see everything
// once and in order.
func TestReportsSurviveKills(t *testing.T) {
	s := set(t, 2)
	total := 1000
	if *full {
		total = 3_000
	}
	run := uuid.NewString()
	e := &engine{s: s, path: "/api/v1/tenants/" + fleet.Tenant + "/runs"}
	e.post(t, "", map[string]any{"instanceID": run, "title": "reported"})

	client, widget := enter(t, s.Instances[1].URL, s.Token), enter(t, s.Instances[1].URL, s.Token)
	client.send(fmt.Sprintf(`421["workflow_run_join",{"runId":%q}]`, run))
	client.next("431")
	widget.send(fmt.Sprintf(`421["widget_workflow_connect",{"widgetID":%q,"instanceID":%q,"mode":"subscribe"}]`, uuid.NewString(), run))
	widget.next("431")
	clientSaw, widgetSaw := client.nodes("workflow_node_update", "workflow_status_update"), widget.nodes("widget_context_update", "widget_workflow_status")

	for next, kills := 1, 0; next <= total; {
		var list []map[string]any
		for n := next; n <= min(total, next+next%5); n++ {
			list = append(list, map[string]any{
				"sequence": n, "type": "node_update", "nodeID": fmt.Sprint("n", n), "status": "success", "output": n, "outputVariable": "latest",
			})
		}
		killed := make(chan struct{})
		if in := s.Instances[0]; next > total*(kills+1)/4 {
			kills++
			e.at = 0 // the report is on its way to the one that is killed
			go func() {
				defer close(killed)
				in.Kill()
				in.Start()
			}()
		} else {
			close(killed)
		}
		next = e.post(t, "/"+run+"/events", map[string]any{"events": list})
		<-killed
	}
	e.post(t, "/"+run+"/events", map[string]any{"events": []any{map[string]any{"sequence": total + 1, "type": "status_update", "status": "COMPLETED"}}})

	var want []string
	for n := range total {
		want = append(want, fmt.Sprint("n", n+1))
	}
	if got := <-clientSaw; !slices.Equal(got, want) {
		t.Errorf("the client saw %d nodes: %v", len(got), got)
	}
	if got := <-widgetSaw; !slices.Equal(got, want) {
		t.Errorf("the widget saw %d nodes: %v", len(got), got)
	}
	t.Logf("%d events, %d requests that had no answer", total, e.lost)
}

// engine reports to all instances in turn.
type engine struct {
	s        *stage
	path     string
	at, lost int
}

// post sends a request until it is answered, and returns the sequence that
// comes next.
func (e *engine) post(t *testing.T, path string, body any) (next int) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	for t.Context().Err() == nil {
		url := e.s.Instances[e.at].URL + e.path + path
		e.at = (e.at + 1) % len(e.s.Instances)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "api_key "+e.s.Key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			e.lost++
			continue
		}
		var answer struct {
			Next  int
			Error json.RawMessage
		}
		err = json.NewDecoder(res.Body).Decode(&answer)
		res.Body.Close()
		switch {
		case err != nil || res.StatusCode >= 500:
			e.lost++
			continue
		case answer.Error != nil:
			t.Fatalf("%s: %s", path, answer.Error)
		}
		return answer.Next
	}
	return 0
}

// nodes begins to read, and returns the nodes that events of a name were about
// when one has come that is the last.
func (m *member) nodes(event, last string) <-chan []string {
	all := make(chan []string, 1)
	go func() {
		var ids []string
		defer func() { all <- ids }()
		for {
			m.ws.SetDeadline(time.Now().Add(time.Minute))
			_, packet, err := m.ws.ReadMessage()
			if err == nil && string(packet) == "2" {
				err = m.ws.WriteMessage(websocket.OpText, []byte("3"))
			}
			if err != nil {
				m.t.Errorf("waiting for %s: %v", last, err)
				return
			}
			var name string
			var payload struct {
				NodeID string
				Update struct{ NodeID string }
			}
			args, found := bytes.CutPrefix(packet, []byte("42"))
			if !found || json.Unmarshal(args, &[]any{&name, &payload}) != nil {
				continue
			}
			switch name {
			case event:
				ids = append(ids, payload.NodeID+payload.Update.NodeID)
			case last:
				return
			case "gap":
				m.t.Errorf("a gap: %s", args)
			}
		}
	}()
	return all
}
