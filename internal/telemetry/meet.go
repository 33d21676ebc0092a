package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomcast/roomcast/internal/meet"
)

// Meetings returns the numbers of meetings; nil is none.
type Meetings func() meet.Stats

var (
	meetMeetings     = desc("meet_meetings", "Meetings of which a participant is on this server.")
	meetParticipants = desc("meet_participants", "Participants of meetings on this server.")
	meetDropped      = desc("meet_dropped_total", "Signals and messages in meetings that were dropped because too many waited.")
)

func (c collector) describeMeetings(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{meetMeetings, meetParticipants, meetDropped} {
		ch <- d
	}
}

func (c collector) collectMeetings(m metrics) {
	if c.Meetings == nil {
		return
	}
	s := c.Meetings()
	m.gauge(meetMeetings, s.Meetings)
	m.gauge(meetParticipants, s.Participants)
	m.count(meetDropped, s.Dropped)
}
