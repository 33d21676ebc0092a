package socketio

import (
	libparser "github.com/zishang520/socket.io-go-parser/v2/parser"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/roomcast/roomcast/internal/engineio"
)

// adapters makes the adapter of each namespace.
type adapters struct{ srv *Server }

func (a adapters) New(nsp socket.Namespace) socket.Adapter {
	sp := a.srv.spaces[nsp.Name()]
	if sp == nil { // the library's own "/", when nobody asked for it
		sp = &space{srv: a.srv}
	}
	ad := &adapter{Adapter: socket.MakeAdapter(), space: sp}
	ad.Prototype(ad)
	ad.Construct(nsp)
	return ad
}

// adapter is our table of rooms as the library sees it.
type adapter struct {
	socket.Adapter
	space *space
}

// AddAll joins rooms on behalf of the library. A socket's own room, named
// after its id, is not kept: it is the registry.
func (a *adapter) AddAll(id socket.SocketId, names *types.Set[socket.Room]) {
	s := a.space.sessions.find(string(id))
	if s == nil {
		return
	}
	for _, room := range names.Keys() {
		if string(room) != s.id {
			s.join(string(room))
		}
	}
}

// Del leaves a room.
func (a *adapter) Del(id socket.SocketId, room socket.Room) {
	if s := a.space.sessions.find(string(id)); s != nil {
		a.space.rooms.Leave(string(room), s)
	}
}

// DelAll is the library's word that a socket has ended, or never began.
func (a *adapter) DelAll(id socket.SocketId) {
	if s := a.space.sessions.find(string(id)); s != nil {
		s.end()
	}
}

// Broadcast sends a packet of the library to the sessions that opts select.
func (a *adapter) Broadcast(p *libparser.Packet, opts *socket.BroadcastOptions) {
	p.Nsp = a.space.Name
	encoded := encoder{}.Encode(p)
	if len(encoded) == 0 {
		return
	}
	frame := engineio.TextFrame(encoded[0].Bytes())
	volatile := opts != nil && opts.Flags != nil && opts.Flags.Volatile
	for s := range a.selected(opts) {
		if volatile {
			s.deliverVolatile(frame)
		} else {
			s.deliver(frame)
		}
	}
}

// selected returns the sessions in any of the rooms but not in an excepted
// one; no rooms means all.
func (a *adapter) selected(opts *socket.BroadcastOptions) map[*Session]bool {
	chosen := make(map[*Session]bool)
	if opts == nil || opts.Rooms == nil || opts.Rooms.Len() == 0 {
		for _, s := range a.space.sessions.all() {
			chosen[s] = true
		}
	} else {
		for _, room := range opts.Rooms.Keys() {
			for _, s := range a.members(string(room)) {
				chosen[s] = true
			}
		}
	}
	if opts != nil && opts.Except != nil {
		for _, room := range opts.Except.Keys() {
			for _, s := range a.members(string(room)) {
				delete(chosen, s)
			}
		}
	}
	return chosen
}

func (a *adapter) members(room string) []*Session {
	if s := a.space.sessions.find(room); s != nil {
		return []*Session{s}
	}
	return a.space.rooms.Members(room)
}

// SocketRooms returns the rooms of a socket, its own first.
func (a *adapter) SocketRooms(id socket.SocketId) *types.Set[socket.Room] {
	s := a.space.sessions.find(string(id))
	if s == nil {
		return nil
	}
	set := types.NewSet(socket.Room(s.id))
	for _, room := range a.space.rooms.Rooms(s) {
		set.Add(socket.Room(room))
	}
	return set
}
