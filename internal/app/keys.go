package app

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/identity"
)

// OpenKeys opens the API keys in the database, which servers may be using.
// What is disabled there ends its sessions within auth.revocationInterval.
func OpenKeys(ctx context.Context, c config.Config) (keys *identity.Keys, done func() error, err error) {
	db, err := openStore(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	store := db.Identity()
	return identity.NewKeys(store, identity.NewRevocations(store, slog.New(slog.NewTextHandler(io.Discard, nil)))), db.Close, nil
}

// Authenticator returns what verifies tokens by a configuration, with the
// issuer of development if there is one in the data folder.
func Authenticator(c config.Config) (*auth.Authenticator, error) {
	issuers := configIssuers(c.Auth)
	if _, err := os.Stat(secretPath(c.Server.Data)); err == nil {
		dev, err := DevIssuer(c.Server.Data)
		if err != nil {
			return nil, err
		}
		issuers = append(issuers, dev)
	}
	return newAuthenticator(c.Auth, auth.Options{Issuers: issuers})
}
