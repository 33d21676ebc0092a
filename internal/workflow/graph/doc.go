// Package graph holds workflow definitions: graphs as React Flow draws them,
// what is wrong with them, and plans, which are definitions made ready to be
// interpreted. Nothing in it runs anything.
package graph
