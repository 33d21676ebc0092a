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
// the oldest of before, then the oldest results of tools, and then the end of
// the prompt. The results of the latest round stay.
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
		if m := &c.rounds[i]; m.Role == provider.ToolRole && len(m.Text) > len(leftOut) {
			m.Text = leftOut
		}
	}
	if over := excess() * bytesPerToken; over > 0 && len(c.prompt.Text) > leastPrompt {
		c.prompt.Text = start(c.prompt.Text, max(len(c.prompt.Text)-over, leastPrompt)) + "\n(The rest of the message is left out, because it is too long.)"
		excess()
	}
	return r
}

// bytesPerToken is what [provider.Estimate] counts with.
const bytesPerToken = 4

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
