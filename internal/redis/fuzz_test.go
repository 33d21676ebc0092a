package redis

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/roomcast/roomcast/internal/cluster"
)

var seeds = []string{
	`{"uid":"u","nsp":"/","type":3,"data":{"packet":{"type":2,"data":["e",1]},"opts":{"rooms":["r",7],"except":[],"flags":{"volatile":true,"timeout":5,"roomcast":"1:2:3:e"}},"requestId":"q"}}`,
	`{"uid":"u","nsp":"/","type":8,"data":{"requestId":"q","sockets":[{"id":"s","handshake":{},"rooms":["s"],"data":{}}]}}`,
	`{"uid":"u","nsp":"/","type":9,"data":{"packet":["e"]}}`,
	`{"uid":"u","requestId":"q","type":7,"packet":{"type":2,"data":["e"],"nsp":"/"},"opts":{"rooms":[],"except":[]}}`,
	`{"type":2,"sid":"s","room":"r","requestId":"q"}`,
	`{"requestId":"q","sockets":[{"id":"s"}],"rooms":["r"],"type":9,"packet":1,"clientCount":2,"data":3}`,
	`["u",{"type":2,"data":["e",{"_placeholder":true,"num":0}],"nsp":"/"},{"rooms":["r"],"except":null,"flags":null}]`,
	`{"topic":"t","from":"u","data":"AAE="}`,
	`{"sid":"s","pid":"p","rooms":["r"],"data":{},"roomcast":"AAE="}`,
	`{"packet":{"type":2,"data":["e"]},"opts":{}}`,
}

// FuzzReaders feeds every decoder of what comes from Redis. What they accept
// can be encoded again.
func FuzzReaders(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
		packed, err := appendMsgpack(nil, []byte(seed), [][]byte{{1}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
		f.Add([]byte(base64.StdEncoding.EncodeToString(packed)))
	}
	raw, _ := hex.DecodeString("93a165820403a3")
	f.Add(raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := readClassicEvent("/", b)
		check(t, in, err)
		in, err = readClassicRequest("/", b)
		check(t, in, err)
		for kind := range cluster.ListRooms + 1 {
			in, err = readClassicResponse("/", b, func(string) (cluster.Kind, bool) { return kind, true })
			check(t, in, err)
		}
		in, err = readCluster(b, attach)
		check(t, in, err)
		for _, kind := range []string{"3", "4", "6", "8", string(b)} {
			in, err = readEntry(map[string]any{"uid": "u", "nsp": "/", "type": kind, "data": string(b), "roomcast": string(b)})
			check(t, in, err)
		}
		_, _ = readNote(b)
		_, _ = decodeSession(string(b))
	})
}

func check(t *testing.T, in incoming, err error) {
	if err != nil {
		return
	}
	if r := in.response; r != nil {
		if _, err := finish(clusterResponse("self", &cluster.Message{RequestID: r.RequestID, Kind: cluster.FetchSockets}, r), r.Parts); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		return
	}
	m := in.message
	for _, arg := range m.Packet.Args {
		if !json.Valid(arg) {
			t.Fatalf("%+v: not JSON: %s", m, arg)
		}
	}
	if js, err := clusterMessage("self", m, makeStamp(1, m.Position)); err == nil && !json.Valid(js) {
		t.Fatalf("%+v became %s", m, js)
	}
	if js, err := classicRequest("self", m, makeStamp(1, m.Position)); err != nil {
		t.Fatalf("%+v: %v", m, err)
	} else if js[0] == '{' && !json.Valid(js) {
		t.Fatalf("%+v became %s", m, js)
	}
}
