// Package namespaces says what a namespace is, whatever transport carries it:
// the events it takes, who may enter, and what a client in it looks like to a
// handler. The namespaces themselves are the packages below this one.
//
// The order of a session's events is the order in which its client sent them:
// a handler runs after the handlers of all earlier events of that session have
// returned. Handlers of different sessions run concurrently. A handler should
// be fast; work that goes on belongs to a service.
package namespaces
