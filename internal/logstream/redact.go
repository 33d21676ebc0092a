package logstream

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// secret are parts of keys whose values nobody needs to read in a log.
var secret = []string{"token", "authorization", "password", "secret", "cookie", "api_key", "apikey"}

const redacted = "[redacted]"

func isSecret(key string) bool {
	key = strings.ToLower(key)
	for _, s := range secret {
		if strings.Contains(key, s) {
			return true
		}
	}
	return false
}

// secretText finds what looks like a secret inside a text: tokens, API keys,
// and values that are named as one.
var secretText = regexp.MustCompile(`(?i)eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?|\b[0-9a-f]{64}\b|((?:token|password|secret|api_?key)["']?\s*[=:]\s*["']?)[^\s"'&,;]+|(bearer\s+)\S+`)

// harmless reports, at little cost, whether a text cannot hold anything that
// secretText finds: most are ids and names.
func harmless(s string) bool {
	return len(s) < 64 && !strings.ContainsAny(s, " \t\n\f\r.=:")
}

func cleanText(s string) string {
	if harmless(s) {
		return s
	}
	return secretText.ReplaceAllString(s, "${1}${2}"+redacted)
}

func redactAll(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i := range attrs {
		clean[i] = redact(attrs[i])
	}
	return clean
}

// redact returns an attribute without its secrets, whatever they lie in.
func redact(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch {
	case isSecret(a.Key):
		return slog.String(a.Key, redacted)
	case a.Value.Kind() == slog.KindGroup:
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(redactAll(a.Value.Group())...)}
	case a.Value.Kind() == slog.KindString:
		return slog.String(a.Key, cleanText(a.Value.String()))
	case a.Value.Kind() == slog.KindAny:
		return slog.Any(a.Key, redactAny(a.Value.Any()))
	}
	return a
}

// redactAny takes the secrets out of maps and structs by way of their JSON.
func redactAny(v any) any {
	switch x := v.(type) {
	case nil:
		return nil
	case error:
		return cleanText(x.Error())
	case fmt.Stringer:
		return cleanText(x.String())
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return "value cannot be logged"
	}
	var decoded any
	if json.Unmarshal(raw, &decoded) != nil {
		return v
	}
	return clean(decoded)
}

func clean(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if isSecret(k) {
				v[k] = redacted
			} else {
				v[k] = clean(v[k])
			}
		}
	case []any:
		for i := range v {
			v[i] = clean(v[i])
		}
	case string:
		return cleanText(v)
	}
	return v
}
