package boot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func newTransfer(conn datagrams, terms terms, content []byte) *transfer {
	return &transfer{
		conn: conn, terms: terms, counters: &tftpCounters{}, answered: func() {},
		content: func() (io.Reader, func()) { return bytes.NewReader(content), func() {} },
	}
}

// pattern is n bytes of which no two blocks are the same.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*i>>7 + i>>16)
	}
	return p
}

func TestTransferOfEverySize(t *testing.T) {
	for _, window := range []int{1, 3, 64} {
		for _, size := range []int{0, 1, 511, 512, 513, 1535, 1536, 1537, 64 * 512, 64*512 + 1} {
			r := &receiver{window: window, block: 512}
			content := pattern(size)
			tr := newTransfer(newWire(r.take), terms{block: 512, window: window, oack: []byte{0, 6}}, content)
			if err := tr.run(t.Context()); err != nil || !bytes.Equal(r.got, content) || !r.ended || tr.sent != int64(size) {
				t.Errorf("window %d: %d of %d bytes (counted %d), ended %v, %v", window, len(r.got), size, tr.sent, r.ended, err)
			}
		}
	}
}

func TestTransferWrapsBlockNumbers(t *testing.T) {
	for _, window := range []int{1, 16} {
		r := &receiver{window: window, block: 8}
		content := pattern(8*(2*65536+100) + 3)
		if err := newTransfer(newWire(r.take), terms{block: 8, window: window}, content).run(t.Context()); err != nil || !bytes.Equal(r.got, content) {
			t.Errorf("window %d: %d of %d bytes, %v", window, len(r.got), len(content), err)
		}
	}
}

func TestTransferRepeatsWhatIsLost(t *testing.T) {
	for _, c := range []struct {
		window int
		lost   float64
	}{{1, 0.02}, {1, 0.2}, {16, 0.02}, {16, 0.2}, {64, 0.02}} {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{window: c.window, block: 512}
			content := pattern(300*512 + 9)
			w := newWire(nil)
			w.delay = time.Millisecond
			random := rand.New(rand.NewPCG(1, 1))
			lose := func() bool { return random.Float64() < c.lost }
			w.answer = func(packet []byte) (answers [][]byte) {
				if lose() {
					return nil
				}
				for _, a := range r.take(packet) {
					if !lose() {
						answers = append(answers, a, a) // and all that arrives is doubled
					}
				}
				return answers
			}
			tr := newTransfer(w, terms{block: 512, window: c.window}, content)
			began := time.Now()
			err := tr.run(t.Context())
			if err != nil || !bytes.Equal(r.got, content) {
				t.Fatalf("window %d, %v lost: %d of %d bytes, %v", c.window, c.lost, len(r.got), len(content), err)
			}
			if tr.counters.retransmissions.Load() == 0 {
				t.Error("no retransmission is counted")
			}
			t.Logf("window %d, %v lost: %v, %d datagrams", c.window, c.lost, time.Since(began), w.sent)
		})
	}
}

// RFC 1123 §4.2.3.1: each doubled ACK would double the rest of the transfer.
func TestTransferIgnoresDoubledAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, window := range []int{1, 8} {
			r := &receiver{window: window, block: 512}
			w := newWire(nil)
			w.delay = 5 * time.Millisecond
			w.answer = func(packet []byte) (answers [][]byte) {
				for _, a := range r.take(packet) {
					answers = append(answers, a, a, a)
				}
				return answers
			}
			content := pattern(80 * 512)
			tr := newTransfer(w, terms{block: 512, window: window}, content)
			if err := tr.run(t.Context()); err != nil || w.sent != 81 {
				t.Errorf("window %d: %d datagrams for 81 blocks, %v", window, w.sent, err)
			}
		}
	})
}

func TestTransferTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		terms      terms
		answers    int // before the client is silent
		want       []time.Duration
		wantSilent time.Duration
	}{
		"never answered": {terms{block: 512, window: 1}, 0, []time.Duration{time.Second, 3 * time.Second}, 5 * time.Second},
		"measured": {terms{block: 512, window: 1}, 20,
			[]time.Duration{50 * time.Millisecond, 150 * time.Millisecond, 350 * time.Millisecond}, 20 * time.Second},
		"the client's wish": {terms{block: 512, window: 1, timeout: 3 * time.Second}, 20, []time.Duration{3 * time.Second, 6 * time.Second}, 20 * time.Second},
		"a long wish":       {terms{block: 512, window: 1, timeout: 10 * time.Second}, 20, []time.Duration{10 * time.Second, 20 * time.Second}, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{window: 1, block: 512}
				w := newWire(nil)
				w.delay = time.Millisecond
				var silent time.Time
				var repeats []time.Duration
				w.answer = func(packet []byte) [][]byte {
					if r.next < c.answers {
						return r.take(packet)
					}
					if silent.IsZero() {
						silent = time.Now()
					} else {
						repeats = append(repeats, time.Since(silent))
					}
					return nil
				}
				err := newTransfer(w, c.terms, pattern(100*512)).run(t.Context())
				if took := time.Since(silent); !errors.Is(err, errSilent) || took < c.wantSilent || took > c.wantSilent+time.Second {
					t.Errorf("%v after %v, want after %v", err, took, c.wantSilent)
				}
				for i, want := range c.want {
					if i >= len(repeats) || repeats[i] < want || repeats[i] > want*5/4 {
						t.Fatalf("repeated after %v, want after %v", repeats, c.want)
					}
				}
			})
		})
	}
}

func TestTransferEndsWithTheClientsError(t *testing.T) {
	tr := newTransfer(newWire(func([]byte) [][]byte { return [][]byte{[]byte("\x00\x05\x00\x08enough\x00")} }), terms{block: 512, window: 1, oack: []byte{0, 6}}, nil)
	var client *clientError
	if err := tr.run(t.Context()); !errors.As(err, &client) || client.code != codeNegotiation || client.text != "enough" {
		t.Errorf("got %v", err)
	}
	if _, tell := forClient(&clientError{}); tell {
		t.Error("an error is answered with one")
	}
}

func TestTransferEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(300*time.Millisecond, func() { cancel(errStopping) })
		began := time.Now()
		err := newTransfer(newWire(func([]byte) [][]byte { return nil }), terms{block: 512, window: 1}, nil).run(ctx)
		if !errors.Is(err, errStopping) || time.Since(began) != 300*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A client may send anything: the transfer ends, and what it has sent as blocks
// is the file's.
func FuzzTransfer(f *testing.F) {
	f.Add([]byte("\x04\x00\x04\x00\x01"), 1)
	f.Add([]byte("\x04\x00\x04\x00\x03\x04\x00\x04\x00\x00\x04\x00\x04\x00\x02"), 4)
	f.Add([]byte("\x09\x00\x05\x00\x08enough\x02\x00\x03\x00"), 64)
	f.Fuzz(func(t *testing.T, script []byte, window int) {
		window = 1 + (window&0xffff)%maxWindow
		synctest.Test(t, func(t *testing.T) {
			content := pattern(200 * 8)
			w := newWire(func(packet []byte) [][]byte {
				if opcode(packet) == opData {
					number := int(binary.BigEndian.Uint16(packet[2:]))
					at := (number - 1) * 8
					if at < 0 || at > len(content) || !bytes.Equal(packet[headerSize:], content[at:min(at+8, len(content))]) {
						t.Errorf("block %d is %q", number, packet[headerSize:])
					}
				}
				if len(script) == 0 {
					return nil
				}
				n := min(int(script[0]), len(script)-1)
				answer := script[1 : 1+n]
				script = script[1+n:]
				return [][]byte{answer}
			})
			w.delay = time.Millisecond
			began := time.Now()
			tr := newTransfer(w, terms{block: 8, window: window, oack: []byte{0, 6}}, content)
			err := tr.run(t.Context())
			if err == nil && tr.sent != int64(len(content)) {
				t.Errorf("complete with %d of %d bytes", tr.sent, len(content))
			}
			if took := time.Since(began); took > time.Duration(202)*(patience+mostTimeout) {
				t.Errorf("took %v", took)
			}
		})
	})
}

// loopWire acknowledges each window at once.
type loopWire struct{ last [4]byte }

func (w *loopWire) room() int                       { return 1472 }
func (w *loopWire) lockstep()                       {}
func (w *loopWire) SetReadDeadline(time.Time) error { return nil }
func (w *loopWire) send(packets []byte, size int) error {
	at := 0
	if size > 0 {
		at = (len(packets) - 1) / size * size
	}
	copy(w.last[2:], packets[at+2:at+4])
	return nil
}

func (w *loopWire) receive(packet []byte) (int, error) {
	w.last[1] = opAck
	return copy(packet, w.last[:]), nil
}

// zeros are as many bytes.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(len(p), z.left)
	if z.left -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func sendBlocks(window, blocks int) error {
	tr := newTransfer(&loopWire{}, terms{block: 1428, window: window}, nil)
	tr.content = func() (io.Reader, func()) { return &zeros{blocks * 1428}, func() {} }
	return tr.run(context.Background())
}

func TestTransferAllocatesNothingPerBlock(t *testing.T) {
	for _, window := range []int{1, 16} {
		few := testing.AllocsPerRun(3, func() { _ = sendBlocks(window, 10) })
		many := testing.AllocsPerRun(3, func() { _ = sendBlocks(window, 5010) })
		if many > few+1 {
			t.Errorf("window %d: %v allocations for 10 blocks, %v for 5010", window, few, many)
		}
	}
}

// BenchmarkBlock is the cost of a block without the kernel's part.
func BenchmarkBlock(b *testing.B) {
	for name, window := range map[string]int{"lockstep": 1, "window of 16": 16} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(1428)
			if err := sendBlocks(window, b.N); err != nil {
				b.Fatal(err)
			}
		})
	}
}
