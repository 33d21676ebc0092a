// Package workflow keeps workflow definitions and has them executed.
//
// A run is a log. Everything that happens in it is an entry, numbered from one;
// what a run is now follows from its entries alone (package interpreter). What
// a node does to the world (package nodes) happens between two entries and is
// never repeated by reading the log again. An [Engine] carries runs on: package
// journal in this process, package temporal on a cluster of its own.
//
// The entries that clients see are also the messages of the run's room: their
// numbers are its offsets. So a client that joins late, or a widget that
// replays, gets from the log exactly what it would have got live.
//
// Entries of one run are stored and published one after the other; runs are
// independent. Methods of [Service] may be called concurrently.
package workflow
