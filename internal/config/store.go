package config

import (
	"fmt"
	"time"
)

// The databases that there are.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Store is the database.
type Store struct {
	Driver         string        `mapstructure:"driver" yaml:"driver"`
	URL            Secret        `mapstructure:"url" yaml:"url"`
	URLFile        string        `mapstructure:"urlFile" yaml:"urlFile"`
	MaxConns       int           `mapstructure:"maxConns" yaml:"maxConns"`
	MaxIdle        int           `mapstructure:"maxIdle" yaml:"maxIdle"`
	MaxLifetime    time.Duration `mapstructure:"maxLifetime" yaml:"maxLifetime"`
	ConnectTimeout time.Duration `mapstructure:"connectTimeout" yaml:"connectTimeout"`
	Timeout        time.Duration `mapstructure:"timeout" yaml:"timeout"`
	Synchronous    string        `mapstructure:"synchronous" yaml:"synchronous"`
}

// Instance is how the servers that share a database know of each other.
type Instance struct {
	Heartbeat time.Duration `mapstructure:"heartbeat" yaml:"heartbeat"`
	Expiry    time.Duration `mapstructure:"expiry" yaml:"expiry"`
}

// readFile reads the URL from the file that urlFile names.
func (s *Store) readFile() error {
	return readSecrets("store.", []secretFile{{"url", s.URLFile, &s.URL}})
}

func (s Store) check() (problems []string) {
	switch {
	case s.Driver == Postgres && s.URL == "":
		problems = append(problems, "store.url: is missing: it is postgres://user:password@host:5432/database, better in ROOMCAST_STORE_URL or in the file that store.urlFile names")
	case s.Driver == SQLite && s.URL != "":
		problems = append(problems, "store.url: is for PostgreSQL: set store.driver to postgres, or leave it out")
	}
	if s.MaxConns < 2 {
		problems = append(problems, fmt.Sprintf("store.maxConns: %d is too few: at least 2 are needed", s.MaxConns))
	}
	if s.MaxIdle < 1 || s.MaxIdle > s.MaxConns {
		problems = append(problems, fmt.Sprintf("store.maxIdle: %d is not between 1 and store.maxConns, which is %d", s.MaxIdle, s.MaxConns))
	}
	return problems
}

func (i Instance) check() (problems []string) {
	if i.Expiry < 3*i.Heartbeat {
		problems = append(problems, fmt.Sprintf("instance.expiry: %v is less than three times instance.heartbeat, %v: one that is late would end what this server does", i.Expiry, i.Heartbeat))
	}
	return problems
}
