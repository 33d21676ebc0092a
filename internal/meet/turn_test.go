package meet

import (
	"reflect"
	"testing"
	"time"
)

// The credential is what coturn computes for the same name and secret:
// printf 1700000060:ann:1 | openssl dgst -sha1 -hmac north -binary | base64
func TestTurn(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	all := []string{"turn:t:3478", "stun:s:3478", "turns:t:5349", "stuns:s:5349"}
	got := Turn{URLs: all, Secret: "north", TTL: time.Minute}.Servers("ann:1", now)
	want := []ICEServer{
		{URLs: []string{"stun:s:3478", "stuns:s:5349"}},
		{URLs: []string{"turn:t:3478", "turns:t:5349"}, Username: "1700000060:ann:1", Credential: "YDkW/995tNmdpAXQJPkpTaig/2c="},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := (Turn{URLs: all[:1], Secret: "north"}).Servers("ann", now); got[0].Username != "1700003600:ann" {
		t.Errorf("without a time to live: %v", got)
	}
	if got := (Turn{}).Servers("ann", now); got == nil || len(got) != 0 {
		t.Errorf("without servers: %#v", got)
	}
}
