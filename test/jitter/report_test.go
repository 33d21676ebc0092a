package jitter

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/bench"
)

type row struct {
	name string
	bench.JitterResult
}

const (
	peer = "socket.io with recovery"
	// slack is by how much a figure may be worse than the peer's before it is:
	// two runs of the same server differ by this.
	slack = 1.05
)

// compare checks that the slowest of what we deliver is no slower than the
// peer's.
func compare(t *testing.T, rows []row) {
	at := slices.IndexFunc(rows, func(r row) bool { return r.name == peer })
	if at < 0 {
		return
	}
	for _, r := range rows {
		if strings.HasPrefix(r.name, "roomcast") && r.EndToEnd.P99 > slack*rows[at].EndToEnd.P99 {
			t.Errorf("%s: p99 from end to end %.1f ms, %s %.1f ms", r.name, r.EndToEnd.P99, peer, rows[at].EndToEnd.P99)
		}
	}
}

const intro = `# Clients with bad connections

Written by ` + "`make prove-jitter`" + ` on %s: %d clients in one room, %.0f publications a second, for %.0f s; on %d processors that clients and servers share; Node %s, socket.io %s. Every client's TCP connection is reset every 15 s, each at its own time, and its network is away for 2 s. It comes back as the stock client does: after 1 s, doubled with each attempt up to 5 s, half more or less. So it is back after 2 to 7 s, which is in the latency from end to end of all rows. With several instances a client comes back to another one each time.

| | delivered | lost | doubled | out of order | sessions recovered | end to end p50 | p99 | max | caught up p50 | p99 | server | clients |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
`

const outro = `
*End to end* is from publishing to receiving, absences included, in ms, of what was delivered. *Caught up* is from the answer to CONNECT until the client has everything that had been published by then, in ms, of the returns after which nothing is missing; socket.io sends what was missed before that answer. *Server* and *clients* are processor time for one delivery, in µs. A *silent* cut is one that the server is not told of: the TCP connection stays open and nobody reads it. Clients before 4.6 have no connection state recovery; here they join again with ` + "`since`" + `. To socket.io is published by an event, to Roomcast by ` + "`POST …/publish`" + `, which stores before it answers.
`

func report(rows []row) string {
	if len(rows) == 0 {
		return ""
	}
	first := rows[0]
	var b strings.Builder
	fmt.Fprintf(&b, intro, time.Now().UTC().Format("2006-01-02"), first.Clients, float64(first.Publications)/first.Seconds, first.Seconds,
		runtime.NumCPU(), nodeVersion(), peerVersion())
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %.2f %% | %d | %d | %d | %d of %d | %.1f | %.0f | %.0f | %.1f | %.1f | %.1f | %.1f |\n", r.name,
			100*float64(r.Delivered)/float64(r.Expected), r.Lost+r.Told, r.Doubled, r.Disordered, r.Recovered, r.Recovered+r.Unrecovered,
			r.EndToEnd.P50, r.EndToEnd.P99, r.EndToEnd.Max, r.CaughtUp.P50, r.CaughtUp.P99, r.ServerCPU, r.ClientCPU)
	}
	b.WriteString(outro)
	return b.String()
}

func nodeVersion() string {
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		return "of unknown version"
	}
	return strings.TrimSpace(string(out))
}

func peerVersion() string {
	raw, err := os.ReadFile("../peer/node_modules/socket.io/package.json")
	var pkg struct{ Version string }
	if err != nil || json.Unmarshal(raw, &pkg) != nil {
		return "of unknown version"
	}
	return pkg.Version
}
