// Package jitter measures what clients with bad connections get: from
// socket.io from npm, without and with connection state recovery, and from
// this program, alone and with several instances.
package jitter
