package identity

import "container/heap"

// schedule has the seats by their time, the first of them first.
type schedule struct{ list seatHeap }

// put adds a seat or moves it, and reports whether it is now the first.
func (s *schedule) put(one *seat) (first bool) {
	if one.index >= 0 {
		heap.Fix(&s.list, one.index)
	} else {
		heap.Push(&s.list, one)
	}
	return one.index == 0
}

// remove takes a seat out, if it is there.
func (s *schedule) remove(one *seat) {
	if one.index >= 0 {
		heap.Remove(&s.list, one.index)
	}
}

// first returns the seat that is due first, nil if there is none.
func (s *schedule) first() *seat {
	if len(s.list) == 0 {
		return nil
	}
	return s.list[0]
}

// seatHeap implements heap.Interface.
type seatHeap []*seat

func (h seatHeap) Len() int           { return len(h) }
func (h seatHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h seatHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *seatHeap) Push(x any) {
	one := x.(*seat)
	one.index = len(*h)
	*h = append(*h, one)
}

func (h *seatHeap) Pop() any {
	last := len(*h) - 1
	one := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	one.index = -1
	return one
}
