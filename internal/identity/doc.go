// Package identity keeps what may change about who is who while the server
// runs: API keys, revocations, and the identities of open sessions.
//
// A revocation takes effect at once in the process that made it: when Revoke
// has returned, the credential opens nothing any more and the sessions that it
// opened have been told to go. In other processes on the same database it does
// so within the interval of [Revocations.Run].
package identity
