// Package auth says who a client is and what that lets it do: from the
// credential of a handshake or request to an [Identity], and from an identity
// and an [Action] to a yes or no. Credentials are verified once, when a
// session begins; everything later asks the identity.
package auth
