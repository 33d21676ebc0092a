package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// MasterName is what a [Sentinel] calls the server that it watches.
const MasterName = "roomcast"

// A Sentinel watches a master and its replicas, alone: what it thinks is agreed.
type Sentinel struct{ *Server }

// StartSentinel starts a Sentinel and waits until it knows the replicas.
func StartSentinel(t testing.TB, master *Server, replicas int) *Sentinel {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), port: freePort(t)}
	file := filepath.Join(s.dir, "sentinel.conf")
	conf := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %s
sentinel monitor %[3]s 127.0.0.1 %[4]d 1
sentinel down-after-milliseconds %[3]s 500
sentinel failover-timeout %[3]s 3000
`, s.port, s.dir, MasterName, master.port)
	if master.pass != "" {
		conf += fmt.Sprintf("sentinel auth-pass %s %s\n", MasterName, master.pass)
	}
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{file, "--sentinel"}
	s.start()
	t.Cleanup(s.Kill)
	s.await("it has not found the replicas", func() bool {
		info, err := s.try("INFO", "sentinel")
		return err == nil && strings.Contains(info.(string), fmt.Sprintf("slaves=%d", replicas))
	})
	return &Sentinel{s}
}

// Failover makes a replica the master and waits until clients are told so.
func (s *Sentinel) Failover() {
	s.t.Helper()
	before := s.Master()
	s.await("it will not fail over", func() bool {
		_, err := s.try("SENTINEL", "FAILOVER", MasterName)
		return err == nil || s.Master() != before
	})
	s.AwaitMasterOtherThan(before)
}

// AwaitMasterOtherThan waits until there is a new master.
func (s *Sentinel) AwaitMasterOtherThan(addr string) {
	s.t.Helper()
	s.await("there is no new master", func() bool { return s.Master() != addr })
}

// Master is the address of the master.
func (s *Sentinel) Master() string {
	s.t.Helper()
	at := s.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).([]any)
	return fmt.Sprintf("%v:%v", at[0], at[1])
}
