package provider

import (
	"crypto/sha256"
	"encoding/hex"
)

// BytesPerToken is what a token of English prose has on average.
const BytesPerToken = 4

// Estimate guesses the usage of a provider that does not tell it, from the
// number of bytes. It is right to about a third for prose.
func Estimate(r Request, answer Response) Usage {
	prompt := len(r.System)
	for _, m := range r.Messages {
		prompt += len(m.Text) + callBytes(m.ToolCalls)
	}
	for _, t := range r.Tools {
		prompt += len(t.Name) + len(t.Description) + len(t.Parameters)
	}
	return Usage{Prompt: tokens(prompt), Completion: tokens(len(answer.Text) + callBytes(answer.ToolCalls)), Estimated: true}
}

func callBytes(calls []ToolCall) (n int) {
	for _, c := range calls {
		n += len(c.Name) + len(c.Arguments)
	}
	return n
}

func tokens(bytes int) int { return (bytes + BytesPerToken - 1) / BytesPerToken }

// HashUser makes a user of a tenant into a [Request.User]. It is the same every
// time, so that providers can tell who misuses them, and does not show who it
// is to somebody who has no list of users to try.
func HashUser(tenant, user string) string {
	sum := sha256.Sum256([]byte(tenant + "\x00" + user))
	return hex.EncodeToString(sum[:16])
}
