package ipmi

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

// doubtLeast and doubtMost bound how long a better answer is waited for after
// a refusal in session setup, see conversation.ask.
const (
	doubtLeast = 50 * time.Millisecond
	doubtMost  = time.Second
)

// conversation is the setup of one session, in which each message has one
// answer. since is when the BMC was last heard, or first asked.
type conversation struct {
	s         *session
	consoleID uint32
	since     *time.Time
}

// ask sends a setup message until an answer to it comes that accept takes: the
// same bytes each time, so that the BMC can tell. Messages that answer
// something else are ignored.
//
// An answer with a status other than 00h, which is a *statusError, or one that
// accept has an error for, is not the last word: nothing protects it, and
// whoever can guess or see our tag can send it. It counts when nothing better
// comes in the time that the BMC usually takes.
func (t conversation) ask(ctx context.Context, payload types.PayloadType, msg []byte, accept func(body []byte) error) error {
	s := t.s
	answer := payload + 1 // IPMI v2.0 Table 13-16
	var refusal error     // the first one
	for ex := s.peer.commands.exchange(retryOrder); ; {
		left := time.Until(t.since.Add(s.timeout))
		if left <= 0 {
			return errSilent
		}
		if ex.sent > 0 {
			s.stats.retransmitted.Add(1)
		}
		wait := ex.again()
		s.sendHello(payload, msg)
		timer := time.NewTimer(min(wait, left))
		for again := false; !again; {
			select {
			case m := <-s.hello:
				if m.payload != answer || !t.ours(m.body, msg[0]) {
					s.stats.unexpected.Add(1)
					continue
				}
				err := accepted(m, accept)
				if err == nil {
					timer.Stop()
					ex.answered()
					*t.since = time.Now()
					return nil
				}
				if refusal == nil {
					refusal = err
					timer.Reset(min(max(s.peer.commands.timeout(0), doubtLeast), doubtMost))
				}
			case <-timer.C:
				if refusal != nil {
					*t.since = time.Now()
					return refusal
				}
				again = true
			case <-s.done:
				timer.Stop()
				return s.ended()
			case <-ctx.Done():
				timer.Stop()
				return contextError(ctx)
			}
		}
	}
}

// accepted returns why a message is no answer to go on with.
func accepted(m helloMessage, accept func(body []byte) error) error {
	if status := types.RmcpStatusCode(m.body[1]); status != types.RmcpStatusCodeNoErrors {
		return &statusError{m.payload, status}
	}
	return accept(m.body)
}

// ours reports whether a setup message answers the one with this tag in this
// session. Of a refusal not all BMCs send more than tag and status (OpenIPMI's
// does not), or fill in the session.
func (t conversation) ours(body []byte, tag uint8) bool {
	if len(body) < 2 || body[0] != tag {
		return false
	}
	refused := types.RmcpStatusCode(body[1]) != types.RmcpStatusCodeNoErrors
	if len(body) < 8 {
		return refused
	}
	id := binary.LittleEndian.Uint32(body[4:8])
	return id == t.consoleID || id == 0 && refused
}
