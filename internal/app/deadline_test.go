package app

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A client that reads nothing does not hold a request for ever, and the limit
// of one request does not end the next.
func TestRequestsHaveDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &deadlineRecorder{ResponseWriter: httptest.NewRecorder()}
		h := deadlines(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Minute) // a poll
			fmt.Fprint(w, "x")
		}))
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := time.Until(w.write); got != requestTime {
			t.Errorf("the answer may take %v", got)
		}
		if !w.read.IsZero() {
			t.Error("a poll without a body has a limit for reading: it would be taken for gone")
		}
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", bufio.NewReader(&net.TCPConn{})))
		if w.read.IsZero() {
			t.Error("a body may take for ever")
		}
	})
}

type deadlineRecorder struct {
	http.ResponseWriter
	read, write time.Time
}

func (w *deadlineRecorder) SetReadDeadline(t time.Time) error  { w.read = t; return nil }
func (w *deadlineRecorder) SetWriteDeadline(t time.Time) error { w.write = t; return nil }
