// Package fleet runs instances of the built server that share a database and a
// Redis, and what clients have before them, for proofs that take processes
// which are killed, stopped and started again.
package fleet
