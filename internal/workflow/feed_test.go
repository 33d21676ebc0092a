package workflow

import (
	"log/slog"
	"testing"
)

// Nothing is left behind of runs that somebody has waited for.
func TestNobodyWaits(t *testing.T) {
	f := NewFeed(nil, slog.New(slog.DiscardHandler))
	first, leaveFirst := f.next("a")
	second, leaveSecond := f.next("a")
	_, leaveOther := f.next("b")
	leaveOther()
	f.Wake("a")
	<-first
	<-second
	leaveFirst()
	third, leaveThird := f.next("a") // before all of the others have left
	leaveSecond()
	f.Wake("a")
	<-third
	leaveThird()
	_, leave := f.next("a")
	leave()
	if len(f.waiting) != 0 {
		t.Errorf("%d runs are waited for", len(f.waiting))
	}
}
