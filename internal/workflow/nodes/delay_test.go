package nodes

import (
	"math"
	"strings"
	"testing"
	"time"
)

// However large a number is, a delay is refused or lies ahead.
func TestDelaysDoNotOverflow(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		data Data
		want string // "" is a delay that is accepted
	}{
		{Data{"delayMs": 5.0}, ""},
		{Data{"delayMinutes": 1.0, "delaySeconds": "2", "delayMs": 3.0}, ""},
		{Data{"delayMs": 1e300}, "longer than a year"},
		{Data{"delayMinutes": 1e18}, "longer than a year"},
		{Data{"delayMinutes": 527039.0, "delaySeconds": 61.0}, "longer than a year"},
		{Data{"delaySeconds": math.NaN()}, "not a number"},
		{Data{"delaySeconds": "-Inf"}, "not a number"},
		{Data{"delayType": "dynamic", "delayVariable": "huge"}, "longer than a year"},
		{Data{"delayType": "dynamic", "delayVariable": "nan"}, "not a number"},
		{Data{"delayType": "dynamic", "delayVariable": "negative"}, "not a number"},
		{Data{"delayType": "until", "untilTime": "9999-12-31T00:00:00Z"}, "longer than a year"},
	} {
		vars := map[string]any{"huge": 1e300, "nan": "NaN", "negative": -1}
		r, err := delay{}.Run(t.Context(), Call{Data: tt.data, Source: tt.data, Vars: vars, Now: now})
		switch {
		case tt.want == "" && (err != nil || !r.Suspend.Until.After(now)):
			t.Errorf("%v: %v", tt.data, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%v: %v, want %q", tt.data, err, tt.want)
		}
	}
}

// A definition may be older than the check of its settings.
func TestExpiryIsClamped(t *testing.T) {
	now := time.Now()
	for minutes, want := range map[float64]time.Time{
		1: now.Add(time.Minute), 0: {}, -5: {}, 1e18: now.Add(maxDelay), math.NaN(): now.Add(defaultExpiry * time.Minute),
	} {
		d := Data{"expiryMinutes": minutes}
		r, err := dataCollection{}.Run(t.Context(), Call{Data: d, Source: d, Now: now})
		if err != nil || !r.Suspend.Until.Equal(want) {
			t.Errorf("%v minutes: until %v, %v, want %v", minutes, r.Suspend.Until, err, want)
		}
	}
}
