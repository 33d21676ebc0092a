package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/pressly/goose/v3"
)

// requestsVersion is the number of a migration that builds on 00005, in Go
// because databases have no common way to read JSON.
const requestsVersion = 8

// nameRequests writes the requests for input of older entries where they are
// looked for.
func (db *DB) nameRequests() *goose.Migration {
	return goose.NewGoMigration(requestsVersion, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		t := transaction{ctx, db, tx}
		type entry struct {
			runID   string
			seq     int64
			request string
		}
		rows, err := tx.QueryContext(ctx, `SELECT run_id, seq, data FROM run_log WHERE type = 'NODE_SUSPENDED'`)
		if err != nil {
			return failure(err)
		}
		all, err := scanAll(rows, func() bool { return true }, func(row scanner) (entry, error) {
			var e entry
			var data string
			if err := row.Scan(&e.runID, &e.seq, &data); err != nil {
				return e, err
			}
			var suspension struct {
				RequestID string `json:"requestID"`
			}
			if err := json.Unmarshal([]byte(data), &suspension); err != nil {
				return e, fmt.Errorf("entry %d of run %s: %w", e.seq, e.runID, err)
			}
			e.request = suspension.RequestID
			return e, nil
		})
		if err != nil {
			return err
		}
		for _, e := range all {
			if _, err := t.exec(`UPDATE run_log SET request = ? WHERE run_id = ? AND seq = ?`, e.request, e.runID, e.seq); err != nil {
				return err
			}
		}
		return nil
	}}, nil)
}
