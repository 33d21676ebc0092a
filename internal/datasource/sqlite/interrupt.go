package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"time"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// again is how often a statement is told to stop: one that has not begun yet
// does not hear it.
const again = 20 * time.Millisecond

// watch ends the statements of a connection with ctx. The driver does so only
// up to the first row: a second one that never comes would hold a processor for
// ever. It has no call for this, so its handle is read from where it is, and
// whoever updates the driver learns from an error if it has moved. stop must be
// called before the connection is given back: until then nobody closes it.
func watch(ctx context.Context, conn *sql.Conn) (stop func(), err error) {
	var handle uintptr
	err = conn.Raw(func(c any) error {
		if field := reflect.Indirect(reflect.ValueOf(c)).FieldByName("db"); field.IsValid() && field.Kind() == reflect.Uintptr {
			handle = uintptr(field.Uint())
		}
		return nil
	})
	if err == nil && handle == 0 {
		err = errors.New("the driver for SQLite has no handle")
	}
	if err != nil {
		return nil, err
	}
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-over:
		case <-ctx.Done():
			interrupt(handle, over)
		}
	}()
	return func() {
		close(over)
		<-stopped
	}, nil
}

// interrupt tells what runs to stop until it is over.
func interrupt(handle uintptr, over <-chan struct{}) {
	thread := libc.NewTLS()
	defer thread.Close()
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		sqlite3.Xsqlite3_interrupt(thread, handle)
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}
