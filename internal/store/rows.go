package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/internal/listener"
)

// Widgets are who owns which widget.
type Widgets struct{ db *DB }

var _ bridge.Widgets = Widgets{}

// Widgets returns who owns which widget.
func (db *DB) Widgets() Widgets { return Widgets{db} }

// Widget implements [bridge.Widgets].
func (s Widgets) Widget(ctx context.Context, id string) (tenant string, err error) {
	err = s.db.row(ctx, `SELECT tenant FROM widgets WHERE id = ?`, id).Scan(&tenant)
	if errors.Is(err, sql.ErrNoRows) {
		return "", bridge.ErrNotFound
	}
	return tenant, err
}

// ClaimWidget implements [bridge.Widgets].
func (s Widgets) ClaimWidget(ctx context.Context, id, tenant, user string) (owner string, err error) {
	if owner, err = s.Widget(ctx, id); !errors.Is(err, bridge.ErrNotFound) {
		return owner, err
	}
	_, err = s.db.exec(ctx, `INSERT INTO widgets (id, tenant, created_by, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		id, tenant, user, micros(time.Now()))
	if err != nil {
		return "", err
	}
	return s.Widget(ctx, id)
}

// Listeners are the listeners in a database.
type Listeners struct{ db *DB }

var _ listener.Store = Listeners{}

// Listeners returns the listeners.
func (db *DB) Listeners() Listeners { return Listeners{db} }

// CreateListener implements [listener.Store].
func (s Listeners) CreateListener(ctx context.Context, l listener.Listener) error {
	_, err := s.db.exec(ctx, `INSERT INTO listeners (id, tenant, kind, title, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		l.ID, l.Tenant, string(l.Kind), l.Title, l.CreatedBy, micros(l.CreatedAt))
	return err
}

// DeleteListener implements [listener.Store].
func (s Listeners) DeleteListener(ctx context.Context, id string) error {
	res, err := s.db.exec(ctx, `DELETE FROM listeners WHERE id = ?`, id)
	return affected(res, err, listener.ErrNotFound)
}

const listenerColumns = `SELECT id, tenant, kind, title, created_by, created_at FROM listeners `

func scanListener(row scanner) (listener.Listener, error) {
	var l listener.Listener
	var at int64
	err := row.Scan(&l.ID, &l.Tenant, &l.Kind, &l.Title, &l.CreatedBy, &at)
	l.CreatedAt = fromMicros(at)
	return l, err
}

// Listener implements [listener.Store].
func (s Listeners) Listener(ctx context.Context, id string) (listener.Listener, error) {
	l, err := scanListener(s.db.row(ctx, listenerColumns+`WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return l, listener.ErrNotFound
	}
	return l, err
}

// Listeners implements [listener.Store].
func (s Listeners) Listeners(ctx context.Context, tenant string) ([]listener.Listener, error) {
	return list(ctx, s.db, scanListener, listenerColumns+`WHERE tenant = ? ORDER BY title, id`, tenant)
}
