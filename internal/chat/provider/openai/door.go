package openai

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"time"
)

const (
	maxHeader = 64 << 10 // bytes of all headers of an answer
	maxError  = 64 << 10 // bytes of an error that are looked at
	// maxComments are lines without data from one chunk to the next. Servers that
	// think for long send some, to keep the connection.
	maxComments = 10_000
	// patience is for the end of a stream that has said that it is done.
	patience = 50 * time.Millisecond
)

// A door sends requests for the library, and lets nothing in but streams of
// events: the library would read the rest without a bound, and put it into its
// errors.
type door struct {
	opts   Options
	client *http.Client
}

// Do implements the library's HTTPDoer. Its errors are of type *failure, or of
// the transport.
func (d *door) Do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", "roomcast")
	for _, h := range d.opts.Headers {
		req.Header.Set(h.Name, h.Value)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := admit(res); err != nil {
		res.Body.Close()
		return nil, err
	}
	res.Body = &body{ReadCloser: res.Body, left: d.opts.MaxBytes}
	return res, nil
}

// admit refuses what is not a stream of events.
func admit(res *http.Response) error {
	if res.StatusCode != http.StatusOK {
		return statusFailure(res, readError(res))
	}
	if e := res.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return malformed("the language model sent a compressed answer, which it was not asked for")
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch kind {
	case "text/event-stream":
		return nil
	case "application/json":
		if e := readError(res); e.given {
			return e.failure()
		}
	}
	return malformed("the language model did not send a stream of events: the address may be wrong")
}

// readError reads the body of an answer that is no stream.
func readError(res *http.Response) report {
	if e := res.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return report{}
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxError))
	if err != nil {
		return report{}
	}
	return parseReport(raw)
}

// A body is a stream of events with a bound. Its last line always ends, because
// the library drops one that does not.
type body struct {
	io.ReadCloser
	left  int64
	open  bool // the last line has not ended
	ended bool
	done  bool // the last line said that it is
}

func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.ended:
		return 0, io.EOF
	case b.left <= 0:
		return 0, malformed("the answer of the language model is too large")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if n > 0 {
		b.open = p[n-1] != '\n'
		b.done = bytes.HasSuffix(bytes.TrimRight(p[:n], "\r\n"), []byte("[DONE]"))
	}
	if err != io.EOF {
		return n, err
	}
	b.ended = n < len(p) || !b.open
	if b.open && n < len(p) {
		p[n] = '\n'
		n++
	}
	return n, nil
}

// Close closes the body. A connection can be used again if the end of the body
// was read, which comes right after the last line, if it comes.
func (b *body) Close() error {
	if b.done && !b.ended {
		late := time.AfterFunc(patience, func() { b.ReadCloser.Close() })
		io.CopyN(io.Discard, b.ReadCloser, 1<<10)
		late.Stop()
	}
	return b.ReadCloser.Close()
}
