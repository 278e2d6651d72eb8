package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

const (
	// farewell is how long a closing session waits for the BMC to agree.
	farewell = 2 * time.Second

	sequences = 64 // of IPMI requests: rqSeq has six bits
)

// errSilent: the BMC did not answer. noAnswer says it to people.
var errSilent = errors.New("silence")

// session is one RMCP+ session and the socket under it. One goroutine reads,
// from newSession until the end of the session; whoever sends does so itself.
type session struct {
	conn     net.Conn
	stats    *counters
	timeout  time.Duration     // how long a silent BMC is waited for
	bridge   *bridge           // to the machine; nil: the BMC is its own
	hello    chan helloMessage // setup messages, to the handshake
	peer     *peer             // what earlier sessions have learned of the BMC
	pace     *pacer            // of commands; nil during session setup
	done     chan struct{}     // closed by end
	readDone chan struct{}

	consoleID uint32               // our session ID, on what the BMC sends
	bmcID     uint32               // the BMC's, on what we send
	keys      atomic.Pointer[keys] // nil until the handshake is through
	heard     atomic.Uint64        // authentic packets received
	answered  atomic.Int64         // the last response to a command, in nanoseconds since 1970
	rubbish   atomic.Uint64        // packets received that no BMC of ours can have sent

	sendMu sync.Mutex
	outSeq uint32

	window window // of the reader alone

	mu       sync.Mutex
	calls    [sequences]*call
	nextCall uint8
	sol      *SOL // gets SOL payloads; nil without a console
	trouble  syscall.Errno
	err      error // why it ended
}

// call is a command that awaits its response.
type call struct {
	key     responseKey
	bridged bool
	reply   chan reply // one place: later duplicates are dropped
}

// newSession starts the reader of conn. The caller must end the session.
func newSession(conn net.Conn, timeout time.Duration, stats *counters, peer *peer) *session {
	s := &session{
		conn:     conn,
		stats:    stats,
		timeout:  timeout,
		hello:    make(chan helloMessage, 4),
		peer:     peer,
		done:     make(chan struct{}),
		readDone: make(chan struct{}),
	}
	go s.read() // until end closes conn
	return s
}

// end closes the session on this side, without a word to the BMC. Commands in
// flight and the console end with err. Only the first call counts, and returns
// true.
func (s *session) end(err error) bool {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return false
	}
	s.err = err
	sol := s.sol
	s.sol = nil
	close(s.done)
	s.mu.Unlock()

	_ = s.conn.Close()
	if sol != nil {
		sol.end(err)
	}
	return true
}

// ended returns why the session ended, nil while it lasts.
func (s *session) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// console returns the SOL that runs on the session, or nil.
func (s *session) console() *SOL {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sol
}

// unasked returns how long ago the BMC answered a command last.
func (s *session) unasked() time.Duration { return time.Since(time.Unix(0, s.answered.Load())) }

// close tells the BMC that the session is over (IPMI v2.0 §22.19), so that it
// keeps no slot for it, and ends it with err. It waits for the BMC's consent
// for two seconds at most; with ctx over, it tells and does not wait.
func (s *session) close(ctx context.Context, err error) {
	_, _ = s.do(ctx, &app.CloseSessionRequest{SessionID: s.bmcID}, min(farewell, s.timeout))
	s.end(err)
	<-s.readDone
}

// read receives until the socket is closed or broken.
func (s *session) read() {
	defer close(s.readDone)
	buf := make([]byte, maxDatagram)
	for {
		n, err := s.conn.Read(buf)
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			s.note(errno) // an ICMP message: anyone can send one
			continue
		}
		if err != nil {
			s.end(fmt.Errorf("%w: %w", ErrNoAnswer, err))
			return
		}
		s.receive(buf[:n])
	}
}

// receive sorts one datagram of the network. Whatever is wrong with it, it is
// dropped and counted.
func (s *session) receive(pkt []byte) {
	s.stats.received.Add(1)
	err := s.sort(pkt)
	switch {
	case errors.Is(err, errMalformed):
		s.rubbish.Add(1)
		s.stats.malformed.Add(1)
	case errors.Is(err, errForged):
		s.rubbish.Add(1)
		s.stats.forged.Add(1)
	case errors.Is(err, errReplayed):
		s.stats.replayed.Add(1)
	case errors.Is(err, errUnexpected):
		s.stats.unexpected.Add(1)
	}
}

var errUnexpected = errors.New("not asked for")

func (s *session) sort(pkt []byte) error {
	h, payload, err := parseHeader(pkt)
	if err != nil {
		return err
	}
	k := s.keys.Load()
	if k == nil {
		return s.receiveHello(h, payload)
	}
	if h.session != s.consoleID {
		return errUnexpected // a late answer of the handshake, or not ours
	}
	plain, err := k.open(pkt, h, payload)
	if err != nil {
		return err
	}
	if !s.window.accept(h.seq) {
		return errReplayed
	}
	s.heard.Add(1)
	switch h.payload {
	case types.PayloadTypeIPMI:
		s.answered.Store(time.Now().UnixNano())
		return s.receiveResponse(h.seq, plain)
	case types.PayloadTypeSOL:
		return s.receiveSOL(h.seq, plain)
	}
	return errUnexpected
}

func (s *session) receiveHello(h header, payload []byte) error {
	if h.session != 0 || h.flags&protected != 0 {
		return errUnexpected
	}
	select {
	case s.hello <- helloMessage{h.payload, append([]byte(nil), payload...)}:
		return nil
	default:
		return errUnexpected
	}
}

func (s *session) receiveResponse(seq uint32, plain []byte) error {
	key, r, err := parseResponse(plain)
	if err != nil {
		return err
	}
	r.seq = seq
	s.mu.Lock()
	c := s.calls[key.seq]
	s.mu.Unlock()
	if c == nil {
		return errUnexpected
	}
	if msg, envelope := unwrap(key, r); c.bridged && envelope {
		switch {
		case r.code != uint8(types.CodeOK):
			key, r.undelivered = c.key, true
		case len(msg) > 0:
			return s.receiveResponse(seq, msg) // ends: it is shorter
		default:
			return nil // it is on its way
		}
	}
	if c.key != key {
		return errUnexpected
	}
	select {
	case c.reply <- r:
		return nil
	default:
		return errUnexpected
	}
}

func (s *session) receiveSOL(seq uint32, plain []byte) error {
	sol := s.console()
	if sol == nil {
		return errUnexpected
	}
	return sol.receive(seq, plain)
}

// send seals and sends one payload. An error of the network is only noted:
// what was not delivered is sent again like what was lost.
func (s *session) send(payload types.PayloadType, plain []byte) {
	k := s.keys.Load()
	if k == nil {
		return
	}
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	s.outSeq++
	if s.outSeq == 0 {
		s.outSeq = 1 // 0 is for packets outside of a session
	}
	pkt, err := k.seal(payload, s.bmcID, s.outSeq, plain)
	if err != nil {
		return // cannot be: the keys have been used before
	}
	s.write(pkt)
}

// sendHello sends one setup message, which no session protects.
func (s *session) sendHello(payload types.PayloadType, msg []byte) {
	s.write(protocol.BuildRMCPPlusPacket(uint8(payload), 0, 0, 0, msg))
}

func (s *session) write(pkt []byte) {
	s.stats.sent.Add(1)
	_, err := s.conn.Write(pkt)
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		s.note(errno)
	}
}

// note remembers what the network said, for the error that may follow.
func (s *session) note(errno syscall.Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = errno
}

// noAnswer says that the BMC was silent for as long as we wait.
func (s *session) noAnswer() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.rubbish.Load(); n > 0 {
		return fmt.Errorf("%w in %v, only %d packets that make no sense", ErrNoAnswer, s.timeout, n)
	}
	if s.trouble != 0 {
		return fmt.Errorf("%w in %v (%w)", ErrNoAnswer, s.timeout, s.trouble)
	}
	return fmt.Errorf("%w in %v", ErrNoAnswer, s.timeout)
}

// do sends a command and waits for its response, sending it again when the
// BMC takes much longer than it usually does, until patience is over:
// errSilent. A busy BMC (completion code C0h) is asked again in the same way.
// The first packet leaves even when ctx is over already.
//
// The command is the BMC's own, unless toMachine has made it the machine's.
func (s *session) do(ctx context.Context, req request, patience time.Duration) (reply, error) {
	if err := s.pace.enter(ctx, s); err != nil {
		return reply{}, err
	}
	defer s.pace.leave()
	c, forget := s.expect(req)
	defer forget()
	msg := packRequest(req, c.key.seq)

	var busy *reply
	deadline := time.Now().Add(patience)
	for ex := s.peer.commands.exchange(leastRetry(req.Command())); ; {
		if ex.sent > 0 {
			s.stats.retransmitted.Add(1)
		}
		wait := ex.again()
		s.send(types.PayloadTypeIPMI, msg)
		timer := time.NewTimer(min(wait, time.Until(deadline)))
		for again := false; !again; {
			select {
			case r := <-c.reply:
				ex.answered()
				if r.code == uint8(types.CodeNodeBusy) {
					busy = &r
					continue
				}
				timer.Stop()
				return r.delivered()
			case <-timer.C:
				again = true
			case <-s.done:
				timer.Stop()
				return reply{}, s.ended()
			case <-ctx.Done():
				timer.Stop()
				return reply{}, contextError(ctx)
			}
		}
		if !time.Now().Before(deadline) {
			break
		}
	}
	if busy != nil {
		return busy.delivered()
	}
	return reply{}, errSilent
}

// delivered turns the refusal of an envelope into an error.
func (r reply) delivered() (reply, error) {
	if r.undelivered {
		return reply{}, undelivered(r.code)
	}
	return r, nil
}

// toMachine addresses a request to the machine, where that is not what the
// session's BMC is of.
func (s *session) toMachine(req request) request {
	if s.bridge == nil {
		return req
	}
	return bridged{req, s.bridge}
}

// expect takes a request sequence number for a command, until forget.
func (s *session) expect(req request) (c *call, forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.calls[s.nextCall] != nil { // ends: there are more numbers than commands in flight, see Config.Check
		s.nextCall = (s.nextCall + 1) % sequences
	}
	seq := s.nextCall
	s.nextCall = (s.nextCall + 1) % sequences
	_, isBridged := req.(bridged)
	c = &call{key: keyOf(req.Command(), seq), bridged: isBridged, reply: make(chan reply, 1)}
	s.calls[seq] = c
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls[seq] = nil
	}
}
