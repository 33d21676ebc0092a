// Package journal is the embedded engine: it carries runs on in this process
// and keeps what happens in them in the store, so that they survive its end.
//
// What happens in a run is first written to its log and then told. The writes
// of all runs go through one journal, which writes what has gathered while it
// was writing, in one transaction: the more runs there are, the less each
// costs. Nodes that only compute are evaluated one after the other, and stored
// together; before a node that does something begins, the log says so. After a
// crash every run goes on from what its log says: what has a result is not done
// again, and what has only begun is done again, with the same key.
//
// A run goes on in one instance, its owner, among those that share a database;
// every write checks that it still is.
package journal
