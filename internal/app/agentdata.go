package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/assistant/agent"
	"github.com/roomcast/roomcast/internal/datasource"
)

// agentData are the data sources that the assistant may ask, by their names. Its
// users ask what is configured as runs of theirs could; SQL of one's own is for
// those who could write a workflow with it.
type agentData struct {
	sources *datasource.Sources
	open    map[string]bool
}

var _ agent.Data = agentData{}

func (a *App) agentData() agentData {
	d := agentData{a.data, map[string]bool{}}
	for _, s := range a.opts.Config.DataSources {
		d.open[s.Name] = s.Assistant
	}
	return d
}

// of returns the sources that a user may ask in a tenant.
func (d agentData) of(id *auth.Identity, tenant string) (list []datasource.Source) {
	if !id.Can(auth.Execute, tenant) {
		return nil
	}
	for _, s := range d.sources.For(tenant) {
		s.AllowQueries = s.AllowQueries && id.Can(auth.WriteWorkflows, tenant)
		if d.open[s.Name] && (s.AllowQueries || len(s.Queries) > 0) {
			list = append(list, s)
		}
	}
	return list
}

// Sources implements [agent.Data].
func (d agentData) Sources(id *auth.Identity, tenant string) (list []agent.Source) {
	for _, s := range d.of(id, tenant) {
		source := agent.Source{Name: s.Name, Kind: s.Driver, SQL: s.AllowQueries, Queries: []agent.Query{}}
		for _, q := range s.Queries {
			query := agent.Query{ID: q.ID, Title: q.Title, Changes: q.Write}
			for _, p := range q.Params {
				query.Params = append(query.Params, agent.Param{Name: p.Name, Type: p.Type, Required: p.Required})
			}
			source.Queries = append(source.Queries, query)
		}
		list = append(list, source)
	}
	return list
}

// Check implements [agent.Data].
func (d agentData) Check(id *auth.Identity, tenant string, call agent.DataCall) (title string, changes bool, err error) {
	if title, changes, err = d.find(id, tenant, call); err != nil {
		return "", false, err
	}
	for _, p := range d.sources.Check(request(id, tenant, "", call)) {
		return "", false, events.FieldErrorf(p.Field, "%s", p.Message)
	}
	return title, changes, nil
}

// find returns what a call is about, and whether it changes something.
func (d agentData) find(id *auth.Identity, tenant string, call agent.DataCall) (title string, changes bool, err error) {
	for _, s := range d.of(id, tenant) {
		if call.QueryID == "" && s.Name == call.Source && s.AllowQueries {
			return s.Name, false, nil
		}
		for _, q := range s.Queries {
			if call.QueryID == "" || q.ID != call.QueryID {
				continue
			}
			if q.Title != "" {
				return q.Title, q.Write, nil
			}
			return q.ID, q.Write, nil
		}
	}
	if call.QueryID == "" {
		return "", false, events.FieldErrorf("dataSource", "there is no data source %q that takes SQL of yours: without arguments this tool tells what there is", call.Source)
	}
	return "", false, events.FieldErrorf("dataQueryID", "there is no query %q: without arguments this tool tells what there is", call.QueryID)
}

func request(id *auth.Identity, tenant, key string, call agent.DataCall) datasource.Request {
	return datasource.Request{Tenant: tenant, User: id.User, Key: key, ID: call.QueryID, Source: call.Source, SQL: call.SQL, Args: call.Args}
}

// Query implements [agent.Data].
func (d agentData) Query(ctx context.Context, id *auth.Identity, tenant string, call agent.DataCall) (any, error) {
	if _, changes, err := d.find(id, tenant, call); err != nil || changes {
		return nil, fmt.Errorf("query %q changes something, or may not be asked: %w", call.QueryID, err)
	}
	return d.query(ctx, id, tenant, "", call)
}

// query runs a call. What a source says of it is for authors, so models and
// users may know it.
func (d agentData) query(ctx context.Context, id *auth.Identity, tenant, key string, call agent.DataCall) (any, error) {
	out, err := d.sources.Query(ctx, request(id, tenant, key, call))
	if err != nil && ctx.Err() == nil {
		err = &events.Error{Code: events.CodeInvalidRequest, Message: err.Error()}
	}
	return out, err
}

// queryTool runs queries that change something. The version of a proposal is the
// query that it was made for, as it was configured.
type queryTool struct{ data agentData }

var _ chat.Tools = queryTool{}

// find returns the call of a proposal, if it can be done.
func (t queryTool) find(id *auth.Identity, p chat.Proposal) (agent.DataCall, error) {
	var call agent.DataCall
	if err := mayDo(id, p, &call); err != nil {
		return call, err
	}
	if _, _, err := t.data.Check(id, p.Tenant, call); err != nil {
		return call, invalid(err)
	}
	return call, nil
}

// Check implements [chat.Tools].
func (t queryTool) Check(_ context.Context, id *auth.Identity, p chat.Proposal) (chat.Proposal, error) {
	call, err := t.find(id, p)
	if err == nil {
		p.Version, err = t.version(p.Tenant, call)
	}
	return p, err
}

// version is that of a configured query: another server, or this one after it
// was started again, may have another under its id.
func (t queryTool) version(tenant string, call agent.DataCall) (string, error) {
	for _, s := range t.data.sources.For(tenant) {
		for _, q := range s.Queries {
			if q.ID == call.QueryID {
				raw, err := json.Marshal(q)
				return chat.HashOf(chat.Proposal{Tool: s.Name, Arguments: raw}), err
			}
		}
	}
	return "", nil
}

// Try implements [chat.Tools]. Asking a source without consequences is not
// possible everywhere, so it is not asked.
func (t queryTool) Try(_ context.Context, id *auth.Identity, p chat.Proposal) (string, error) {
	call, err := t.find(id, p)
	if err != nil {
		return "", err
	}
	args, err := json.Marshal(call.Args)
	return fmt.Sprintf("%q would be asked with %s", p.Title, args), err
}

// Do implements [chat.Tools]. A query that is repeated after a crash has the same
// key, as those of workflows have.
func (t queryTool) Do(ctx context.Context, id *auth.Identity, approvalID string, p chat.Proposal) (chat.Outcome, error) {
	now, err := t.Check(ctx, id, p)
	if err != nil {
		return chat.Outcome{}, err
	}
	if p.Version != "" && now.Version != p.Version {
		return chat.Outcome{}, invalid(events.Errorf(events.CodeConflict, "the query %q has changed since it was proposed", p.Title))
	}
	call, err := t.find(id, p)
	if err != nil {
		return chat.Outcome{}, err
	}
	answer, err := t.data.query(ctx, id, p.Tenant, approvalID, call)
	if err != nil {
		return chat.Outcome{}, err
	}
	text, err := json.Marshal(answer)
	return chat.Outcome{OK: true, Text: fmt.Sprintf("%q is done: %s", p.Title, shortened(text))}, err
}

// mostOutcome bounds what people are told of an answer, in bytes.
const mostOutcome = 2 << 10

func shortened(text []byte) []byte {
	if len(text) <= mostOutcome {
		return text
	}
	return append(bytes.ToValidUTF8(text[:mostOutcome], nil), "…"...)
}
