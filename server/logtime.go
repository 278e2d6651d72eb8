package server

import (
	"fmt"
	"time"

	"provisioner/lab"
)

// parseTime is [lab.ParseTime] of what a person wrote for a flag.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	at, err := lab.ParseTime(text, now)
	if err != nil {
		return at, &lab.Error{Code: lab.Invalid, Message: fmt.Sprintf("%s %s: %v", flag, printable(text), err), Err: err}
	}
	return at, nil
}
