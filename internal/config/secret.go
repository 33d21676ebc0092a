package config

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strconv"
	"strings"
)

// A Secret does not show itself when it is printed or logged.
type Secret string

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[secret]"
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// readText reads a file that holds one value, as orchestrators mount them. The
// line end that editors put there is not part of it.
func readText(path string) (string, error) {
	raw, err := os.ReadFile(path)
	return strings.TrimRight(string(raw), "\r\n"), err
}

// A secretFile is a secret that a file may hold instead of the configuration.
type secretFile struct {
	key, path string
	value     *Secret
}

// readSecrets reads the files that are named.
func readSecrets(at string, files []secretFile) error {
	for _, f := range files {
		if f.path == "" {
			continue
		}
		if *f.value != "" {
			return fmt.Errorf("%s%s and %sFile are both set: keep one", at, f.key, f.key)
		}
		text, err := readText(f.path)
		if err != nil {
			return fmt.Errorf("%s%sFile: %w", at, f.key, err)
		}
		if text == "" {
			return fmt.Errorf("%s%sFile: %s is empty", at, f.key, f.path)
		}
		*f.value = Secret(text)
	}
	return nil
}

// readFiles reads what the keys that end with File name.
func (a *Auth) readFiles() error {
	for n := range a.Issuers {
		i := &a.Issuers[n]
		at := fmt.Sprintf("auth.issuers[%d].", n)
		err := readSecrets(at, []secretFile{{"secret", i.SecretFile, &i.Secret}, {"nextSecret", i.NextSecretFile, &i.NextSecret}})
		if err != nil {
			return err
		}
		for _, path := range i.PublicKeyFiles {
			text, err := readText(path)
			if err != nil {
				return fmt.Errorf("%spublicKeyFiles: %w", at, err)
			}
			i.PublicKeys = append(i.PublicKeys, text)
		}
	}
	return nil
}

// itemVariable is a variable for a field of an item in a list, such as
// ROOMCAST_AUTH_ISSUERS_0_SECRET.
type itemVariable struct {
	name, key, value string
	item             int
	field            int
}

// parseItem understands the name of such a variable; ok is false if it is
// something else.
func parseItem(name, value string) (v itemVariable, ok bool) {
	for key, typ := range itemKeys {
		rest, found := strings.CutPrefix(name, envName(key)+"_")
		number, field, two := strings.Cut(rest, "_")
		n, err := strconv.Atoi(number)
		if !found || !two || err != nil || n < 0 {
			continue
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Type.Kind() == reflect.String && strings.EqualFold(strings.ReplaceAll(field, "_", ""), f.Tag.Get("mapstructure")) {
				return itemVariable{name, key, value, n, i}, true
			}
		}
	}
	return itemVariable{}, false
}

// set puts the value into an item that the file has.
func (v itemVariable) set(c *Config) error {
	var list reflect.Value
	switch v.key {
	case "auth.issuers":
		list = reflect.ValueOf(c.Auth.Issuers)
	case "auth.apiKeys":
		list = reflect.ValueOf(c.Auth.APIKeys)
	case "chat.models":
		list = reflect.ValueOf(c.Chat.Models)
	case "dataSources":
		list = reflect.ValueOf(c.DataSources)
	}
	if v.item >= list.Len() {
		return fmt.Errorf("environment: %s: the file has no %s[%d]", v.name, v.key, v.item)
	}
	list.Index(v.item).Field(v.field).SetString(v.value)
	return nil
}

// Warnings names secrets that are long enough but may be guessed.
func (c Config) Warnings() (warnings []string) {
	for n, i := range c.Auth.Issuers {
		for key, secret := range map[string]Secret{"secret": i.Secret, "nextSecret": i.NextSecret} {
			if why := weak(string(secret)); why != "" {
				warnings = append(warnings, fmt.Sprintf("auth.issuers[%d].%s: %s: make one with `openssl rand -hex 32`", n, key, why))
			}
		}
	}
	warnings = append(warnings, c.WebSocket.Action.warnings()...)
	if c.Redis.Enabled() && c.Store.Driver == SQLite {
		warnings = append(warnings, "store.driver: servers that share a Redis should share a database too: with sqlite, runs, conversations, histories and revocations are each server's own. Set it to postgres, unless this is the only server of this program there")
	}
	return warnings
}

// weak says why a secret may be guessed, "" if nothing is to be seen.
func weak(secret string) string {
	if secret == "" {
		return ""
	}
	lower := strings.ToLower(secret)
	for _, word := range []string{"secret", "password", "changeme", "example", "roomcast", "qwerty"} {
		if strings.Contains(lower, word) {
			return fmt.Sprintf("contains the word %q", word)
		}
	}
	distinct := make(map[rune]bool)
	for _, r := range secret {
		distinct[r] = true
	}
	if len(distinct) < 10 {
		return fmt.Sprintf("has only %d different characters", len(distinct))
	}
	for n := 1; n <= len(secret)/2; n++ {
		if secret[n:] == secret[:len(secret)-n] {
			return "repeats itself"
		}
	}
	steps := 0
	for i := 1; i < len(secret); i++ {
		if d := int(secret[i]) - int(secret[i-1]); -1 <= d && d <= 1 {
			steps++
		}
	}
	if steps > len(secret)/2 {
		return "counts up or down"
	}
	return ""
}
