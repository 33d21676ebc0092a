package events

// An Instance is one of the servers.
type Instance struct {
	ID   string `json:"id"`   // new with each process
	Host string `json:"host"` // the name of its machine
}

// Log is one line of the server's log.
type Log struct {
	Instance   Instance `json:"instance"`
	RoutingKey string   `json:"routingKey"` // log.<level>
	Content    JSON     `json:"content"`
	Timestamp  int64    `json:"timestamp"` // milliseconds since 1970
}

// EventName implements [Payload].
func (Log) EventName() string { return "log" }

// Stats is the state of one server, sent every few seconds.
type Stats struct {
	Instance    Instance `json:"instance"`
	Connections int      `json:"connections"`
	Sessions    int      `json:"sessions"`
	Rooms       int      `json:"rooms"`
	// WebSockets are connections of clients that do not speak Socket.IO, by
	// dialect; those that have not shown which they speak are undecided.
	WebSockets map[string]int `json:"webSockets,omitempty"`
	Events     EventStats     `json:"events"`
	Memory     MemoryStats    `json:"memory"`
	Bus        BusStats       `json:"bus"`
	Goroutines int            `json:"goroutines"`
	Uptime     int64          `json:"uptime"`    // seconds
	Timestamp  int64          `json:"timestamp"` // milliseconds since 1970
}

// EventName implements [Payload].
func (Stats) EventName() string { return "stats" }

// EventStats counts events since the server started.
type EventStats struct {
	Received    int64 `json:"received"`
	Published   int64 `json:"published"`
	Delivered   int64 `json:"delivered"`
	LogsDropped int64 `json:"logsDropped"` // log lines that no monitor saw
}

// BusStats is what connects the servers.
type BusStats struct {
	Status BusStatus `json:"status"`
	Since  int64     `json:"since"` // milliseconds since 1970; 0 if there is none
}

// A BusStatus says how it is doing.
type BusStatus string

// The statuses.
const (
	BusNone BusStatus = "none" // the server is alone
	BusUp   BusStatus = "up"
	BusDown BusStatus = "down"
)

// MemoryStats is in bytes.
type MemoryStats struct {
	Heap  uint64 `json:"heap"`
	Stack uint64 `json:"stack"`
	Total uint64 `json:"total"` // obtained from the operating system
}
