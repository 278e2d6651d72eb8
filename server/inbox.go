package server

import (
	"errors"
	"io"
	"sync"
)

// inboxSize is how many bytes of its standard input a client may send before a
// command has read them.
const inboxSize = 256 << 10

var (
	errHungUp   = errors.New("the client has gone")
	errTooEager = errors.New("more of standard input came than was asked for")
)

// inbox is the standard input of a command that comes over a connection on
// which other things come, too: who puts something into it never waits. It is
// safe for one reader and one writer.
type inbox struct {
	taken func(n int) // n bytes more may be sent

	mu     sync.Mutex
	bytes  []byte
	read   int   // bytes that were read and that taken was not told of yet
	ended  error // what Read returns when nothing is left; nil: more may come
	filled chan struct{}
}

func newInbox(taken func(n int)) *inbox {
	return &inbox{taken: taken, filled: make(chan struct{}, 1)}
}

// put appends what came. errTooEager: the sender sends more than it may.
func (i *inbox) put(p []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case len(i.bytes)+i.read+len(p) > inboxSize:
		return errTooEager
	case i.ended == nil:
		i.bytes = append(i.bytes, p...)
		i.wake()
	}
	return nil
}

// end says that nothing more comes, and why; nil: it was all.
func (i *inbox) end(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended == nil {
		i.ended = err
		if err == nil {
			i.ended = io.EOF
		}
	}
	i.wake()
}

func (i *inbox) wake() {
	select {
	case i.filled <- struct{}{}:
	default:
	}
}

// Read blocks until something has come, or nothing more comes.
func (i *inbox) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, more, err := i.take(p)
		if more > 0 {
			i.taken(more)
		}
		if n > 0 || err != nil {
			return n, err
		}
		<-i.filled
	}
}

// take moves bytes to p. more is how many bytes more may be sent, where it is
// time to say so.
func (i *inbox) take(p []byte) (n, more int, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	n = copy(p, i.bytes)
	i.bytes = i.bytes[n:]
	i.read += n
	if len(i.bytes) == 0 {
		i.bytes, err = nil, i.ended
		if n > 0 {
			err = nil
		}
	}
	if i.ended == nil && i.read >= inboxSize/2 {
		more, i.read = i.read, 0
	}
	if i.ended != nil { // for the next Read
		i.wake()
	}
	return n, more, err
}
