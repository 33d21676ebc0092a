package pace

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/roomcast/roomcast/events"
)

// reader counts what it gets between two drains.
type reader struct {
	pages []int
	gone  error
}

func newReader() *reader { return &reader{pages: []int{0}} }

func (r *reader) Emit(events.Payload) error {
	r.pages[len(r.pages)-1]++
	return nil
}

func (r *reader) Drain(ctx context.Context) error {
	r.pages = append(r.pages, 0)
	if _, limited := ctx.Deadline(); !limited {
		return errors.New("the wait has no end")
	}
	return errors.Join(r.gone, ctx.Err())
}

func TestPages(t *testing.T) {
	for _, tt := range []struct {
		n, size int
		want    []int
	}{
		{1, 10, []int{1}},
		{pageEvents, 10, []int{pageEvents}},
		{2*pageEvents + 1, 10, []int{pageEvents, pageEvents, 1}},
		{5, pageBytes / 2, []int{2, 2, 1}},
		{3, 2 * pageBytes, []int{1, 1, 1}}, // one that is larger than a page is a page
	} {
		r := newReader()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the end of the event is not the end of the replay
		s := To(ctx, r)
		for range tt.n {
			if err := s.Emit(events.Failure{}, tt.size); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(r.pages, tt.want) {
			t.Errorf("%d of %d bytes: pages %v, want %v", tt.n, tt.size, r.pages, tt.want)
		}
	}
}

func TestAClientThatIsGone(t *testing.T) {
	r := newReader()
	r.gone = errors.New("gone")
	s := To(t.Context(), r)
	var err error
	n := 0
	for ; err == nil; n++ {
		err = s.Emit(events.Failure{}, 1)
	}
	if !errors.Is(err, r.gone) || n != pageEvents+1 {
		t.Errorf("%v after %d", err, n)
	}
}
