package bench

import (
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// script is a link whose server says what is written down.
type script struct {
	says []string
	sent []string
}

func (s *script) Next() ([]byte, error) {
	if len(s.says) == 0 {
		return nil, io.EOF
	}
	packet := s.says[0]
	s.says = s.says[1:]
	return []byte(packet), nil
}

func (s *script) Send(packet []byte) error {
	s.sent = append(s.sent, string(packet))
	return nil
}

func (s *script) Until(time.Time) {}
func (s *script) Cut()            {}

const hello = `0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

// TestComingBack plays the connections of a member one after the other.
func TestComingBack(t *testing.T) {
	type connection struct {
		says []string
		sent []string
	}
	for name, tt := range map[string]struct {
		options     JitterOptions
		connections []connection
		next        int // publication
		recovered   int64
	}{
		"recovered": {JitterOptions{}, []connection{
			{
				[]string{hello, `40{"sid":"a","pid":"p"}`, `431[]`, `42["e",{"seq":0,"at":1},"1-0"]`, "2", `42["e",{"seq":1,"at":1},"1-1"]`},
				[]string{`40`, `421["bench:join","bench-jitter"]`, "3"},
			},
			{
				[]string{hello, `42["e",{"seq":2,"at":1},"1-2"]`, `40{"sid":"a","pid":"p"}`, `42["e",{"seq":3,"at":1},"1-3"]`},
				[]string{`40{"offset":"1-1","pid":"p"}`},
			},
			{[]string{hello, `40{"sid":"a","pid":"p"}`}, []string{`40{"offset":"1-3","pid":"p"}`}},
		}, 4, 2},
		"not recovered": {JitterOptions{Token: "t"}, []connection{
			{[]string{hello, `40{"sid":"a","pid":"p"}`, `431[{"ok":true}]`}, []string{`40{"token":"t"}`, `421["bench:join","bench-jitter"]`}},
			{[]string{hello, `40{"sid":"b","pid":"q"}`, `432[]`}, []string{`40{"pid":"p","token":"t"}`, `422["bench:join","bench-jitter"]`}},
			{[]string{hello, `40{"sid":"c","pid":"r"}`, `433[]`}, []string{`40{"pid":"q","token":"t"}`, `423["bench:join","bench-jitter"]`}},
		}, 0, 0},
		"since": {JitterOptions{Since: true, NoRecovery: true}, []connection{
			{[]string{hello, `40{"sid":"a","pid":"p"}`, `431[{"ok":true,"epoch":"e","offset":7}]`}, []string{`40`, `421["bench:join","bench-jitter"]`}},
			{
				[]string{hello, `40{"sid":"b"}`, `42["e",{"seq":0,"at":1,"offset":8}]`, `432[{"ok":true,"epoch":"e","offset":9}]`},
				[]string{`40`, `422["bench:join",{"room":"bench-jitter","since":{"epoch":"e","offset":7}}]`},
			},
			{
				[]string{hello, `40{"sid":"c"}`, `433[{"ok":true,"epoch":"e","offset":9}]`, `42["e",{"seq":1,"at":1,"offset":9}]`},
				[]string{`40`, `423["bench:join",{"room":"bench-jitter","since":{"epoch":"e","offset":8}}]`},
			},
		}, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			j := &jitter{o: tt.options.withDefaults(), progress: &progress{}}
			rng := rand.New(rand.NewPCG(1, 1))
			m := &member{run: j, rng: rng, backoff: backoff{rng: rng}, unwatch: func() bool { return true }}
			for i, c := range tt.connections {
				s := &script{says: c.says}
				m.link, m.entered, m.joined, m.early = s, false, false, nil
				if err := m.enter(); err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
				if err := m.read(func() bool { return false }); err != io.EOF {
					t.Fatal(err)
				}
				m.leave(true)
				if !slices.Equal(s.sent, c.sent) {
					t.Errorf("connection %d sent\n%q, want\n%q", i, s.sent, c.sent)
				}
			}
			if m.ledger.next != tt.next || j.recovered.Load() != tt.recovered {
				t.Errorf("has %d publications, was recovered %d times", m.ledger.next, j.recovered.Load())
			}
		})
	}
}
