// Package rawws serves clients that speak WebSocket without Socket.IO, in one of
// five documented dialects. All but meet share one path and are told apart by how they
// come and what they say first (choose.go); from then on a connection keeps its
// dialect.
//
// A dialect is a translation and nothing more. What its clients ask for goes to
// the same handlers as the events of Socket.IO clients, with the same identity,
// rights and limits; what is published in their rooms comes to them as it comes
// to everybody, and each dialect puts it into its own words.
//
// A connection has no goroutine: frames are queued as they are read, and are
// handled one after the other by one that ends when the queue is empty.
package rawws
