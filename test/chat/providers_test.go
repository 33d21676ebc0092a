package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/chat/provider/providertest"
)

// faults are what a provider does, and how the answer ends then.
var faults = []struct {
	name    string
	replies []providertest.Reply
	text    string // is in the answer
	finish  string
}{
	{"slow", []providertest.Reply{providertest.Tokens(5, 400)}, tokens(5), "stop"},
	{"hangs", []providertest.Reply{providertest.Stream(providertest.Step{Stall: true})}, "no sign", "error"},
	{"stalls", []providertest.Reply{providertest.Stream(providertest.Step{Text: "So far"}, providertest.Step{Stall: true})}, "So far\n\n", "error"},
	{"cut", []providertest.Reply{providertest.Stream(providertest.Step{Text: "So far"}, providertest.Step{Cut: true})}, "So far\n\n", "error"},
	{"rubbish", []providertest.Reply{providertest.Stream(providertest.Step{Text: "So far"}, providertest.Step{Raw: "data: {rubbish\n\n"})}, "So far\n\n", "error"},
	{"page", []providertest.Reply{{Headers: map[string]string{"Content-Type": "text/html"}, Body: "<html>"}}, "I could not answer", "error"},
	{"busy", []providertest.Reply{providertest.Failure(429, "rate_limit_exceeded")}, "I could not answer", "error"},
	{"broken", []providertest.Reply{providertest.Failure(500, "server_error")}, "I could not answer", "error"},
	{"nothing", []providertest.Reply{providertest.Stream()}, "I could not answer", "error"},
	{"fine", []providertest.Reply{providertest.Answer("Fine.")}, "Fine.", "stop"},
}

// TestProviders asks a provider that does everything wrong, in many conversations
// at once, with messages that wait behind each other.
func TestProviders(t *testing.T) {
	s := set(t, options(t, 1), "")
	for _, f := range faults {
		s.model.On("say "+f.name+".", f.replies...)
	}
	var all []*client
	for i := range size(1, 10) * len(faults) {
		all = append(all, s.client("", 0, way(i%int(ways))))
	}
	s.awaitEntered(all...)
	const messages = 2
	for n := range messages {
		for i, c := range all {
			c.say(fmt.Sprintf("say %s.", faults[(i+n*3)%len(faults)].name))
		}
	}
	s.await("all answers and the end of typing", all, func(v *view) bool { return v.through() == 2*messages && !v.typing })
	s.compare(all)
	for i, c := range all {
		for n := range messages {
			f := faults[(i+n*3)%len(faults)]
			c.look(func(v *view) {
				for at, m := range v.log {
					a := v.answers[at]
					if m != "say "+f.name+"." || a == nil {
						continue
					}
					if a.ends != 1 || a.finish != f.finish || !strings.Contains(a.text, f.text) {
						s.fail(f.name, "%q ended %d times as %q", a.text, a.ends, a.finish)
					}
				}
			})
		}
	}
	t.Logf("%d messages in %d conversations", messages*len(all), len(all))
}
