package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/internal/nearest"
)

// A Model is a model of a provider under a name of our own.
type Model struct {
	// Name is what requests call it.
	Name     string
	Provider Provider
	// Upstream is what the provider calls it; empty is Name.
	Upstream string
	// MaxTokens bounds every answer; 0 is no bound of ours.
	MaxTokens int
	// Default answers requests that name no model.
	Default bool
}

// A Set is models by their names, and itself a provider. It may be used
// concurrently.
type Set struct {
	models   map[string]Model
	names    []string
	standard string
}

var _ Provider = (*Set)(nil)

// NewSet returns a set of at least one model. If none is the default, the first
// is.
func NewSet(models ...Model) (*Set, error) {
	if len(models) == 0 {
		return nil, errors.New("there are no models")
	}
	s := &Set{models: make(map[string]Model, len(models))}
	for _, m := range models {
		switch _, twice := s.models[m.Name]; {
		case m.Name == "" || m.Provider == nil:
			return nil, errors.New("a model has no name or no provider")
		case twice:
			return nil, fmt.Errorf("two models have the name %q", m.Name)
		case m.Default && s.standard != "":
			return nil, fmt.Errorf("both %q and %q are the default", s.standard, m.Name)
		case m.Default:
			s.standard = m.Name
		}
		if m.Upstream == "" {
			m.Upstream = m.Name
		}
		s.models[m.Name], s.names = m, append(s.names, m.Name)
	}
	if s.standard == "" {
		s.standard = s.names[0]
	}
	return s, nil
}

// Names are those of the models, in the order in which they were given.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// Default is the name of the model for requests that name none.
func (s *Set) Default() string { return s.standard }

// Find returns the model of a name, or the default if it is empty. The error is
// an [*Error] of the kind [BadRequest].
func (s *Set) Find(name string) (Model, error) {
	if name == "" {
		name = s.standard
	}
	if m, ok := s.models[name]; ok {
		return m, nil
	}
	hint := "the models here are " + strings.Join(s.names, ", ")
	if best := nearest.To(name, s.names, max(1, len(name)/3)); best != "" {
		hint = fmt.Sprintf("did you mean %q?", best)
	}
	return Model{}, bad("there is no model %q: %s", shorten(name), hint)
}

func shorten(name string) string {
	if r := []rune(name); len(r) > 64 {
		return string(r[:64]) + "…"
	}
	return name
}

// Stream implements [Provider]. The response is of the model's name here, not of
// what its provider calls it.
func (s *Set) Stream(ctx context.Context, r Request, emit func(string) error) (Response, error) {
	m, err := s.Find(r.Model)
	if err != nil {
		return Response{}, err
	}
	r.Model = m.Upstream
	if m.MaxTokens > 0 && (r.MaxTokens == 0 || r.MaxTokens > m.MaxTokens) {
		r.MaxTokens = m.MaxTokens
	}
	answer, err := m.Provider.Stream(ctx, r, emit)
	answer.Model = m.Name
	return answer, err
}
