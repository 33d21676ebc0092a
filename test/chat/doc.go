// Package chat proves what conversations promise: who listens to answers has all
// of them, once, however often the connection is lost and to whichever instance
// it is made again; what is approved is done once; what is stopped falls silent;
// and an instance that is killed leaves no message without its one answer.
package chat
