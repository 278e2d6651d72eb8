package server

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
)

// Packets that open something (draft-ietf-secsh-filexfer-02 §3).
const (
	sftpOpen    = 3
	sftpOpenDir = 11
)

// inOrder keeps what follows an opening from the sftp library until the
// opening was answered. No honest client sends any of it before, since it does
// not know the handle yet; the library works on both at the same time, and on
// the same memory.
type inOrder struct {
	io.ReadWriteCloser
	ctx context.Context //nolint:containedctx // lives for one session

	in    sftpFrames // of the one goroutine that reads
	asked int        // packets that were read

	mu       sync.Mutex
	out      sftpFrames
	answered int           // packets that were written
	progress chan struct{} // gets a token when answered has grown
}

func newInOrder(ctx context.Context, rwc io.ReadWriteCloser) *inOrder {
	return &inOrder{ReadWriteCloser: rwc, ctx: ctx, progress: make(chan struct{}, 1)}
}

// Read passes on what the client sends. The library asks for one packet at a
// time, so that a packet's end is where a read ends.
func (o *inOrder) Read(p []byte) (int, error) {
	if o.in.between() && (o.in.kind == sftpOpen || o.in.kind == sftpOpenDir) {
		if err := o.awaitAnswers(); err != nil {
			return 0, err
		}
	}
	n, err := o.ReadWriteCloser.Read(p)
	o.asked += o.in.pass(p[:n])
	return n, err
}

func (o *inOrder) awaitAnswers() error {
	for {
		o.mu.Lock()
		answered := o.answered
		o.mu.Unlock()
		if answered >= o.asked { // each request has one answer
			return nil
		}
		select {
		case <-o.progress:
		case <-o.ctx.Done():
			return o.ctx.Err()
		}
	}
}

// Write passes on what the library answers.
func (o *inOrder) Write(p []byte) (int, error) {
	n, err := o.ReadWriteCloser.Write(p)
	o.mu.Lock()
	o.answered += o.out.pass(p) // whether the client gets it or not
	o.mu.Unlock()
	select {
	case o.progress <- struct{}{}:
	default:
	}
	return n, err
}

// sftpFrames finds the ends of packets in a stream.
type sftpFrames struct {
	head []byte // of the packet that comes: its length and kind
	left int64  // bytes that are still to come of it
	kind byte   // of the last packet whose kind was seen
}

func (f *sftpFrames) between() bool { return len(f.head) == 0 }

// pass takes a piece of the stream and counts the packets that end in it.
func (f *sftpFrames) pass(p []byte) (ended int) {
	for len(p) > 0 {
		if len(f.head) < 5 {
			f.head = append(f.head, p[0])
			p = p[1:]
			switch {
			case len(f.head) == 4 && binary.BigEndian.Uint32(f.head) == 0:
				f.head = f.head[:0] // the library ends the session
			case len(f.head) == 5:
				f.kind = f.head[4]
				f.left = int64(binary.BigEndian.Uint32(f.head)) - 1
			}
		} else {
			n := min(int64(len(p)), f.left)
			f.left -= n
			p = p[n:]
		}
		if len(f.head) == 5 && f.left == 0 {
			f.head = f.head[:0]
			ended++
		}
	}
	return ended
}
