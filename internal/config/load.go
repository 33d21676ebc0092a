package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v4"

	"github.com/roomcast/roomcast/internal/nearest"
)

// EnvPrefix begins the names of environment variables: server.addr is
// ROOMCAST_SERVER_ADDR.
const EnvPrefix = "ROOMCAST"

// Source is where a configuration comes from, besides the defaults.
type Source struct {
	// File is read if it is set.
	File string
	// Env holds NAME=value pairs, as os.Environ.
	Env []string
	// Flags maps keys to flags; those that were given override.
	Flags map[string]*pflag.Flag
}

// Load reads a configuration. The error names the setting, where it stands
// and what to do.
func Load(src Source) (Config, error) {
	v := viper.New()
	keys := known()
	for key, value := range keys {
		v.SetDefault(key, value)
	}
	if src.File != "" {
		if err := readFile(v, src.File, keys); err != nil {
			return Config{}, err
		}
	}
	if err := readEnv(v, src.Env, keys); err != nil {
		return Config{}, err
	}
	for key, flag := range src.Flags {
		if err := v.BindPFlag(key, flag); err != nil {
			return Config{}, fmt.Errorf("flag --%s: %w", flag.Name, err)
		}
	}
	var c Config
	err := v.UnmarshalExact(&c, viper.DecodeHook(mapstructure.ComposeDecodeHookFunc(
		mapstructure.StringToTimeDurationHookFunc(),
		mapstructure.StringToSliceHookFunc(","),
		mapstructure.TextUnmarshallerHookFunc(),
	)))
	if err != nil {
		return Config{}, decodeError(err)
	}
	return c, nil
}

// decodeError keeps the first complaint of the decoder.
func decodeError(err error) error {
	var many interface{ WrappedErrors() []error }
	if errors.As(err, &many) && len(many.WrappedErrors()) > 0 {
		err = many.WrappedErrors()[0]
	}
	return fmt.Errorf("configuration: %w", err)
}

// known returns every key with its default. Lists of structures are one key.
func known() map[string]any {
	keys := make(map[string]any)
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			key := prefix + v.Type().Field(i).Tag.Get("mapstructure")
			if f := v.Field(i); f.Kind() == reflect.Struct {
				walk(key+".", f)
			} else {
				keys[key] = f.Interface()
			}
		}
	}
	walk("", reflect.ValueOf(Default()))
	return keys
}

func readFile(v *viper.Viper, path string, keys map[string]any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := checkKeys(path, "", tree, keys); err != nil {
		return err
	}
	return v.MergeConfigMap(tree)
}

// checkKeys refuses keys that mean nothing.
func checkKeys(path, prefix string, tree map[string]any, keys map[string]any) error {
	for name, value := range tree {
		key := prefix + name
		if _, ok := keys[key]; ok {
			if err := checkItems(path, key, value); err != nil {
				return err
			}
			continue
		}
		inner, isMap := value.(map[string]any)
		if !isMap || !isSection(key, keys) {
			if isSection(key, keys) && value == nil {
				continue
			}
			return unknownKey(path, prefix, name, keys)
		}
		if err := checkKeys(path, key+".", inner, keys); err != nil {
			return err
		}
	}
	return nil
}

func isSection(key string, keys map[string]any) bool {
	for k := range keys {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

// itemKeys are the keys of the structures in lists.
var itemKeys = map[string]reflect.Type{
	"auth.issuers": reflect.TypeFor[Issuer](),
	"auth.apiKeys": reflect.TypeFor[APIKey](),
}

func checkItems(path, key string, value any) error {
	typ, ok := itemKeys[key]
	if !ok {
		return nil
	}
	names := make(map[string]any)
	for i := range typ.NumField() {
		names[typ.Field(i).Tag.Get("mapstructure")] = nil
	}
	items, _ := value.([]any)
	for i, item := range items {
		fields, ok := item.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %s[%d] is not a list of settings", path, key, i)
		}
		for name := range fields {
			if _, ok := names[name]; !ok {
				return fmt.Errorf("%s: unknown key %s[%d].%s, did you mean %s?", path, key, i, name, closest(name, names))
			}
		}
	}
	return nil
}

// unknownKey refuses a key and names the nearest one in its section.
func unknownKey(where, prefix, name string, keys map[string]any) error {
	siblings := make(map[string]any)
	for key := range keys {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			sibling, _, _ := strings.Cut(rest, ".")
			siblings[sibling] = nil
		}
	}
	return fmt.Errorf("%s: unknown key %s, did you mean %s?", where, prefix+name, prefix+closest(name, siblings))
}

// readEnv takes the variables with our prefix.
func readEnv(v *viper.Viper, env []string, keys map[string]any) error {
	names := make(map[string]string, len(keys)) // variable to key
	for key := range keys {
		names[envName(key)] = key
	}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, EnvPrefix+"_") {
			continue
		}
		key, ok := names[name]
		if !ok {
			known := make(map[string]any, len(names))
			for n := range names {
				known[n] = nil
			}
			return fmt.Errorf("environment: unknown variable %s, did you mean %s?", name, closest(name, known))
		}
		if _, isList := itemKeys[key]; isList {
			return fmt.Errorf("environment: %s holds a list of settings and can only be set in a file", key)
		}
		if err := v.MergeConfigMap(nest(strings.Split(key, "."), value)); err != nil {
			return fmt.Errorf("environment: %s: %w", name, err)
		}
	}
	return nil
}

// nest returns a tree with one leaf. The environment is merged like a file,
// not set, so that flags still override it.
func nest(path []string, leaf any) map[string]any {
	if len(path) == 1 {
		return map[string]any{path[0]: leaf}
	}
	return map[string]any{path[0]: nest(path[1:], leaf)}
}

func envName(key string) string {
	return EnvPrefix + "_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func closest(name string, names map[string]any) string {
	return nearest.To(name, slices.Collect(maps.Keys(names)), len(name)+64)
}
