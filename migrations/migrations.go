// Package migrations holds the schema of the database as numbered SQL files.
//
// A file that has been released is never changed: a change of the schema is a new file.
package migrations

import "embed"

// FS holds the migrations in the form that goose reads.
//
//go:embed *.sql
var FS embed.FS
