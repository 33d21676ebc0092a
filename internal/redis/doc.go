// Package redis carries messages between servers over Redis: it is a
// [cluster.Bus] in three ways, each of which the JavaScript servers of a cluster
// understand, and the only door to the Redis client.
//
//   - classic: @socket.io/redis-adapter and @socket.io/redis-emitter, PUBLISH
//   - sharded: the sharded adapter of the same package, SPUBLISH of Redis 7
//   - streams: @socket.io/redis-streams-adapter, XADD; what is missed while
//     Redis is away is read afterwards
//
// # Order
//
// One goroutine publishes, in the order of the calls, as many messages at a
// time as are waiting (write.go). With streams everybody reads one stream in one
// order (stream.go). With classic and sharded what one server says arrives in
// the order in which it said it; in a Redis Cluster that holds for each channel.
//
// # Failure
//
// A connection to Redis is never mended: at the first error of any kind,
// also if an answer takes too long, all of them are closed and [Bus.Run]
// begins again: connect, subscribe, read what was missed, publish what
// waited. So there is one way back, and it is tested.
//
// A command whose answer did not come may have been carried out. It is sent
// again, and every message has a number of its sender, by which servers of this
// program know what they have seen (seen.go). With streams the sender looks
// first whether it finds its own entry, so JavaScript servers are not told twice
// either; on pub/sub nobody can look, and those may be.
//
// # What comes in
//
// Everything that Redis delivers is checked: what does not decode is counted
// and left out.
package redis
