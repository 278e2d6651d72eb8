// Package shellguard keeps people at a machine's console from reaching the
// shell of its BMC, or the switches of its serial port multiplexer.
//
// Both listen to what is typed, for sequences such as ESC ( ; whoever got that
// far would act as the account by which we are connected, often an administrator. A
// [Filter] sees all that is typed to one machine and drops the byte that would
// complete such a sequence. Nothing is ever held back: an ESC is at the machine
// before anybody knows what follows it, or vi would hang.
//
// The price is that a person cannot type the last key of a sequence right after
// its beginning: not Alt+( , and not ESC and then ( in vi, whatever the time
// between them. BMCs differ in how long they remember an ESC. After any other
// key, ( is an ordinary one.
package shellguard

import "slices"

// Filter is a filter on everything that is typed to one machine, whoever typed
// it. It is not safe for concurrent use.
type Filter struct {
	sequences []Sequence
	lasts     [256]bool // which bytes can be the last of a sequence

	// The bytes that the machine was sent last, the newest at the end.
	// Those that were dropped are none of them.
	sent []byte
	keep int // of how many of them a sequence can begin with
}

// New makes the filter for a machine whose BMC is of that manufacturer, an IANA
// enterprise number. Of one that is not known, such as 0, it knows the
// sequences of the IPMI specification.
func New(manufacturer uint32) *Filter {
	f := &Filter{sequences: Sequences(manufacturer)}
	for _, s := range f.sequences {
		f.lasts[s.bytes[len(s.bytes)-1]] = true
		f.keep = max(f.keep, len(s.bytes)-1)
	}
	f.sent = make([]byte, 0, 2*f.keep)
	return f
}

// Pass returns what of p may go to the machine, and the sequences that p would
// have completed, each once. It neither keeps p nor changes it. Where nothing is
// refused, what is passed is p itself, and nothing is allocated.
//
// All that was passed, taken together, contains no sequence, however it was
// divided into calls.
func (f *Filter) Pass(p []byte) (passed []byte, refused []Sequence) {
	start := 0 // of what is not yet in passed; it is empty until something is refused
	for i, b := range p {
		if f.lasts[b] {
			if s, completed := f.completed(p[start:i], b); completed {
				passed = append(passed, p[start:i]...)
				f.remember(p[start:i])
				start = i + 1
				if !slices.ContainsFunc(refused, func(r Sequence) bool { return r.bytes == s.bytes }) {
					refused = append(refused, s)
				}
			}
		}
	}
	f.remember(p[start:])
	if refused == nil {
		return p, nil
	}
	return append(passed, p[start:]...), refused
}

// completed reports which sequence ends with last, after all that was sent and
// then those bytes.
func (f *Filter) completed(then []byte, last byte) (Sequence, bool) {
	for _, s := range f.sequences {
		n := len(s.bytes) - 1
		if s.bytes[n] == last && f.endsWith(then, s.bytes[:n]) {
			return s, true
		}
	}
	return Sequence{}, false
}

// endsWith reports whether all that was sent and then those bytes end with want.
func (f *Filter) endsWith(then []byte, want string) bool {
	if n := len(want); len(then) >= n {
		return string(then[len(then)-n:]) == want
	}
	rest := len(want) - len(then)
	return string(then) == want[rest:] && len(f.sent) >= rest && string(f.sent[len(f.sent)-rest:]) == want[:rest]
}

// remember notes what the machine was sent.
func (f *Filter) remember(p []byte) {
	if len(p) >= f.keep {
		f.sent = append(f.sent[:0], p[len(p)-f.keep:]...)
		return
	}
	if excess := len(f.sent) + len(p) - f.keep; excess > 0 {
		f.sent = f.sent[:copy(f.sent, f.sent[excess:])]
	}
	f.sent = append(f.sent, p...)
}
