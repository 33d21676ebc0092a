// Package attack holds the tables of everything that must be refused, and with
// which code: credentials in credentials_test.go, what people may not do in
// rights_test.go, and what ends a session that is open in live_test.go. Every
// transport in transports_test.go has to refuse all of it.
package attack
