// Package external is the engine of runs that go on elsewhere: somebody reports
// over HTTP what happens in them, and they look to clients like all others.
//
// A reporter numbers its events from one, without gaps. Each becomes an entry
// of the run's log that keeps that number, so the log itself says how far the
// reporter has got. What people do is in between: their inputs, and orders to
// stop, have entries too, and the reporter reads them there.
//
// No instance owns such a run. Whoever has something to add reads the log to
// its end, and adds entries that follow on it; of two that do so at once the
// store refuses one, who reads on and tries again. Rooms get their updates in
// order all the same, because each names the one before it.
package external
