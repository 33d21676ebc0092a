package redistest

import (
	"testing"
	"time"
)

func TestServer(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		s := Start(t, Options{Keep: keep, Password: "p"})
		s.Do("SET", "k", "v")
		s.Pause()
		answered := make(chan error, 1)
		go func() {
			_, err := s.try("PING")
			answered <- err
		}()
		select {
		case <-answered:
			t.Error("a paused server answered")
		case <-time.After(50 * time.Millisecond):
		}
		s.Resume()
		if err := <-answered; err != nil {
			t.Error(err)
		}
		s.Kill()
		if _, err := s.try("PING"); err == nil {
			t.Error("a dead server answered")
		}
		s.Restart()
		if got := s.Do("GET", "k"); (got == "v") != keep {
			t.Errorf("keep %v: %v after a restart", keep, got)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{TLS: true})
	if got := s.Do("PING"); got != "PONG" {
		t.Error(got)
	}
}

func TestFailover(t *testing.T) {
	t.Parallel()
	master := Start(t, Options{Password: "p"})
	replica := StartReplica(t, master, Options{})
	sentinel := StartSentinel(t, master, 1)
	master.Do("SET", "k", "v")
	if sentinel.Master() != master.Addr() {
		t.Errorf("the master is %s", sentinel.Master())
	}
	sentinel.Failover()
	if sentinel.Master() != replica.Addr() {
		t.Errorf("the master is %s", sentinel.Master())
	}
	replica.Do("SET", "k", "w")
}

func TestCluster(t *testing.T) {
	t.Parallel()
	if c := StartCluster(t, 3); len(c.Addrs()) != 3 {
		t.Error(c.Addrs())
	}
}
