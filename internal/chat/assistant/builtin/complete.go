package builtin

import (
	"fmt"
	"strings"
)

// Model is the name under which prompts reach this package.
const Model = "builtin"

// Complete answers a prompt without a model, and says so: the answer repeats
// the prompt and holds no thought. It is the same for the same prompt. A word
// counts as a token; complete is false if maxTokens, unless it is 0, cut the
// answer short.
func Complete(model, prompt string, maxTokens int) (text string, complete bool, err error) {
	if model != "" && model != Model {
		return "", false, fmt.Errorf("there is no model %q on this server: leave model out, or say %s, which is no language model", model, Model)
	}
	text = "No language model is configured on this server, so this prompt was not answered: " + shorten(strings.TrimSpace(prompt))
	if words := strings.Fields(text); maxTokens > 0 && len(words) > maxTokens {
		return strings.Join(words[:maxTokens], " "), false, nil
	}
	return text, true, nil
}
