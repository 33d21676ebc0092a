package events

import "testing"

// The reference of a tenant with any name is a path of one meaning.
func TestContextRef(t *testing.T) {
	got := *NewContextRef("acme/north 1?", "7c9e6679-7425-40de-944b-e07fc1f90ae7", 7, 70_000)
	want := ContextRef{7, 70_000, "/api/v1/tenants/acme%2Fnorth%201%3F/workflows/instances/7c9e6679-7425-40de-944b-e07fc1f90ae7/context?offset=7"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
