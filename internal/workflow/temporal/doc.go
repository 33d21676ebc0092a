// Package temporal executes runs on the user's Temporal cluster, and is the
// only door to its client. All of it has the build tag temporal, which releases
// set: the client is large.
package temporal
