package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/roomcast/roomcast/internal/nearest"
)

// readFile reads a YAML file into a tree and refuses what means nothing, all
// of it at once.
func readFile(path string, keys map[string]any) (map[string]any, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil, nil // empty
	}
	c := &checker{path: path, keys: keys}
	c.section("", doc.Content[0])
	if len(c.problems) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(c.problems, "\n"))
	}
	var tree map[string]any
	if err := doc.Decode(&tree); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tree, nil
}

// checker compares the keys of a file with those that there are.
type checker struct {
	path     string
	keys     map[string]any
	problems []string
}

func (c *checker) add(n *yaml.Node, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("%s:%d: %s", c.path, n.Line, fmt.Sprintf(format, args...)))
}

// section checks a node that should hold settings.
func (c *checker) section(prefix string, n *yaml.Node) {
	known := c.children(prefix)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // a section without settings
	}
	if n.Kind != yaml.MappingNode {
		c.add(n, "%s is a section, with the keys %s", strings.TrimSuffix(prefix, "."), strings.Join(known, ", "))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := prefix + name.Value
		switch _, isKey := c.keys[key]; {
		case isKey:
			c.value(key, value)
		case slices.Contains(known, name.Value):
			c.section(key+".", value)
		default:
			c.add(name, "unknown key %s%s", key, suggest(name.Value, prefix, known))
		}
	}
}

// children are the names below a prefix.
func (c *checker) children(prefix string) []string {
	names := make(map[string]bool)
	for key := range c.keys {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			name, _, _ := strings.Cut(rest, ".")
			names[name] = true
		}
	}
	return sorted(names)
}

func sorted(names map[string]bool) []string {
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// suggest names the key that was probably meant, or all that there are.
func suggest(name, prefix string, known []string) string {
	if best := nearest.To(name, known, max(1, len(name)/3)); best != "" {
		return ", did you mean " + prefix + best + "?"
	}
	return ", the keys here are " + strings.Join(known, ", ")
}

// value checks what a key is set to as far as its shape can be wrong without
// its type being so.
func (c *checker) value(key string, n *yaml.Node) {
	if typ, ok := itemKeys[key]; ok {
		c.items(key, typ, n)
		return
	}
	switch c.keys[key].(type) {
	case []string:
		if n.Kind != yaml.SequenceNode && n.Kind != yaml.ScalarNode {
			c.add(n, "%s is not a list", key)
		}
	default:
		if n.Kind != yaml.ScalarNode {
			c.add(n, "%s is one value, not several", key)
		} else if problem := checkScalar(c.keys[key], n.Value); problem != "" {
			c.add(n, "%s: %s", key, problem)
		}
	}
}

// itemKeys are the keys of the structures in lists.
var itemKeys = map[string]reflect.Type{
	"auth.issuers": reflect.TypeFor[Issuer](),
	"auth.apiKeys": reflect.TypeFor[APIKey](),
	"chat.models":  reflect.TypeFor[ChatModel](),
	"dataSources":  reflect.TypeFor[DataSource](),
}

func (c *checker) items(key string, typ reflect.Type, n *yaml.Node) {
	names := make(map[string]bool)
	lists := make(map[string]reflect.Type) // of structures, in the items
	for i := range typ.NumField() {
		f := typ.Field(i)
		name := f.Tag.Get("mapstructure")
		names[name] = true
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			lists[name] = f.Type.Elem()
		}
	}
	known := sorted(names)
	if n.Kind != yaml.SequenceNode {
		c.add(n, "%s is not a list", key)
		return
	}
	for i, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			c.add(item, "%s[%d] does not have the keys %s", key, i, strings.Join(known, ", "))
			continue
		}
		for j := 0; j+1 < len(item.Content); j += 2 {
			if name := item.Content[j]; !names[name.Value] {
				c.add(name, "unknown key %s[%d].%s%s", key, i, name.Value, suggest(name.Value, "", known))
			} else if inner, ok := lists[name.Value]; ok {
				c.items(fmt.Sprintf("%s[%d].%s", key, i, name.Value), inner, item.Content[j+1])
			}
		}
	}
}
