package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

func TestCluster(t *testing.T) {
	for _, adapter := range []string{"classic", "sharded", "streams"} {
		t.Run(adapter, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, adapter)
			for _, tests := range []struct {
				name string
				run  func(*world, *testing.T)
			}{
				{"broadcast", (*world).broadcasts},
				{"ack", (*world).acks},
				{"fetch", (*world).fetches},
				{"join and leave", (*world).joinsAndLeaves},
				{"server side", (*world).serverSide},
				{"rooms", (*world).lists},
				{"namespace", (*world).namespaces},
				{"disconnect", (*world).disconnects},
			} {
				w.run(t, tests.name, func(t *testing.T) { tests.run(w, t) })
			}
		})
	}
}

// run runs a part of a test, to which failures meanwhile belong.
func (w *world) run(t *testing.T, name string, part func(*testing.T)) {
	outer := w.t
	defer func() { w.t = outer }()
	t.Run(name, func(t *testing.T) {
		w.t = t
		part(t)
	})
}

// each runs a test for every server, and with emitters for the emitter too.
func (w *world) each(t *testing.T, emitters bool, part func(name string, sender doer)) {
	for name, sender := range w.senders() {
		if name != "emitter" || emitters {
			w.run(t, "from "+name, func(*testing.T) { part(name, sender) })
		}
	}
}

func (w *world) broadcasts(t *testing.T) {
	args := []any{"text", 1.5, nil, true, map[string]any{"ä": []any{"日本", map[string]any{}}}, []any{}}
	one := w.sockets[0]
	for _, tt := range []struct {
		name string
		c    command
		to   func(*client) bool
	}{
		{"all", command{}, anybody},
		{"no arguments", command{Args: []any{}}, anybody},
		{"room", command{Rooms: []string{"odd"}}, odd},
		{"rooms", command{Rooms: []string{"odd", "even"}}, anybody},
		{"rooms that overlap", command{Rooms: []string{"both", "odd"}}, anybody},
		{"nobody's room", command{Rooms: []string{"nobody"}}, nobody},
		{"one socket", command{Rooms: []string{one.id}}, func(c *client) bool { return c == one }},
		{"except", command{Except: []string{"odd"}}, even},
		{"room except", command{Rooms: []string{"both"}, Except: []string{"even"}}, odd},
		{"except one socket", command{Except: []string{one.id}}, func(c *client) bool { return c != one }},
		{"volatile", command{Volatile: true}, anybody},
		{"binary", command{Args: []any{binary{[]byte{0, 1, 255}}, map[string]any{"deep": []any{binary{[]byte("x")}}}}}, anybody},
		{"binary to a room", command{Rooms: []string{"odd"}, Args: []any{binary{[]byte{0, 1, 255}}}}, odd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.each(t, true, func(_ string, sender doer) {
				tt.c.Op, tt.c.Event = "emit", "news"
				if tt.c.Args == nil {
					tt.c.Args = args
				}
				w.do(sender, tt.c)
				w.expect(sender, tt.to, event{Event: "news", Args: mustJSON(tt.c.Args)})
			})
		})
	}
	t.Run("local", func(t *testing.T) {
		w.each(t, false, func(name string, sender doer) {
			w.do(sender, command{Op: "emit", Event: "news", Local: true, Args: args})
			w.expect(sender, func(c *client) bool { return c.server.name == name }, event{Event: "news", Args: mustJSON(args)})
			w.do(sender, command{Op: "emit", Event: "news", Local: true, Rooms: []string{"odd"}, Args: args})
			w.expect(sender, func(c *client) bool { return c.server.name == name && odd(c) }, event{Event: "news", Args: mustJSON(args)})
		})
	})
	t.Run("order", func(t *testing.T) {
		w.each(t, true, func(_ string, sender doer) {
			var want []event
			for i := range 100 {
				rooms := [][]string{nil, {"both"}, {"odd", "even"}}[i%3]
				w.do(sender, command{Op: "emit", Event: "news", Rooms: rooms, Args: []any{i}})
				want = append(want, event{Event: "news", Args: mustJSON([]int{i})})
			}
			for name, got := range w.fence(sender) {
				if string(mustJSON(got)) != string(mustJSON(want)) {
					w.t.Errorf("%s got %s", name, mustJSON(got))
				}
			}
		})
	})
}

// acks of broadcasts. A server on socket.io passes on the first argument of an
// ack, ours all of them.
func (w *world) acks(t *testing.T) {
	name := func(c *client) any { return c.name }
	for _, tt := range []struct {
		event string
		rooms []string
		to    func(*client) bool // who gets it
		from  func(*client) bool // who answers
		ack   func(*client) any
	}{
		{"ask:one", nil, anybody, anybody, name},
		{"ask:one", []string{"odd"}, odd, odd, name},
		{"ask:none", nil, anybody, anybody, func(*client) any { return nil }},
		{"ask:several", nil, anybody, anybody, func(c *client) any {
			if c.server.ours {
				return []any{c.name, 2, map[string]any{"more": []any{true}}}
			}
			return c.name
		}},
		{"ask:binary", nil, anybody, anybody, func(c *client) any { return binary{[]byte(c.name)} }},
		{"ask:some", nil, anybody, odd, name},
		{"ask:one", []string{"nobody"}, nobody, anybody, nil},
	} {
		t.Run(fmt.Sprint(tt.event, tt.rooms), func(t *testing.T) {
			w.each(t, false, func(_ string, sender doer) {
				complete := len(w.names(tt.to)) <= len(w.names(tt.from))
				timeout := 10_000
				if !complete {
					timeout = 500
				}
				var got struct {
					Late bool
					Acks []json.RawMessage
				}
				w.decode(w.do(sender, command{Op: "ask", Event: tt.event, Rooms: tt.rooms, Args: []any{"question"}, Timeout: timeout}), &got)
				if got.Late == complete {
					w.t.Errorf("late is %v", got.Late)
				}
				var want, acks []string
				for _, c := range w.sockets {
					if tt.to(c) && tt.from(c) {
						want = append(want, string(mustJSON(tt.ack(c))))
					}
				}
				for _, ack := range got.Acks {
					acks = append(acks, string(ack))
				}
				slices.Sort(want)
				slices.Sort(acks)
				if !slices.Equal(acks, want) {
					w.t.Errorf("acks %s, want %s", acks, want)
				}
				w.expect(sender, tt.to, event{Event: tt.event, Args: mustJSON([]string{"question"}), Asked: true})
			})
		})
	}
}

func (w *world) fetches(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    command
		want func(*client) bool
	}{
		{"all", command{}, anybody},
		{"room", command{Rooms: []string{"odd"}}, odd},
		{"except", command{Except: []string{"odd"}}, even},
		{"one socket", command{Rooms: []string{w.sockets[0].id}}, func(c *client) bool { return c == w.sockets[0] }},
		{"nobody", command{Rooms: []string{"nobody"}}, nobody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.each(t, false, func(_ string, sender doer) {
				tt.c.Op = "fetch"
				w.checkFetched(w.do(sender, tt.c), tt.want)
			})
		})
	}
	t.Run("local", func(t *testing.T) {
		w.each(t, false, func(name string, sender doer) {
			w.checkFetched(w.do(sender, command{Op: "fetch", Local: true}), func(c *client) bool { return c.server.name == name })
		})
	})
}

// checkFetched checks which sockets were described, and how.
func (w *world) checkFetched(raw json.RawMessage, want func(*client) bool) {
	w.t.Helper()
	var sockets []struct {
		ID    string
		Rooms []string
		Auth  struct{ Name string }
	}
	w.decode(raw, &sockets)
	var got []string
	for _, s := range sockets {
		i := slices.IndexFunc(w.sockets, func(c *client) bool { return c.id == s.ID })
		if i < 0 {
			w.t.Errorf("nobody is %s", s.ID)
			continue
		}
		c := w.sockets[i]
		got = append(got, c.name)
		rooms := append([]string{c.id}, c.rooms...)
		slices.Sort(rooms)
		slices.Sort(s.Rooms)
		if !slices.Equal(s.Rooms, rooms) {
			w.t.Errorf("%s is in %s, want %s", c.name, s.Rooms, rooms)
		}
		if !c.server.ours && s.Auth.Name != c.name {
			w.t.Errorf("%s entered as %q", c.name, s.Auth.Name)
		}
	}
	slices.Sort(got)
	if names := w.names(want); !slices.Equal(got, names) {
		w.t.Errorf("fetched %s, want %s", got, names)
	}
}

// joinsAndLeaves publishes to two rooms at a time: the channel of a single
// room is subscribed to some time after the first has joined it.
func (w *world) joinsAndLeaves(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    command
		who  func(*client) bool
	}{
		{"all", command{}, anybody},
		{"room", command{Rooms: []string{"odd"}}, odd},
		{"except", command{Except: []string{"odd"}}, even},
		{"one socket", command{Rooms: []string{w.sockets[0].id}}, func(c *client) bool { return c == w.sockets[0] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.each(t, true, func(_ string, sender doer) {
				news := command{Op: "emit", Event: "news", Rooms: []string{"extra", "more"}, Args: []any{1}}
				tt.c.Names = []string{"extra", "more"}
				tt.c.Op = "join"
				w.do(sender, tt.c)
				w.awaitMembers("extra", len(w.names(tt.who)))
				w.do(sender, news)
				w.expect(sender, tt.who, event{Event: "news", Args: mustJSON([]int{1})})
				tt.c.Op = "leave"
				w.do(sender, tt.c)
				w.awaitMembers("more", 0)
				w.do(sender, news)
				w.expect(sender, nobody, event{})
			})
		})
	}
}

// awaitMembers waits until every server sees a room with so many members.
func (w *world) awaitMembers(room string, n int) {
	w.t.Helper()
	for _, s := range w.servers {
		await(w.t, fmt.Sprintf("%s to see %d in %s", s.name, n, room), func() bool {
			var sockets []json.RawMessage
			w.decode(w.do(s, command{Op: "fetch", Rooms: []string{room}}), &sockets)
			return len(sockets) == n
		})
	}
}

func (w *world) serverSide(t *testing.T) {
	t.Run("event", func(t *testing.T) {
		// What an emitter adds to a stream has no such thing.
		w.each(t, w.adapter == "classic", func(name string, sender doer) {
			w.do(sender, command{Op: "side", Event: "side", Args: []any{name, map[string]any{"n": 1}}})
			for _, s := range w.servers {
				if s.name == name {
					continue
				}
				var heard []json.RawMessage
				await(w.t, s.name+" to hear it", func() bool {
					w.decode(w.do(s, command{Op: "heard"}), &heard)
					return len(heard) > 0
				})
				if want := mustJSON([]any{"/", name, map[string]any{"n": 1}}); len(heard) != 1 || string(heard[0]) != string(want) {
					w.t.Errorf("%s heard %s, want %s", s.name, heard, want)
				}
			}
			for _, s := range w.servers {
				if got := w.do(s, command{Op: "heard"}); string(got) != "[]" {
					w.t.Errorf("%s heard %s besides", s.name, got)
				}
			}
		})
	})
	for event, late := range map[string]bool{"side:ask": false, "side:silent": true} {
		w.run(t, event, func(t *testing.T) { w.askServers(event, late) })
	}
}

// askServers asks from all servers at once: the JavaScript adapters wait five
// seconds for those that are silent.
func (w *world) askServers(event string, late bool) {
	results := map[string]chan json.RawMessage{}
	for _, s := range w.servers {
		result := make(chan json.RawMessage, 1)
		results[s.name] = result
		go func() {
			raw, _ := s.do(w.t.Context(), command{Op: "sideAsk", Event: event, Args: []any{"question"}})
			result <- raw
		}()
	}
	for name, result := range results {
		var got struct {
			Late bool
			Acks []string
		}
		w.decode(<-result, &got)
		var want []string
		for _, s := range w.servers {
			if s.name != name && !late {
				want = append(want, s.name)
			}
		}
		slices.Sort(got.Acks)
		if got.Late != late || !slices.Equal(got.Acks, want) {
			w.t.Errorf("%s got %+v, want %v", name, got, want)
		}
	}
}

// lists: all rooms, which servers on socket.io ask for with the classic
// adapter, and ours tell.
func (w *world) lists(t *testing.T) {
	if w.adapter != "classic" {
		return
	}
	w.each(t, false, func(name string, sender doer) {
		if w.server(name).ours {
			return
		}
		want := []string{"both", "even", "odd"}
		for _, c := range w.sockets {
			want = append(want, c.id)
		}
		var got []string
		w.decode(w.do(sender, command{Op: "allRooms"}), &got)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			w.t.Errorf("%s, want %s", got, want)
		}
	})
}

// namespaces do not hear each other.
func (w *world) namespaces(t *testing.T) {
	var custom []*client
	for _, s := range w.servers {
		custom = append(custom, w.connect(s, s.name+"/c", "/custom", "odd"))
	}
	w.each(t, true, func(_ string, sender doer) {
		w.fences++
		w.do(sender, command{Op: "emit", NS: "/custom", Rooms: []string{"odd", "even"}, Event: "fence", Args: []any{w.fences}})
		for _, c := range custom {
			w.do(w.clients, command{Op: "until", Name: c.name, Fence: w.fences})
		}
		for name, got := range w.fence(sender) {
			if len(got) > 0 {
				w.t.Errorf("%s got %s", name, mustJSON(got))
			}
		}
	})
	for _, c := range custom {
		w.do(w.clients, command{Op: "close", Name: c.name})
	}
}

func (w *world) disconnects(t *testing.T) {
	for _, closing := range []bool{false, true} {
		t.Run(fmt.Sprintf("close %v", closing), func(t *testing.T) {
			w.each(t, true, func(_ string, sender doer) {
				for _, s := range w.servers {
					w.connect(s, s.name+"/t", "/", "temporary")
				}
				w.do(sender, command{Op: "disconnect", Rooms: []string{"temporary", "more"}, Close: closing})
				for _, s := range w.servers {
					reason := w.do(w.clients, command{Op: "closed", Name: s.name + "/t"})
					if string(reason) != `"io server disconnect"` {
						w.t.Errorf("%s/t ended with %s", s.name, reason)
					}
				}
				w.expect(sender, nobody, event{})
			})
		})
	}
}
