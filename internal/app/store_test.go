package app_test

import (
	"net/http"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// A server whose database goes away says so, and works again when it is back.
func TestServerOnPostgres(t *testing.T) {
	database := postgrestest.New(t)
	url := database.URL(t)
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.Store.Driver, c.Store.URL = config.Postgres, config.Secret(url)
	}})
	token := s.Token("ada", app.DevTenant, auth.Admin)
	const list = "/api/v1/tenants/" + app.DevTenant + "/workflows"
	expect := func(when string, ready, listed int) {
		t.Helper()
		if got := s.Do("", "GET", "/health/ready", nil, nil); got != ready {
			t.Errorf("%s readiness answers %d", when, got)
		}
		if got := s.Do(token, "GET", list, nil, nil); got != listed {
			t.Errorf("%s workflows answer %d", when, got)
		}
	}
	expect("at first", http.StatusOK, http.StatusOK)
	if err := database.Stop(); err != nil {
		t.Fatal(err)
	}
	expect("without the database", http.StatusServiceUnavailable, http.StatusInternalServerError)
	if err := database.Start(); err != nil {
		t.Fatal(err)
	}
	expect("with the database again", http.StatusOK, http.StatusOK)
}
