package builtin

import "testing"

func TestComplete(t *testing.T) {
	for _, tt := range []struct {
		model, prompt string
		max           int
		want          string
		complete      bool
	}{
		{"", " What is 1 + 1? ", 0, "No language model is configured on this server, so this prompt was not answered: What is 1 + 1?", true},
		{Model, "x", 3, "No language model", false},
		{Model, "x", 100, "No language model is configured on this server, so this prompt was not answered: x", true},
	} {
		if got, complete, err := Complete(tt.model, tt.prompt, tt.max); got != tt.want || complete != tt.complete || err != nil {
			t.Errorf("%+v: %q %v %v", tt, got, complete, err)
		}
	}
	if _, _, err := Complete("large-model", "x", 0); err == nil {
		t.Error("an unknown model answered")
	}
}
