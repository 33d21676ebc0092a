package config

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// DataSource is where workflows find data.
type DataSource struct {
	Name         string        `mapstructure:"name" yaml:"name"`
	Driver       string        `mapstructure:"driver" yaml:"driver"`
	URL          Secret        `mapstructure:"url" yaml:"url"`
	URLFile      string        `mapstructure:"urlFile" yaml:"urlFile"`
	Tenants      []string      `mapstructure:"tenants" yaml:"tenants"`
	Timeout      time.Duration `mapstructure:"timeout" yaml:"timeout"`
	MaxRows      int           `mapstructure:"maxRows" yaml:"maxRows"`
	MaxBytes     Size          `mapstructure:"maxBytes" yaml:"maxBytes"`
	MaxConns     int           `mapstructure:"maxConns" yaml:"maxConns"`
	Headers      []DataHeader  `mapstructure:"headers" yaml:"headers"`
	HeadersFile  string        `mapstructure:"headersFile" yaml:"headersFile"`
	AllowPrivate bool          `mapstructure:"allowPrivate" yaml:"allowPrivate"`
	AllowQueries bool          `mapstructure:"allowQueries" yaml:"allowQueries"`
	// Assistant lets the chat's assistant ask the source.
	Assistant bool        `mapstructure:"assistant" yaml:"assistant"`
	Queries   []DataQuery `mapstructure:"queries" yaml:"queries"`
}

// DataHeader goes with every request to a service.
type DataHeader struct {
	Name  string `mapstructure:"name" yaml:"name"`
	Value Secret `mapstructure:"value" yaml:"value"`
}

// DataQuery is a query that workflows may run.
type DataQuery struct {
	ID     string      `mapstructure:"id" yaml:"id"`
	Title  string      `mapstructure:"title" yaml:"title"`
	SQL    string      `mapstructure:"sql" yaml:"sql"`
	Write  bool        `mapstructure:"write" yaml:"write"`
	Method string      `mapstructure:"method" yaml:"method"`
	Path   string      `mapstructure:"path" yaml:"path"`
	Query  []DataField `mapstructure:"query" yaml:"query"`
	Body   string      `mapstructure:"body" yaml:"body"`
	Params []DataParam `mapstructure:"params" yaml:"params"`
}

// DataField is one of the query of an address.
type DataField struct {
	Name  string `mapstructure:"name" yaml:"name"`
	Value string `mapstructure:"value" yaml:"value"`
}

// DataParam is a parameter of a query.
type DataParam struct {
	Name     string `mapstructure:"name" yaml:"name"`
	Type     string `mapstructure:"type" yaml:"type"`
	Required bool   `mapstructure:"required" yaml:"required"`
	Default  any    `mapstructure:"default" yaml:"default"`
}

// readDataFiles reads what the keys that end with File name.
func (c *Config) readDataFiles() error {
	for n := range c.DataSources {
		d := &c.DataSources[n]
		at := fmt.Sprintf("dataSources[%d].", n)
		if err := readSecrets(at, []secretFile{{"url", d.URLFile, &d.URL}}); err != nil {
			return err
		}
		if err := d.readHeaders(at); err != nil {
			return err
		}
	}
	return nil
}

// readHeaders reads a file with lines such as "Authorization: Bearer …".
func (d *DataSource) readHeaders(at string) error {
	if d.HeadersFile == "" {
		return nil
	}
	raw, err := os.ReadFile(d.HeadersFile)
	if err != nil {
		return fmt.Errorf("%sheadersFile: %w", at, err)
	}
	for i, line := range strings.Split(string(raw), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return fmt.Errorf("%sheadersFile: line %d of %s is not name: value", at, i+1, d.HeadersFile)
		}
		d.Headers = append(d.Headers, DataHeader{strings.TrimSpace(name), Secret(strings.TrimSpace(value))})
	}
	return nil
}
