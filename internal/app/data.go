package app

import (
	"context"
	"log/slog"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/datasource"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// newDataSources builds what dataQuery nodes ask.
func newDataSources(c []config.DataSource, log *slog.Logger) (*datasource.Sources, error) {
	return datasource.New(datasource.Options{Sources: configSources(c), Logger: log})
}

// CheckDataSources reports what is wrong with the data sources of a
// configuration.
func CheckDataSources(c []config.DataSource) error { return datasource.Check(configSources(c)) }

func configSources(c []config.DataSource) []datasource.Source {
	var sources []datasource.Source
	for _, d := range c {
		s := datasource.Source{
			Name: d.Name, Driver: d.Driver, URL: string(d.URL), Tenants: d.Tenants,
			Timeout: d.Timeout, MaxRows: d.MaxRows, MaxBytes: int64(d.MaxBytes), MaxConns: d.MaxConns,
			AllowPrivate: d.AllowPrivate, AllowQueries: d.AllowQueries,
		}
		for _, h := range d.Headers {
			s.Headers = append(s.Headers, datasource.Header{Name: h.Name, Value: string(h.Value)})
		}
		for _, q := range d.Queries {
			s.Queries = append(s.Queries, configQuery(q))
		}
		sources = append(sources, s)
	}
	return sources
}

func configQuery(c config.DataQuery) datasource.Query {
	q := datasource.Query{ID: c.ID, Title: c.Title, SQL: c.SQL, Write: c.Write, Method: c.Method, Path: c.Path, Body: c.Body}
	for _, f := range c.Query {
		q.Fields = append(q.Fields, datasource.Field(f))
	}
	for _, p := range c.Params {
		q.Params = append(q.Params, datasource.Param{Name: p.Name, Type: p.Type, Required: p.Required, Default: p.Default})
	}
	return q
}

// dataSources are the sources as nodes need them.
type dataSources struct{ sources *datasource.Sources }

var _ nodes.DataSources = dataSources{}

func (d dataSources) Check(q nodes.DataQuery) []nodes.Problem {
	var problems []nodes.Problem
	for _, p := range d.sources.Check(datasource.Request(q)) {
		problems = append(problems, nodes.Problem(p))
	}
	return problems
}

func (d dataSources) Query(ctx context.Context, q nodes.DataQuery) (any, error) {
	return d.sources.Query(ctx, datasource.Request(q))
}
