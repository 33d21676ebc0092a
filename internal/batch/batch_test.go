package batch_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/internal/batch"
	"github.com/roomcast/roomcast/internal/eventually"
)

// What comes while something is written goes into one batch.
func TestGathers(t *testing.T) {
	entered, goOn := make(chan int), make(chan struct{})
	w := batch.New(batch.Options[int]{Write: func(all []int) ([]error, error) {
		entered <- len(all)
		<-goOn
		return make([]error, len(all)), nil
	}, Max: 3})
	var writers sync.WaitGroup
	writers.Go(func() { w.Write(0) })
	if n := <-entered; n != 1 {
		t.Fatalf("the first batch has %d", n)
	}
	for i := range 5 {
		writers.Go(func() { w.Write(i) })
	}
	eventually.True(t, func() bool { return w.Waiting() == 5 })
	goOn <- struct{}{}
	var sizes []int
	for range 2 {
		sizes = append(sizes, <-entered)
		goOn <- struct{}{}
	}
	writers.Wait()
	w.Wait()
	if !slices.Equal(sizes, []int{3, 2}) {
		t.Errorf("batches of %v", sizes)
	}
	if writes, batches := w.Counts(); writes != 6 || batches != 3 {
		t.Errorf("%d writes in %d batches", writes, batches)
	}
}

// One that cannot be written does not take others with it, and one that may be
// refused is told why.
func TestFailures(t *testing.T) {
	bad, refused := errors.New("bad"), errors.New("refused")
	block := make(chan struct{})
	w := batch.New(batch.Options[int]{
		Write: func(all []int) ([]error, error) {
			<-block
			errs := make([]error, len(all))
			for i, v := range all {
				if v == 13 {
					return nil, bad
				}
				if v == 7 || v == 107 {
					errs[i] = refused
				}
			}
			return errs, nil
		},
		Again: func(v int) int {
			if v == 13 {
				return v
			}
			return v + 100
		},
	})
	got := map[int]error{}
	var mu sync.Mutex
	var writers sync.WaitGroup
	for _, v := range []int{1, 7, 13} {
		writers.Go(func() {
			err := w.Write(v)
			mu.Lock()
			defer mu.Unlock()
			got[v] = err
		})
	}
	close(block)
	writers.Wait()
	if got[1] != nil || !errors.Is(got[7], refused) || !errors.Is(got[13], bad) {
		t.Errorf("%v", got)
	}
}
