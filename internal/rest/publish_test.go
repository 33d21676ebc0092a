package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
)

const publishPath = "/api/v1/tenants/default/publish"

// message is an envelope as a back end sends it.
func message(room, event string, more string) string {
	data := map[string]string{
		"listener_event":       `{"channelName":"c","data":{"n":1},"mode":"append","limit":10,"timestamp":1}`,
		"workflow_node_update": `{"instanceID":"7c9e6679-7425-40de-944b-e07fc1f90ae7","nodeID":"n","status":"success","output":1}`,
		"ai_chat_bot_message":  `{"text":"x"}`,
		"auth_ended":           `{"code":"USER_AUTH_TOKEN_EXPIRED","message":"x"}`,
	}[event]
	return fmt.Sprintf(`{"room":%q,"event":%q,"data":%s%s}`, room, event, data, more)
}

type published struct {
	OK       bool
	Offset   uint64
	Epoch    string
	Replayed bool
	Error    struct{ Code, Field, Message string }
}

func TestPublish(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Contract.Mode = "off" }})
	admin, member := s.Token("ada", "default", auth.Admin), s.Token("bob", "default", auth.Member)
	foreign, publisher := s.Token("eve", "other", auth.Admin), s.Token("svc", "default", auth.Publisher)
	var key struct{ APIKey string }
	s.Do(admin, "POST", keysPath, `{"name":"ingest","role":"PUBLISHER"}`, &key)
	var l, page, w, run, widget, theirs struct{ ListenerID, WorkflowID, InstanceID, WidgetID string }
	s.Do(admin, "POST", "/api/v1/tenants/default/listeners", `{"title":"L"}`, &l)
	s.Do(admin, "POST", "/api/v1/tenants/default/listeners", `{"title":"P","kind":"app_page"}`, &page)
	s.Do(foreign, "POST", "/api/v1/tenants/other/listeners", `{"title":"L"}`, &theirs)
	s.Do(admin, "POST", base, `{"title":"T","definition":`+definition+`}`, &w)
	s.Do(member, "POST", base+"/"+w.WorkflowID+"/execute", nil, &run)
	s.Do(member, "POST", base+"/instances/"+run.InstanceID+"/widget", nil, &widget)
	const event = "listener_event"
	for _, tt := range []struct {
		token, body string
		status      int
		offset      uint64
		code, field string
	}{
		{admin, message("tenant:default", event, ""), 200, 1, "", ""},
		{publisher, message("tenant:default", event, `,"namespace":"/"`), 200, 2, "", ""},
		{key.APIKey, message("tenant:default", event, ""), 200, 3, "", ""},
		{publisher, message("listener:"+l.ListenerID, event, ""), 200, 1, "", ""},
		{publisher, message("listener_test:"+l.ListenerID, event, ""), 200, 1, "", ""},
		{publisher, message("listener:app_page:"+page.ListenerID, event, ""), 200, 1, "", ""},
		{publisher, message("widget:"+widget.WidgetID, event, ""), 200, 1, "", ""},
		{publisher, message(run.InstanceID, event, ""), 200, 0, "", ""}, // live only
		{publisher, message("tenant:default", "workflow_node_update", ""), 200, 4, "", ""},
		{publisher, message(run.InstanceID, "workflow_node_update", ""), 400, 0, "VALIDATION_ERROR", "event"},

		{"", message("tenant:default", event, ""), 401, 0, "USER_AUTH_TOKEN_NOT_FOUND", ""},
		{member, message("tenant:default", event, ""), 403, 0, "PERMISSION_DENIED", ""},
		{foreign, message("tenant:default", event, ""), 404, 0, "NOT_FOUND", ""},
		{publisher, message("tenant:other", event, ""), 404, 0, "NOT_FOUND", "room"},
		{publisher, message("tenant:", event, ""), 404, 0, "NOT_FOUND", "room"},
		{publisher, message("listener:"+theirs.ListenerID, event, ""), 404, 0, "NOT_FOUND", "room"},
		{publisher, message("listener:"+page.ListenerID, event, ""), 404, 0, "NOT_FOUND", "room"},
		{publisher, message("listener:app_page:"+l.ListenerID, event, ""), 404, 0, "NOT_FOUND", "room"},
		{publisher, message("listener:"+uuid.NewString(), event, ""), 404, 0, "NOT_FOUND", "room"},
		{publisher, message("widget:"+uuid.NewString(), event, ""), 404, 0, "NOT_FOUND", "room"},
		{publisher, message("log:all", event, ""), 404, 0, "NOT_FOUND", "room"},
		{publisher, message(uuid.NewString(), event, ""), 404, 0, "NOT_FOUND", "room"},

		{publisher, `{}`, 400, 0, "VALIDATION_ERROR", "room"},
		{publisher, `{"room":"tenant:default"}`, 400, 0, "VALIDATION_ERROR", "event"},
		{publisher, `{"room":"tenant:default","event":"x"}`, 400, 0, "VALIDATION_ERROR", "data"},
		{publisher, `{"room":"tenant:default","event":"x","data":{}}`, 400, 0, "INVALID_REQUEST", "event"},
		{publisher, `{"room":"tenant:default","event":"join_room","data":"tenant:default"}`, 400, 0, "INVALID_REQUEST", "event"},
		{publisher, `{"room":"tenant:default","event":"join_room_ack","data":{"ok":true}}`, 400, 0, "INVALID_REQUEST", "event"},
		{publisher, message("tenant:default", "auth_ended", ""), 400, 0, "INVALID_REQUEST", "event"},
		{publisher, message("tenant:default", event, `,"namespace":"/monitor"`), 400, 0, "VALIDATION_ERROR", "namespace"},
		{publisher, message("tenant:default", event, `,"id":""`), 200, 5, "", ""},
		{publisher, message("tenant:default", event, `,"id":"a\n"`), 400, 0, "VALIDATION_ERROR", "id"},
		{publisher, `{"room":"tenant:default","event":"listener_event","data":{"channelName":"c"}}`, 400, 0, "VALIDATION_ERROR", "data.data"},
		{publisher, `{"room":"tenant:default","event":"listener_event","data":7}`, 400, 0, "VALIDATION_ERROR", "data"},
		{publisher, strings.Replace(message("tenant:default", event, ""), `"limit"`, `"offset":7,"limit"`, 1), 400, 0, "VALIDATION_ERROR", "data.offset"},
		{publisher, strings.Replace(message("tenant:default", event, ""), `"c"`, "\"\xff\"", 1), 400, 0, "VALIDATION_ERROR", "data"},
		{publisher, `{"messages":[],"room":"tenant:default"}`, 400, 0, "VALIDATION_ERROR", "messages"},
		{publisher, `{"mesages":[]}`, 400, 0, "VALIDATION_ERROR", "mesages"},
	} {
		var got published
		status := s.Do(tt.token, "POST", publishPath, tt.body, &got)
		if status != tt.status || got.Offset != tt.offset || got.Error.Code != tt.code || got.Error.Field != tt.field || (tt.code == "") != got.OK {
			t.Errorf("%s: %d %+v, want %d %d %s %q", tt.body, status, got, tt.status, tt.offset, tt.code, tt.field)
		}
		if got.OK && (got.Epoch != "") != (got.Offset > 0) {
			t.Errorf("%s: %+v", tt.body, got)
		}
	}
}

func TestPublishBatchAndOnce(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Publish.MaxBatch = 50 }})
	publisher := s.Token("svc", "default", auth.Publisher)
	batch := func(messages ...string) string { return `{"messages":[` + strings.Join(messages, ",") + `]}` }
	m := func(more string) string { return message("tenant:default", "listener_event", more) }
	post := func(key, body string) (got []published, replayed bool) {
		t.Helper()
		_, again, raw := post(t, s, publisher, key, publishPath, body)
		var out struct {
			Results []published
			published
		}
		if err := json.Unmarshal([]byte(raw), &out); err != nil {
			t.Fatal(raw, err)
		}
		if out.Results == nil {
			out.Results = []published{out.published}
		}
		return out.Results, again
	}
	brief := func(got []published, replayed bool) string {
		var all []string
		for _, r := range got {
			text := r.Error.Code
			if r.OK {
				text = fmt.Sprint(r.Offset)
			}
			if r.Replayed {
				text += "r"
			}
			all = append(all, text)
		}
		return fmt.Sprint(all, replayed)
	}
	expect := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	expect(brief(post("", batch(m(""), m(`,"id":"a"`), message("tenant:no", "listener_event", ""), m(""), m(`,"id":"a"`)))), "[1 2 NOT_FOUND 3 2r] false")
	expect(brief(post("", m(`,"id":"a"`))), "[2r] true")
	expect(brief(post("", message("tenant:default", "ai_chat_bot_message", `,"id":"a"`))), "[CONFLICT] false")
	expect(brief(post("k", m(""))), "[4] false")
	expect(brief(post("k", m(""))), "[4r] true")
	expect(brief(post("k", m(`,"id":"a"`))), "[2r] true") // an id of its own comes first
	expect(brief(post("batch", batch(m(""), m(`,"id":"b"`), m("")))), "[5 6 7] false")
	expect(brief(post("batch", batch(m(""), m(`,"id":"b"`), m(""), m("")))), "[5r 6r 7r 8] false")
	expect(brief(post("batch", batch(m(""), m(`,"id":"b"`), m(""), m("")))), "[5r 6r 7r 8r] true")
	expect(brief(post("", `{"messages":[]}`)), "[] false")
	var many []string
	for range 51 {
		many = append(many, m(""))
	}
	if got, _ := post("", batch(many...)); got[0].Error.Field != "messages" {
		t.Errorf("%+v", got)
	}
	if got, _ := post("", batch(many[:50]...)); len(got) != 50 || got[49].Offset != 58 {
		t.Errorf("%+v", got)
	}
	if got, _ := post(strings.Repeat("k", 121), batch(m(""))); got[0].Error.Field != "Idempotency-Key" {
		t.Errorf("%+v", got)
	}
	// Ids are of a user and a tenant.
	if _, again, raw := posts(t, s, s.Token("other", "default", auth.Publisher), m(`,"id":"a"`)); again || !strings.Contains(raw, `"offset":59`) {
		t.Error(raw)
	}
}

func posts(t *testing.T, s *servertest.Server, token, body string) (int, bool, string) {
	return post(t, s, token, "", publishPath, body)
}

// What is too large is refused without being read.
func TestPublishTooLarge(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	publisher, member := s.Token("svc", "default", auth.Publisher), s.Token("bob", "default", auth.Member)
	large := func(size int) string {
		return fmt.Sprintf(`{"room":"tenant:default","event":"ai_chat_bot_message","data":{"text":"%s"}}`, strings.Repeat("x", size))
	}
	for _, tt := range []struct {
		token        string
		size, status int
	}{
		{publisher, 1 << 20, 200}, {publisher, 7 << 20, 200}, {publisher, 8 << 20, 413}, {publisher, 33 << 20, 413}, {member, 33 << 20, 403},
	} {
		if status, _, body := posts(t, s, tt.token, large(tt.size)); status != tt.status {
			t.Errorf("%d bytes: %d %s", tt.size, status, body)
		}
	}
	// Nor is one that does not say how large it is, beyond the limit.
	res, raw := s.Send(publisher, "POST", publishPath, http.Header{}, struct{ *strings.Reader }{strings.NewReader(large(33 << 20))})
	if res.StatusCode != 413 {
		t.Errorf("%d %s", res.StatusCode, raw)
	}
}
