package agent

import (
	"slices"
	"strings"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// leftOut stands for the result of a tool for which there is no room any more.
const leftOut = `{"kind": "left out", "reason": "there was no room for this result any more: use the tool again if it is needed"}`

// leastPrompt is what stays of a prompt that is too long, in bytes.
const leastPrompt = 2 << 10

// fit puts messages into a request, as many as there is room for: it leaves out
// the oldest of before, then what is long in the oldest rounds, and then the end
// of the prompt. The latest round stays.
func (c *conversation) fit(r provider.Request) provider.Request {
	budget := c.agent.opts.ContextTokens
	excess := func() int {
		r.Messages = slices.Concat(c.history, []provider.Message{c.prompt}, c.rounds)
		return provider.Estimate(r, provider.Response{}).Prompt - budget
	}
	for len(c.history) > 0 && excess() > 0 {
		c.history = c.history[1:]
		for len(c.history) > 0 && c.history[0].Role != provider.User {
			c.history = c.history[1:] // an answer to what is left out
		}
	}
	for i := range c.olderRounds() {
		if excess() <= 0 {
			break
		}
		shrink(&c.rounds[i])
	}
	if over := excess() * provider.BytesPerToken; over > 0 && len(c.prompt.Text) > leastPrompt {
		c.prompt.Text = start(c.prompt.Text, max(len(c.prompt.Text)-over, leastPrompt)) + "\n(The rest of the message is left out, because it is too long.)"
		excess()
	}
	return r
}

// shrink leaves out what is long in a message of a round.
func shrink(m *provider.Message) {
	if len(m.Text) > len(leftOut) {
		if m.Role == provider.ToolRole {
			m.Text = leftOut
		} else {
			m.Text = start(m.Text, len(leftOut)) + "…"
		}
	}
	for i := range m.ToolCalls {
		if len(m.ToolCalls[i].Arguments) > len(leftOut) {
			m.ToolCalls[i].Arguments = []byte(leftOut)
		}
	}
}

// resultLimit is how many bytes each of n results of a round may have, so that
// they fit together.
func (c *conversation) resultLimit(n int) int {
	half := c.agent.opts.ContextTokens * provider.BytesPerToken / 2
	return min(maxResult, max(half/n, leastResult))
}

// olderRounds is how many messages of this turn are of rounds before the latest.
func (c *conversation) olderRounds() int {
	for i, m := range slices.Backward(c.rounds) {
		if m.Role == provider.Assistant {
			return i
		}
	}
	return 0
}

// start is the start of a text, of at most n bytes.
func start(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
