package telemetry

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Whoever runs a server reads what each metric is.
func TestEveryMetricIsInTheGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	ch := make(chan *prometheus.Desc, 1000)
	collector{}.Describe(ch)
	close(ch)
	name := regexp.MustCompile(`fqName: "roomcast_([^"]+)".*variableLabels: \{([^}]*)\}`)
	for d := range ch {
		m := name.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("%s has another form", d)
		}
		want := "`" + m[1] + "`"
		if m[2] != "" {
			want = "`" + m[1] + "{" + m[2] + "}`"
		}
		if !strings.Contains(string(guide), want) {
			t.Errorf("docs/production.md does not tell what %s is", want)
		}
	}
}
