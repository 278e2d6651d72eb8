// Package store keeps everything the product remembers in one SQLite file.
//
// All SQL of the product is here, one file for each aggregate. A caller opens
// a transaction with [DB.Read] or [DB.Write] and calls the queries on its [Tx];
// what belongs together is written in one transaction. The package knows no
// rules: who may do what is decided in lab.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3" // registers the driver, too
	"github.com/pressly/goose/v3"

	"provisioner/migrations"
)

var (
	// ErrNotFound says that no row answers the query.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a row with the same unique value is there already.
	ErrExists = errors.New("exists already")
	// ErrInUse says that other rows refer to the one that was to be deleted.
	ErrInUse = errors.New("in use")
	// ErrNewerVersion says that a later release wrote the database.
	ErrNewerVersion = errors.New("the database was written by a newer release of provisioner")
)

// readers bounds the connections that serve [DB.Read] at the same time.
const readers = 4

// DB is an open database. It is safe for concurrent use.
//
// SQLite has one writer at a time. Instead of letting connections fight over
// that lock, all writes of this process queue for the one connection that may
// write, and readers use connections that cannot (query_only).
type DB struct {
	path   string
	writer *sql.DB
	reader *sql.DB
}

// Open opens the database file, creates it where there is none, and brings its
// schema up to date. Several processes may have it open.
//
// It fails with [ErrNewerVersion] where a later release has changed the schema.
func Open(ctx context.Context, path string) (*DB, error) {
	db, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, plain(err))
	}
	return db, nil
}

func open(ctx context.Context, path string) (*DB, error) {
	// SQLite gives its -wal and -shm files the mode of the database itself,
	// which holds passwords of BMCs.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	writer, err := sql.Open("sqlite3", dsn(path, url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	reader, err := sql.Open("sqlite3", dsn(path, url.Values{"_query_only": {"on"}}))
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	reader.SetMaxOpenConns(readers)
	reader.SetMaxIdleConns(readers) // opening one costs more than most queries
	db := &DB{path: path, writer: writer, reader: reader}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func dsn(path string, extra url.Values) string {
	values := url.Values{
		"_journal_mode": {"WAL"},
		"_busy_timeout": {"5000"}, // milliseconds
		"_synchronous":  {"NORMAL"},
		"_foreign_keys": {"on"},

		"_stmt_cache_size": {"128"}, // a connection's: compiling a query costs as much as running it
	}
	for key, value := range extra {
		values[key] = value
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: values.Encode()}).String()
}

// migrate runs the migrations that are missing. A lock file keeps two
// processes that start together from running the same one twice.
func (db *DB) migrate(ctx context.Context) (err error) {
	lock, err := os.OpenFile(filepath.Clean(db.path)+".migrate", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.writer, migrations.FS,
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > target {
		return fmt.Errorf("%w (schema %d, this one knows %d): install that release, or restore a backup",
			ErrNewerVersion, current, target)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Close closes all connections. It waits for running transactions.
func (db *DB) Close() error {
	return errors.Join(db.reader.Close(), db.writer.Close())
}

// Tx is a transaction. It is valid only inside the function it was given to.
type Tx struct {
	tx *sql.Tx
}

// Read runs fn on a consistent snapshot.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	return inTx(ctx, db.reader, fn)
}

// Write runs fn in a transaction that is committed if fn returns nil, and
// undone otherwise. It waits for its turn: fn must not do anything slow.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	return inTx(ctx, db.writer, fn)
}

func inTx(ctx context.Context, pool *sql.DB, fn func(*Tx) error) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return plain(err)
	}
	if err := fn(&Tx{tx}); err != nil {
		// What fn said is the cause; that undoing failed as well adds nothing.
		_ = tx.Rollback()
		return plain(err)
	}
	return plain(tx.Commit())
}

// Watch returns a counter that changes when any connection of any process has
// changed the database (SQLite's data_version). It needs no transaction and
// reads no row, so that it can be asked often. The connection is kept until
// the returned function has closed it.
func (db *DB) Watch(ctx context.Context) (version func(context.Context) (int64, error), closeConn func() error, err error) {
	conn, err := db.reader.Conn(ctx)
	if err != nil {
		return nil, nil, plain(err)
	}
	version = func(ctx context.Context) (v int64, err error) {
		err = conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&v)
		return v, plain(err)
	}
	return version, conn.Close, nil
}

// plain turns errors of the driver into this package's, and into words that
// say what to do.
func plain(err error) error {
	var driverError sqlite3.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: give the user that runs provisioner write access to the folder", err)
	case !errors.As(err, &driverError):
		return err
	}
	switch driverError.ExtendedCode {
	case sqlite3.ErrConstraintUnique, sqlite3.ErrConstraintPrimaryKey:
		return fmt.Errorf("%w (%s)", ErrExists, driverError.Error())
	case sqlite3.ErrConstraintForeignKey:
		return fmt.Errorf("%w (%s)", ErrInUse, driverError.Error())
	}
	switch driverError.Code {
	case sqlite3.ErrFull:
		return fmt.Errorf("%w: free space on the disk of the data folder", err)
	case sqlite3.ErrNotADB, sqlite3.ErrCorrupt:
		return fmt.Errorf("%w: this is no intact database; restore a backup", err)
	case sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm:
		return fmt.Errorf("%w: give the user that runs provisioner write access to the folder", err)
	case sqlite3.ErrBusy:
		return fmt.Errorf("%w: another program holds the database", err)
	}
	return err
}

// millis is how a time is kept; zero for no time.
func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// optionalTime reads and writes a time that may be null; the zero time is null.
type optionalTime struct{ *time.Time }

func (o optionalTime) Scan(value any) error {
	var ms sql.NullInt64
	if err := ms.Scan(value); err != nil {
		return err
	}
	*o.Time = time.Time{}
	if ms.Valid {
		*o.Time = fromMillis(ms.Int64)
	}
	return nil
}

// optionalMillis is the form in which a time is written that may be null; the
// zero time is.
func optionalMillis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: millis(t), Valid: !t.IsZero()}
}

// moment reads a time that is never null.
type moment struct{ *time.Time }

func (m moment) Scan(value any) error {
	ms, ok := value.(int64)
	if !ok {
		return fmt.Errorf("time is kept as %T, not as an integer", value)
	}
	*m.Time = fromMillis(ms)
	return nil
}

// optionalID is the form in which an id is written that may be null; 0 is null.
func optionalID(id int64) sql.NullInt64 { return sql.NullInt64{Int64: id, Valid: id != 0} }

// insert runs an INSERT and returns the id of its row.
func (tx *Tx) insert(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := tx.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, plain(err)
	}
	return result.LastInsertId()
}

// change runs an UPDATE or DELETE and fails with [ErrNotFound] where it meets no row.
func (tx *Tx) change(ctx context.Context, query string, args ...any) error {
	result, err := tx.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return plain(err)
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// row is what a query's result is scanned from, one or many.
type row interface{ Scan(dest ...any) error }

// one runs a query for a single row.
func one[T any](ctx context.Context, tx *Tx, scan func(row) (T, error), query string, args ...any) (T, error) {
	value, err := scan(tx.tx.QueryRowContext(ctx, query, args...))
	return value, plain(err)
}

// all runs a query for any number of rows.
func all[T any](ctx context.Context, tx *Tx, scan func(row) (T, error), query string, args ...any) (values []T, err error) {
	rows, err := tx.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, plain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		value, err := scan(rows)
		if err != nil {
			return nil, plain(err)
		}
		values = append(values, value)
	}
	return values, plain(rows.Err())
}
