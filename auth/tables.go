package auth

import (
	"iter"
	"maps"
	"slices"
)

// Actions returns every action that needs a right, with what it is to do.
func Actions() iter.Seq2[Action, string] {
	return func(yield func(Action, string) bool) {
		for _, rule := range policy {
			if !yield(rule.action, rule.what) {
				return
			}
		}
	}
}

// Events returns every event that anybody may emit.
func Events() []string { return slices.Sorted(maps.Keys(eventPolicy)) }

// RoomKinds returns every kind of room that anybody may be in.
func RoomKinds() []RoomKind { return slices.Sorted(maps.Keys(roomPolicy)) }
