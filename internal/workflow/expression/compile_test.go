package expression

import (
	"fmt"
	"sync"
	"testing"
)

// TestCompileTogether compiles expressions at the same time, which the race
// detector looks at.
func TestCompileTogether(t *testing.T) {
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			deep := fmt.Sprintf("all([%d], all([1], all([1], all([1], all([1], true)))))", i)
			if err := Check(deep); err == nil {
				t.Errorf("%s is not too deep", deep)
			}
			if err := Check(fmt.Sprintf("1 + %d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
