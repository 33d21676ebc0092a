package chat

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
)

// recentApprovals is how many approvals of a room an assistant is told of.
const recentApprovals = 20

// spoken are words that are as good as an action, while there is something to
// decide.
var spoken = map[string]Action{
	"approve": Approve, "yes": Approve, "yes please": Approve, "yes, please": Approve, "ok": Approve, "do it": Approve,
	"reject": Reject, "no": Reject, "no thanks": Reject, "no, thanks": Reject, "don't": Reject,
	"test": Test, "try it": Test,
}

// obey does what a message decides, and says how that went; decides is false if
// the message is one for the assistant.
func (s *Service) obey(ctx context.Context, t Turn) (r Reply, decides bool, err error) {
	a, what := about(t)
	switch {
	case what == None, a == nil && what == Test:
		return Reply{}, false, nil
	case a == nil:
		return say("There is nothing to %s: nothing has been proposed.", what), true, nil
	}
	decided, outcome, err := s.decide(ctx, t.Identity, *a, what)
	if e, meant := events.Public(err); err != nil && meant && what == Test {
		return say("The test failed: %s. Nothing was run.", e.Message), true, nil
	}
	switch {
	case err != nil:
		return Reply{}, true, err
	case what == Test:
		return say("The test passed: %s. Nothing was run; approve or reject it.", outcome), true, nil
	case what == Reject:
		return say("All right, I will not run %q.", a.Title), true, nil
	}
	r, err = s.done(ctx, t, decided)
	return r, true, err
}

// about returns what a message decides, and about which approval: the latest of
// those that had been proposed and not decided when it was said.
func about(t Turn) (*Approval, Action) {
	now := time.Now()
	for i := len(t.Approvals) - 1; i >= 0; i-- {
		a := &t.Approvals[i]
		if a.Seq > t.Message.Seq || a.Status == Pending && a.overdue(now) || a.Status != Pending && !a.At.After(t.Message.At) {
			continue
		}
		if t.Message.Action == None {
			return a, spoken[strings.ToLower(strings.Trim(t.Message.Text, " .!"))]
		}
		return a, t.Message.Action
	}
	return nil, t.Message.Action
}

// done says what came of what a message, or somebody before it, has approved.
func (s *Service) done(ctx context.Context, t Turn, a Approval) (Reply, error) {
	a, err := s.outcome(ctx, a)
	if err != nil {
		return Reply{}, err
	}
	r := say("%s", a.Outcome.Text)
	if !a.Done {
		r = say("%q is being done.", a.Title)
	}
	if a.By != t.Identity.User {
		r.Text = fmt.Sprintf("%s has approved it already. %s", a.By, r.Text)
	}
	return r, nil
}

// say is a reply that is the service's own.
func say(format string, args ...any) Reply {
	return Reply{Text: fmt.Sprintf(format, args...)}
}
