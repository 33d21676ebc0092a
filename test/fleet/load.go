package fleet

import (
	"encoding/json"

	"github.com/roomcast/roomcast/internal/bench"
)

// Load returns the jitter profile for a fleet: clients in the room of the
// tenant, which a back end publishes to over HTTP.
func (f *Fleet) Load() bench.JitterOptions {
	const room = "tenant:" + Tenant
	return bench.JitterOptions{
		URLs: f.URLs(), Token: f.Token, PIDs: f.PIDs(),
		JoinEvent: "join_room", JoinPayload: json.RawMessage(`"` + room + `"`), Since: true,
		Publish: bench.PublishOptions{
			URLs: f.PublishURLs(), Key: f.Key,
			Payload: `{"namespace":"/","room":"` + room + `","event":"listener_event","data":` +
				`{"channelName":"` + room + `","data":{payload},"mode":"replace","limit":1,"timestamp":1767366245000}}`,
		},
	}
}
