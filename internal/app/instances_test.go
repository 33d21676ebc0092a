package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// A run that waits goes on in another server when its own stops, and what was
// begun before is answered there.
func TestServersShareADatabase(t *testing.T) {
	url := postgrestest.URL(t)
	options := servertest.Options{Data: t.TempDir(), Change: func(c *config.Config) {
		c.Store.Driver, c.Store.URL = config.Postgres, config.Secret(url)
		c.Instance.Heartbeat, c.Instance.Expiry = 200*time.Millisecond, time.Minute
	}}
	a, b := servertest.Start(t, options), servertest.Start(t, options)
	token := a.Token("ada", app.DevTenant, auth.Admin)
	const path = "/api/v1/tenants/" + app.DevTenant + "/workflows"

	var list struct {
		Workflows []struct{ WorkflowID, Title string }
	}
	b.Do(token, "GET", path, nil, &list)
	var run struct{ InstanceID string }
	for _, w := range list.Workflows {
		if w.Title == "Order approval" {
			a.Do(token, "POST", path+"/"+w.WorkflowID+"/execute", map[string]any{"inputValues": map[string]any{"amount": 5000}}, &run)
		}
	}
	if run.InstanceID == "" {
		t.Fatalf("nothing was executed: %+v", list)
	}
	type state struct {
		Status                string
		PendingDataCollection []struct{ CollectionRequestID string }
	}
	look := func() (s state) {
		b.Do(token, "GET", path+"/instances/"+run.InstanceID, nil, &s)
		return s
	}
	eventually.True(t, func() bool { return len(look().PendingDataCollection) == 1 })
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{"collectionRequestID": look().PendingDataCollection[0].CollectionRequestID, "submittedData": map[string]any{"approved": true}}
	if status := b.Do(token, "POST", path+"/data-collection", answer, nil); status != http.StatusOK {
		t.Errorf("the answer was answered %d", status)
	}
	eventually.True(t, func() bool { return look().Status == "COMPLETED" })

	res, err := http.Get(b.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	for _, want := range []string{"roomcast_instance_present 1", "roomcast_instance_lost_total 0", "roomcast_instance_renewal_failures_total 0"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is missing", want)
		}
	}
}
