package rawws

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// maxChannels bounds what one connection may be subscribed to.
const maxChannels = 256

// genesisChannels is what a client gets to hear that wants to know.
type genesisChannels struct {
	Channels []string `json:"channels"`
}

// genesisRefused is why a channel cannot be had.
type genesisRefused struct {
	Channel string `json:"channel"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func newGenesisRefused(channel string, e *events.Error) genesisRefused {
	return genesisRefused{channel, genesisCode(frame{}, e), e.Message}
}

// subscriptionFailed tells of channels that cannot be had, of which there is
// one at least.
func subscriptionFailed(refused []genesisRefused) genesisError {
	return genesisError{"SUBSCRIPTION_FAILED", refused[0].Message, map[string][]genesisRefused{"channels": refused}}
}

// channelsOf returns the channels that a frame names.
func channelsOf(f frame) ([]string, *events.Error) {
	const field = "payload.channels"
	var raw []json.RawMessage
	if !begins(f.payload["channels"], '[') || json.Unmarshal(f.payload["channels"], &raw) != nil {
		return nil, events.FieldErrorf(field, "is missing, or not an array")
	}
	if len(raw) > maxChannels {
		return nil, events.FieldErrorf(field, "has more than %d", maxChannels)
	}
	names := make([]string, len(raw))
	for i := range raw {
		var ok bool
		if names[i], ok = textOf(raw[i]); !ok {
			return nil, events.FieldErrorf(fmt.Sprintf("%s[%d]", field, i), "is not a text")
		}
	}
	return names, nil
}

// subscribe subscribes to what can be had of the channels, and tells of the
// others.
func (g *genesis) subscribe(ctx context.Context, f frame, correlation string) *events.Error {
	names, err := channelsOf(f)
	if err != nil {
		return err
	}
	done, refused := []string{}, []genesisRefused{}
	for _, name := range names {
		if err := g.join(ctx, name); err != nil {
			refused = append(refused, newGenesisRefused(name, err))
			continue
		}
		done = append(done, name)
	}
	if correlation != "" && (len(done) > 0 || len(refused) == 0) {
		g.say("subscribed", genesisChannels{done}, correlation)
	}
	if len(refused) > 0 {
		g.fail(correlation, subscriptionFailed(refused))
	}
	return nil
}

// unsubscribe ends subscriptions. One that there is not does no harm.
func (g *genesis) unsubscribe(ctx context.Context, f frame, correlation string) *events.Error {
	names, err := channelsOf(f)
	if err != nil {
		return err
	}
	for _, name := range names {
		if w, in := g.channels[name]; in {
			delete(g.channels, name)
			g.leave(ctx, name, w)
		}
	}
	if correlation != "" {
		g.say("unsubscribed", genesisChannels{names}, correlation)
	}
	return nil
}

// join subscribes to a channel. Who is subscribed stays so.
func (g *genesis) join(ctx context.Context, name string) *events.Error {
	if _, in := g.channels[name]; in {
		return nil
	}
	kind, id, _ := strings.Cut(name, ":")
	switch {
	case len(g.channels) >= maxChannels:
		return events.Errorf(events.CodeConflict, "you have %d channels already: unsubscribe from one", maxChannels)
	case !isName(id):
		return unknownChannel(name)
	}
	w, err := Workflow{}, (*events.Error)(nil)
	switch kind {
	case "workflow":
		w, err = g.watch(ctx, id)
	case "sync", "notifications":
		err = g.joinUser(ctx, name, kind, id)
	case "agent":
		err = g.conn.Session().JoinAgent(ctx, id)
	default:
		err = unknownChannel(name)
	}
	if err == nil {
		g.channels[name] = w
	}
	return err
}

func unknownChannel(name string) *events.Error {
	return events.Errorf(events.CodeNotFound, "channel %s not found: there are workflow:{id}, sync:{userId}, notifications:{userId} and agent:{id}", name)
}

// joinUser subscribes to what is for the user: that of others is refused as if
// there were none.
func (g *genesis) joinUser(ctx context.Context, name, kind, user string) *events.Error {
	if user != g.conn.Session().Identity().User {
		return events.NotFound("channel", name)
	}
	if err := g.conn.Session().JoinUser(ctx); err != nil {
		return err
	}
	if kind == "notifications" { // of which some are for all
		if err := g.conn.Session().JoinInTenants(ctx, events.TenantRoom); err != nil {
			return err
		}
	}
	g.want(kind, true)
	return nil
}

// want notes whether the client wants what is for its user, and returns whether
// it wants any of that.
func (g *genesis) want(kind string, now bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if kind == "sync" {
		g.sync = now
	} else {
		g.notified = now
	}
	return g.sync || g.notified
}

func (g *genesis) leave(ctx context.Context, name string, w Workflow) {
	session := g.conn.Session()
	switch kind, id, _ := strings.Cut(name, ":"); kind {
	case "workflow":
		g.unwatch(ctx, w, id)
	case "sync", "notifications":
		any := g.want(kind, false)
		if kind == "notifications" {
			session.LeaveInTenants(ctx, events.TenantRoom)
		}
		if !any {
			session.LeaveInTenants(ctx, func(tenant string) events.Room { return events.UserRoom(tenant, id) })
		}
	case "agent":
		session.LeaveInTenants(ctx, func(tenant string) events.Room { return events.AgentRoom(tenant, id) })
	}
}

// find returns the workflow that the client means by an id.
func (g *genesis) find(ctx context.Context, action auth.Action, id string) (Workflow, *events.Error) {
	tenant := ""
	if len(id) != 36 || uuid.Validate(id) != nil { // then it is one of a tenant's own
		var err *events.Error
		if tenant, err = g.conn.Tenant(); err != nil {
			return Workflow{}, err
		}
	}
	w, err := g.workflows.Find(ctx, g.conn.Session().Identity(), action, tenant, id)
	if err != nil {
		return Workflow{}, public(err)
	}
	return w, nil
}

// watch has the client get all runs of a workflow, those that are under way from
// their beginning.
func (g *genesis) watch(ctx context.Context, name string) (Workflow, *events.Error) {
	w, err := g.find(ctx, auth.ReadRuns, name)
	if err != nil {
		return Workflow{}, err
	}
	if err := g.conn.Session().Do(ctx, "join_room", events.WorkflowRoom(w.Tenant, w.ID), nil); err != nil {
		return Workflow{}, err
	}
	g.mu.Lock()
	g.watched[w.ID] = append(g.watched[w.ID], name)
	g.mu.Unlock()
	underWay, failed := g.workflows.UnderWay(ctx, g.conn.Session().Identity(), w)
	if failed != nil {
		g.unwatch(ctx, w, name)
		return Workflow{}, public(failed)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range underWay {
		g.comesLocked(w.ID, id)
	}
	return Workflow{ID: w.ID, Tenant: w.Tenant}, nil
}

// unwatch takes one name of a workflow back. With the last one the runs go that
// the client has not asked for itself.
func (g *genesis) unwatch(ctx context.Context, w Workflow, name string) {
	var left []events.Room
	g.mu.Lock()
	names := slices.DeleteFunc(g.watched[w.ID], func(n string) bool { return n == name })
	g.watched[w.ID] = names
	if len(names) == 0 {
		delete(g.watched, w.ID)
		for room, run := range g.followed {
			if run.workflow == w.ID && !run.requested {
				left = append(left, room)
				delete(g.followed, room)
			}
		}
	}
	g.mu.Unlock()
	if len(names) > 0 {
		return
	}
	session := g.conn.Session()
	session.Do(ctx, "leave_room", events.WorkflowRoom(w.Tenant, w.ID), nil) // which cannot be refused
	for _, room := range left {
		session.Leave(room)
	}
}
