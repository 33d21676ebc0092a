package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
)

// maxStatements bounds how many prepared statements a connection keeps. The
// largest, which insert a hundred rows, take about 100 KB.
const maxStatements = 64

// connector opens connections that keep their statements prepared: to parse a
// query takes about as long as to execute it.
type connector struct{ driver.Connector }

// Connect implements [driver.Connector].
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := opened.(innerConn)
	if !ok {
		opened.Close()
		return nil, errors.New("the driver has changed")
	}
	return &conn{innerConn: inner}, nil
}

// innerConn is what connections of the driver are.
type innerConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// innerStmt is what its statements are.
type innerStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn is a connection that keeps its statements prepared. As connections are,
// it is used by one goroutine at a time.
type conn struct {
	innerConn
	idle []idleStmt // the last was used last
}

// idleStmt is a statement that nobody is using.
type idleStmt struct {
	query string
	stmt  innerStmt
}

// take returns the statement of a query, which is the caller's until it is kept
// again.
func (c *conn) take(ctx context.Context, query string) (innerStmt, error) {
	for i := len(c.idle) - 1; i >= 0; i-- {
		if c.idle[i].query == query {
			stmt := c.idle[i].stmt
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			return stmt, nil
		}
	}
	stmt, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	inner, ok := stmt.(innerStmt)
	if !ok {
		stmt.Close()
		return nil, errors.New("the driver has changed")
	}
	return inner, nil
}

// keep takes a statement back, in place of the one that was used longest ago.
func (c *conn) keep(query string, stmt innerStmt) error {
	c.idle = append(c.idle, idleStmt{query, stmt})
	if len(c.idle) <= maxStatements {
		return nil
	}
	oldest := c.idle[0].stmt
	c.idle = append(c.idle[:0], c.idle[1:]...)
	return oldest.Close()
}

// ExecContext implements [driver.ExecerContext].
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	stmt, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	res, err := stmt.ExecContext(ctx, args)
	if err != nil {
		stmt.Close()
		return nil, err
	}
	return res, c.keep(query, stmt)
}

// QueryContext implements [driver.QueryerContext].
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	stmt, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args)
	if err != nil {
		stmt.Close()
		return nil, err
	}
	return &keptRows{rows, c, query, stmt}, nil
}

// Close implements [driver.Conn].
func (c *conn) Close() error {
	var errs []error
	for _, s := range c.idle {
		errs = append(errs, s.stmt.Close())
	}
	c.idle = nil
	return errors.Join(append(errs, c.innerConn.Close())...)
}

// keptRows are the result of a statement, which is kept when they are closed.
type keptRows struct {
	driver.Rows
	conn  *conn
	query string
	stmt  innerStmt
}

// Close implements [driver.Rows].
func (r *keptRows) Close() error {
	if r.stmt == nil {
		return nil
	}
	stmt := r.stmt
	r.stmt = nil
	if err := r.Rows.Close(); err != nil {
		stmt.Close()
		return err
	}
	return r.conn.keep(r.query, stmt)
}
