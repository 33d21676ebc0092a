// Package bench puts load on any Socket.IO server and counts what comes back.
// A message that is lost, doubled or out of order makes a run fail: a fast
// result that lacks messages is not a result.
//
// The server under test answers three events in the default namespace:
//
//	bench:echo     {id, seq, …}, acknowledged with {…, seq}
//	bench:join     a room's name, acknowledged
//	bench:publish  {room, count, event, payload}: count publications back to
//	               back, acknowledged
//
// [Runs] is for this server alone: it has runs of workflows carried on.
//
// The figure to compare is the processor time of the server for one message:
// it comes from the server process itself, so the generator's own appetite on
// the same machine does not blur it. Rates and latencies do share the machine
// with the generator.
package bench
