package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

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
		tree, err := readFile(src.File, keys)
		if err != nil {
			return Config{}, err
		}
		if err := v.MergeConfigMap(tree); err != nil {
			return Config{}, fmt.Errorf("%s: %w", src.File, err)
		}
	}
	items, err := readEnv(v, src.Env, keys)
	if err != nil {
		return Config{}, err
	}
	for key, flag := range src.Flags {
		if err := v.BindPFlag(key, flag); err != nil {
			return Config{}, fmt.Errorf("flag --%s: %w", flag.Name, err)
		}
	}
	var c Config
	err = v.UnmarshalExact(&c, viper.DecodeHook(mapstructure.ComposeDecodeHookFunc(
		mapstructure.StringToTimeDurationHookFunc(),
		mapstructure.StringToSliceHookFunc(","),
		mapstructure.TextUnmarshallerHookFunc(),
	)))
	if err != nil {
		return Config{}, decodeError(err)
	}
	for _, item := range items {
		if err := item.set(&c); err != nil {
			return Config{}, err
		}
	}
	return c, errors.Join(c.Store.readFile(), c.Auth.readFiles(), c.Redis.readFiles(), c.Chat.readFiles(), c.readDataFiles(), c.WebSocket.Meet.readFile(), c.Workflow.Temporal.readFile())
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

// readEnv takes the variables with our prefix. ROOMCAST_X_FILE names a file
// that holds the value of ROOMCAST_X. A variable that is nearly the name of a
// setting is refused; others belong to somebody else, such as those that
// Kubernetes makes for a service called roomcast. Those for items of lists are
// returned: they are set when there are items.
func readEnv(v *viper.Viper, env []string, keys map[string]any) (items []itemVariable, err error) {
	names := make(map[string]string, len(keys)) // variable to key
	for key := range keys {
		names[envName(key)] = key
	}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, EnvPrefix+"_") {
			continue
		}
		if item, ok := parseItem(name, value); ok {
			items = append(items, item)
			continue
		}
		key, ok := names[name]
		if base, isFile := strings.CutSuffix(name, "_FILE"); !ok && isFile && names[base] != "" {
			key, ok = names[base], true
			if value, err = readText(value); err != nil {
				return nil, fmt.Errorf("environment: %s: %w", name, err)
			}
		}
		if !ok {
			if best := nearest.To(name, slices.Collect(maps.Keys(names)), 3); best != "" {
				return nil, fmt.Errorf("environment: unknown variable %s, did you mean %s?", name, best)
			}
			continue
		}
		if err := setEnv(v, name, key, value, keys); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func setEnv(v *viper.Viper, name, key, value string, keys map[string]any) error {
	if _, isList := itemKeys[key]; isList {
		return fmt.Errorf("environment: %s holds a list of settings and can only be set in a file; single texts in it are %s_0_… and so on", key, name)
	}
	if problem := checkScalar(keys[key], value); problem != "" {
		return fmt.Errorf("environment: %s: %s", name, problem)
	}
	if err := v.MergeConfigMap(nest(strings.Split(key, "."), value)); err != nil {
		return fmt.Errorf("environment: %s: %w", name, err)
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
