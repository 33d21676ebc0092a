package storetest

import (
	"embed"
	"encoding/json"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/listener"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

//go:embed testdata
var dumps embed.FS

// First returns the statements that make a database with the first schema
// there was, and rows in every table.
func First(t *testing.T, driver string) string {
	t.Helper()
	dump, err := dumps.ReadFile("testdata/first-" + driver + ".sql")
	check(t, err)
	return string(dump)
}

// The rows of the dumps.
const (
	firstWorkflow = "6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a01"
	firstRun      = "6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a02" // waits for an input
	firstFailed   = "6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a03"
	firstRoom     = "6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a04"
	firstRequest  = "6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a05"
	firstWidget   = "6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a06"
	firstListener = "6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a07"
)

// Upgraded checks that a database that began as [First] has all that it had.
func Upgraded(t *testing.T, db *store.DB) {
	ctx := t.Context()
	plan := graph.NewPlan(graph.Definition{
		Nodes: []graph.Node{
			{ID: "start", Type: "start", Position: json.RawMessage(`{"x":1,"y":2}`), Data: map[string]any{"title": "Début ☕"}},
			{ID: "ask", Type: "dataCollection", Data: map[string]any{"title": "it's \"quoted\""}},
		},
		Edges: []graph.Edge{{ID: "e", Source: "start", Target: "ask", SourceHandle: "output"}},
	})
	workflows, err := db.Workflows().Workflows(ctx, "acme")
	check(t, err)
	same(t, workflows, []workflow.Workflow{{
		ID: firstWorkflow, Tenant: "acme", Title: "Order's way", Plan: plan, CreatedBy: "ada", CreatedAt: now, UpdatedAt: now.Add(time.Hour),
	}})
	waiting := workflow.Run{
		ID: firstRun, WorkflowID: firstWorkflow, Tenant: "acme", Title: "Order's way", Status: events.RunRunning, Plan: plan, StartedBy: "ada", StartedAt: now,
		Engine: workflow.Embedded,
	}
	failed := waiting
	failed.ID, failed.StartedAt, failed.Status, failed.Error, failed.EndedAt = firstFailed, now.Add(time.Second), events.RunFailed, "why", now.Add(time.Minute)
	runs, err := db.Workflows().Runs(ctx, "acme", firstWorkflow, 10)
	check(t, err)
	same(t, runs, []workflow.Run{failed, waiting})
	log, err := db.Workflows().Log(ctx, firstRun, 0)
	check(t, err)
	same(t, len(log), 5)
	same(t, log[2], interpreter.Entry{Seq: 3, Type: interpreter.NodeCompleted, Node: "start", Data: json.RawMessage(`{"output":{"a":1},"handle":"output"}`), At: now})

	// Nobody owns what is unfinished.
	found, err := db.Workflows().RunOfRequest(ctx, "acme", firstRequest)
	check(t, err)
	same(t, found, waiting)
	abandoned, err := db.Workflows().AbandonedRuns(ctx, 10)
	check(t, err)
	same(t, abandoned, []workflow.Run{waiting})
	open, err := db.Chats().Abandoned(ctx, 10)
	check(t, err)
	same(t, open, []chat.Message{{RoomID: firstRoom, Seq: 3, Speaker: chat.User, User: "ada", Text: "yes", Action: chat.Approve, At: now}})

	// It goes on, beside runs that begin now.
	taken, err := db.Workflows().TakeRun(ctx, firstRun, "", "one")
	check(t, err)
	same(t, taken, true)
	waiting.Owner = "one"
	check(t, write(t, db.Workflows(), addition(waiting, interpreter.Entry{Seq: 6, Type: interpreter.NodeCompleted, Node: "ask", Data: json.RawMessage(`{}`), At: now})))
	begun := waiting
	begun.ID, begun.StartedAt, begun.Status = "begun", now.Add(2*time.Second), events.RunPending
	check(t, write(t, db.Workflows(), creation(begun)))
	runs, err = db.Workflows().Runs(ctx, "acme", firstWorkflow, 10)
	check(t, err)
	same(t, runs, []workflow.Run{begun, failed, waiting})

	room, err := db.Chats().Room(ctx, firstRoom)
	check(t, err)
	same(t, room, chat.Room{ID: firstRoom, Tenant: "acme", Owner: "ada", At: now, ChangedAt: now})
	messages, err := db.Chats().Messages(ctx, firstRoom, 0, 10)
	check(t, err)
	same(t, messages, []chat.Message{
		{RoomID: firstRoom, Seq: 1, Speaker: chat.User, User: "ada", Text: "Bonjour ☕", At: now},
		{RoomID: firstRoom, Seq: 2, Speaker: chat.Bot, Text: "hi", At: now},
		{RoomID: firstRoom, Seq: 3, Speaker: chat.User, User: "ada", Text: "yes", Action: chat.Approve, At: now},
	})
	waits, err := db.Chats().OpenApprovals(ctx, firstRoom)
	check(t, err)
	same(t, len(waits), 1)
	same(t, waits[0].Status, chat.Pending)
	same(t, waits[0].Tenant+" "+waits[0].Tool+" "+waits[0].Title+" "+string(waits[0].Arguments), `acme workflow_run T {"workflowID":"`+firstWorkflow+`","inputValues":{"n":1}}`)

	owner, err := db.Widgets().Widget(ctx, firstWidget)
	check(t, err)
	same(t, owner, "acme")
	l, err := db.Listeners().Listener(ctx, firstListener)
	check(t, err)
	same(t, l, listener.Listener{ID: firstListener, Tenant: "acme", Kind: listener.AppPage, Title: "Page", CreatedBy: "ada", CreatedAt: now})
}
