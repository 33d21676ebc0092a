package socketio

import (
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
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
	s := a.space.sessions.findByLibrary(string(id))
	if s == nil {
		return
	}
	for _, room := range names.Keys() {
		if string(room) != string(id) {
			s.join(string(room))
		}
	}
}

// Del leaves a room.
func (a *adapter) Del(id socket.SocketId, room socket.Room) {
	if s := a.space.sessions.findByLibrary(string(id)); s != nil {
		a.space.rooms.Leave(string(room), s)
	}
}

// DelAll is the library's word that a socket has ended, or never began.
func (a *adapter) DelAll(id socket.SocketId) {
	if s := a.space.sessions.findByLibrary(string(id)); s != nil {
		s.end(s.link.ended())
	}
}

// SocketRooms returns the rooms of a socket, its own first.
func (a *adapter) SocketRooms(id socket.SocketId) *types.Set[socket.Room] {
	s := a.space.sessions.findByLibrary(string(id))
	if s == nil {
		return nil
	}
	set := types.NewSet(socket.Room(s.id))
	for _, room := range a.space.rooms.Rooms(s) {
		set.Add(socket.Room(room))
	}
	return set
}
