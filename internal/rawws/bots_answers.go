package rawws

import (
	"hash/maphash"
	"maps"
)

// answers are those that a client hears. The zero value is ready.
type answers struct {
	open  map[string]*told // that are being given, by message id
	ended recent           // those that were given
}

// told is what a client was told of an answer.
type told struct {
	room string
	n    int          // bytes
	text maphash.Hash // of these
}

// toldSeed is that of all texts.
var toldSeed = maphash.MakeSeed()

// begin notes that an answer begins, or begins again.
func (a *answers) begin(room, id string) *told {
	if a.open == nil {
		a.open = make(map[string]*told)
	}
	t := &told{room: room}
	t.text.SetSeed(toldSeed)
	a.open[id] = t
	return t
}

// end notes that an answer was given.
func (a *answers) end(room, id string) {
	delete(a.open, id)
	a.ended.add(room + id)
}

// over reports whether an answer was given.
func (a *answers) over(room, id string) bool { return a.ended.has(room + id) }

// leave forgets answers that are being given in a room.
func (a *answers) leave(room string) {
	maps.DeleteFunc(a.open, func(_ string, t *told) bool { return t.room == room })
}

// forget forgets all of a room.
func (a *answers) forget(room string) {
	a.leave(room)
	a.ended.forget(room)
}

// say notes a piece.
func (t *told) say(piece string) {
	t.n += len(piece)
	t.text.WriteString(piece)
}

// rest returns what was not told yet of a text; ok is false if something else
// was told before.
func (t *told) rest(text string) (rest string, ok bool) {
	if len(text) < t.n || maphash.String(toldSeed, text[:t.n]) != t.text.Sum64() {
		return "", false
	}
	return text[t.n:], true
}
