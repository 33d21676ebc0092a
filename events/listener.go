package events

// ListenerEvent carries data that a listener received from outside.
type ListenerEvent struct {
	ChannelName string `json:"channelName"`
	Data        JSON   `json:"data"`
	Mode        string `json:"mode"`      // replace or append
	Limit       int    `json:"limit"`     // how many a page keeps when appending
	Timestamp   int64  `json:"timestamp"` // milliseconds since 1970
}

// EventName implements [Payload].
func (ListenerEvent) EventName() string { return "listener_event" }
