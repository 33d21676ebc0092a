// Package faults proves that nothing is lost without a word when instances are
// restarted or killed, when Redis is away, and when somebody publishes what is
// too large.
package faults
