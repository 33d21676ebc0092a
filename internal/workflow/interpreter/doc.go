// Package interpreter says how a run goes on. It is the one interpreter of
// workflows: every engine drives it, and it does nothing by itself. It has no
// clock, starts no goroutine, draws nothing at random and depends on the order
// of no map, so the same calls always have the same outcome.
//
// A run is a log of entries, numbered from one. A [Machine] is the state that
// follows from them. An engine reads the log with [Machine.Replay], and then
// repeats: ask what there is to do ([Machine.Next]), do it, tell the machine
// ([Machine.Result], [Machine.Order], [Machine.Wake]), and store the entries
// that the machine has made of it before anybody hears of them.
package interpreter
