package fleet

import (
	"io"
	"net/http"
	"testing"

	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

func TestFleet(t *testing.T) {
	f := Start(t, Options{Instances: 2, Store: postgrestest.URL(t)})
	p := StartProxy(t, f.URLs()...)
	get := func() int {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, p.URL+"/api/v1/tenants/"+Tenant+"/listeners", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		req.Header.Set("Authorization", "Bearer "+f.Token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	for range 2 {
		if status := get(); status != http.StatusOK {
			t.Fatalf("the proxy answers %d", status)
		}
	}
	f.Instances[0].Kill()
	for range 2 { // the one that is dead is passed over
		if status := get(); status != http.StatusOK {
			t.Fatalf("without the first instance the proxy answers %d", status)
		}
	}
	f.Instances[0].Start()
	f.Instances[0].AwaitReady()
	f.Instances[1].Terminate()
	if f.Instances[1].Ready() {
		t.Error("an instance that has ended is ready")
	}
}
