package config

import "time"

// Auth is who may come in.
type Auth struct {
	Issuers            []Issuer      `mapstructure:"issuers" yaml:"issuers"`
	APIKeys            []APIKey      `mapstructure:"apiKeys" yaml:"apiKeys"`
	Leeway             time.Duration `mapstructure:"leeway" yaml:"leeway"`
	ExpiryWarning      time.Duration `mapstructure:"expiryWarning" yaml:"expiryWarning"`
	RevocationInterval time.Duration `mapstructure:"revocationInterval" yaml:"revocationInterval"`
	JWKS               JWKS          `mapstructure:"jwks" yaml:"jwks"`
	Failures           Failures      `mapstructure:"failures" yaml:"failures"`
}

// JWKS is how the key sets of issuers are fetched.
type JWKS struct {
	Refresh    time.Duration `mapstructure:"refresh" yaml:"refresh"`
	MinRefresh time.Duration `mapstructure:"minRefresh" yaml:"minRefresh"`
	Timeout    time.Duration `mapstructure:"timeout" yaml:"timeout"`
}

// Failures is when bad credentials are told to wait.
type Failures struct {
	Limit   int           `mapstructure:"limit" yaml:"limit"`
	Window  time.Duration `mapstructure:"window" yaml:"window"`
	MaxWait time.Duration `mapstructure:"maxWait" yaml:"maxWait"`
}

// Issuer signs tokens.
type Issuer struct {
	Name           string   `mapstructure:"name" yaml:"name"`
	Audience       string   `mapstructure:"audience" yaml:"audience"`
	Secret         Secret   `mapstructure:"secret" yaml:"secret"`
	SecretFile     string   `mapstructure:"secretFile" yaml:"secretFile"`
	NextSecret     Secret   `mapstructure:"nextSecret" yaml:"nextSecret"`
	NextSecretFile string   `mapstructure:"nextSecretFile" yaml:"nextSecretFile"`
	PublicKeys     []string `mapstructure:"publicKeys" yaml:"publicKeys"`
	PublicKeyFiles []string `mapstructure:"publicKeyFiles" yaml:"publicKeyFiles"`
	JWKS           string   `mapstructure:"jwks" yaml:"jwks"`
	Firebase       string   `mapstructure:"firebase" yaml:"firebase"`
	Tenants        []string `mapstructure:"tenants" yaml:"tenants"`
	DefaultTenant  string   `mapstructure:"defaultTenant" yaml:"defaultTenant"`
	DefaultRole    string   `mapstructure:"defaultRole" yaml:"defaultRole"`
}

// APIKey lets a program in.
type APIKey struct {
	Name     string `mapstructure:"name" yaml:"name"`
	Prefix   string `mapstructure:"prefix" yaml:"prefix"`
	SHA256   string `mapstructure:"sha256" yaml:"sha256"`
	User     string `mapstructure:"user" yaml:"user"`
	Tenant   string `mapstructure:"tenant" yaml:"tenant"`
	Role     string `mapstructure:"role" yaml:"role"`
	Disabled bool   `mapstructure:"disabled" yaml:"disabled"`
}

// HasKey reports whether anybody could come in.
func (a Auth) HasKey() bool { return len(a.Issuers) > 0 || len(a.APIKeys) > 0 }
