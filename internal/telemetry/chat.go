package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomcast/roomcast/internal/chat"
)

var (
	turnsLive     = desc("chat_turns", "Messages to the assistant that are being answered by this server.")
	turnsEnded    = desc("chat_turns_ended_total", "Answers that this server has ended.", "finish")
	turnTokens    = desc("chat_tokens_total", "Tokens that they took.", "kind")
	turnFirst     = desc("chat_first_token_seconds", "How long it took until the assistant said something.")
	turnsUnjudged = desc("chat_unjudged_total", "Texts that moderation could not judge.")
	streamWrites  = desc("chat_stream_writes_total", "What was written to the streams of answers.")
	streamBatches = desc("chat_stream_batches_total", "Transactions that it was written in.")
)

func (c collector) describeTurns(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{turnsLive, turnsEnded, turnTokens, turnFirst, turnsUnjudged, streamWrites, streamBatches} {
		ch <- d
	}
}

func (c collector) collectTurns(m metrics) {
	if c.Turns == nil {
		return
	}
	s := c.Turns()
	m.gauge(turnsLive, s.Live)
	for finish, n := range s.Ended {
		m.count(turnsEnded, n, string(finish))
	}
	m.count(turnTokens, s.Prompt, "prompt")
	m.count(turnTokens, s.Completion, "completion")
	m.count(turnsUnjudged, s.Unjudged)
	m.count(streamWrites, s.Writes)
	m.count(streamBatches, s.Batches)
	m <- prometheus.MustNewConstHistogram(turnFirst, s.FirstCount, s.FirstSum, s.First)
}

// Turns is who is asked about answers of the assistant; nil where there are
// none.
type Turns func() chat.Counts
