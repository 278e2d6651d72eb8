package tui

// reading sees to it that a screen reads one thing after the other, so that an
// old answer never overtakes a newer one.
type reading struct {
	going bool
	stale bool // to be read again when it has been
}

// begin reports whether to read now; else it is read again at the end.
func (r *reading) begin() bool {
	if r.going {
		r.stale = true
		return false
	}
	r.going, r.stale = true, false
	return true
}

// end reports whether to read again.
func (r *reading) end() bool {
	r.going = false
	return r.stale
}
