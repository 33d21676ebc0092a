package rawws

import (
	"slices"
	"strings"
)

// recent are the latest ids that were heard.
type recent struct {
	ids  []string
	next int
}

// maxRecent bounds them: what comes by several rooms comes at about the same
// time.
const maxRecent = 64

// add notes an id, and reports whether it is new.
func (r *recent) add(id string) bool {
	switch {
	case slices.Contains(r.ids, id):
		return false
	case len(r.ids) < maxRecent:
		r.ids = append(r.ids, id)
		return true
	}
	r.ids[r.next] = id
	r.next = (r.next + 1) % maxRecent
	return true
}

// has reports whether an id was added lately.
func (r *recent) has(id string) bool { return slices.Contains(r.ids, id) }

// forget drops the ids that begin like that.
func (r *recent) forget(prefix string) {
	for i, id := range r.ids {
		if strings.HasPrefix(id, prefix) {
			r.ids[i] = ""
		}
	}
}
