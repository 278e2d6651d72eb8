// Package ipmi talks to a baseboard management controller over the network:
// power, boot device and Serial-over-LAN on one RMCP+ session (IPMI v2.0
// rev. 1.1). The wire format comes from the codecs of
// github.com/bougou/go-ipmi; sessions, retransmission and flow control are
// this package's own.
//
// What a BMC or a forger sends is checked before it is believed: the HMAC
// before anything is decrypted, then sequence numbers, checksums and lengths.
// What does not pass is dropped and counted (see [Stats]).
package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	defaultPort    = "623"
	defaultTimeout = 5 * time.Second

	// idleAfter is when a session that nobody uses is given back. BMCs forget
	// one after 60 s ± 3 s of silence (IPMI v2.0 §6.12.15), and a session that
	// they forgot costs the next command a timeout.
	idleAfter = 45 * time.Second

	maxUsername = 16 // bytes, IPMI v2.0 §13.20
	maxPassword = 20 // bytes, which is the key of RAKP's HMAC; K_g too
)

// Config says which BMC, and who we are to it.
type Config struct {
	// Addr is host:port; a bare host, IPv6 addresses included, means port 623.
	Addr string
	// Username and Password have at most 16 and 20 bytes.
	Username, Password string
	// KG is the BMC's own key of at most 20 bytes. With nil the password
	// serves in its place (IPMI v2.0 §13.33).
	KG []byte
	// CipherSuites are those that the BMC may use, the preferred first; with
	// nil 17 and 3, which protect a session as well as IPMI can. With 0 anyone
	// who reaches the BMC can do everything, and one that is listed beside
	// better ones can be forced upon us by a forged refusal of those.
	CipherSuites []CipherSuite
	// Privilege is that of a session. Any but PrivilegeDefault is asked for as
	// it is: a user who may do less gets no session.
	Privilege Privilege
	// Cartridge, from 1 to 45, says that Addr is the chassis manager of an HPE
	// Moonshot and the machine is this cartridge of it. With 0 Addr is the
	// machine's own BMC.
	Cartridge int
	// Dial connects to Addr; each Read and Write is one datagram. With nil it
	// is UDP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Timeout is how long a silent BMC is waited for; with 0, five seconds.
	Timeout time.Duration
	// InFlight is how many commands the BMC is given at once, from 1 to 32;
	// with 0 they are four, for BMCs have short queues. 64 more may wait.
	InFlight int
	// Gap is the least time from one command to the next; with 0, 5 ms, and
	// none where it is negative. The console's data does not keep it.
	Gap time.Duration
}

// Client is the way to one BMC. It opens a session when one is first needed,
// opens another after that was lost, and gives it back after 45 s without
// use. Its methods may be called concurrently; they return *[Error].
type Client struct {
	cfg     Config
	invalid error // what is wrong with cfg
	stats   counters
	sdrs    sdrCache
	peer    peer
	pace    *pacer

	life context.Context //nolint:containedctx // ends with Close
	kill context.CancelCauseFunc

	mu      sync.Mutex
	current *session
	users   int         // commands and consoles on current
	idle    *time.Timer // gives current back while users is 0
	opening *opening    // the one handshake under way
	terms   terms       // what the last handshake came to
	aside   *session    // of a console that has a UDP port of its own, or nil
	last    lastConsole
}

// opening is a handshake that others wait for.
type opening struct {
	done chan struct{}
	err  error // nil when the waiters shall look for themselves
}

// peer is what a Client knows of its BMC, from one session to the next.
type peer struct {
	commands roundTrip // of commands and session setup
	input    roundTrip // of console input and its acknowledgement
	breaker  breaker
}

// NewClient does no I/O. What Check says of cfg is the first call's error, too.
func NewClient(cfg Config) *Client {
	cfg.Addr = withPort(cfg.Addr)
	if cfg.Dial == nil {
		cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", addr)
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	invalid := cfg.Check()
	if len(cfg.CipherSuites) == 0 {
		cfg.CipherSuites = defaultSuites
	}
	if cfg.InFlight <= 0 { // a negative one is invalid
		cfg.InFlight = defaultInFlight
	}
	if cfg.Gap == 0 {
		cfg.Gap = defaultGap
	}
	c := &Client{
		cfg:     cfg,
		invalid: invalid,
		pace:    newPacer(cfg.InFlight, cfg.Gap),
		terms:   terms{suite: cfg.CipherSuites[0], level: cfg.Privilege.level()},
	}
	c.life, c.kill = context.WithCancelCause(context.Background())
	return c
}

func withPort(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
	}
	if port == "" {
		port = defaultPort
	}
	return net.JoinHostPort(host, port)
}

// Check says what is wrong with a Config before any BMC is asked. Of a name, a
// password and a key its errors are ErrBadCredentials.
func (cfg *Config) Check() error {
	switch {
	case len(cfg.Username) > maxUsername:
		return fmt.Errorf("%w: the user name has %d bytes, IPMI allows %d", ErrBadCredentials, len(cfg.Username), maxUsername)
	case len(cfg.Password) > maxPassword:
		return fmt.Errorf("%w: the password has %d bytes, IPMI allows %d", ErrBadCredentials, len(cfg.Password), maxPassword)
	case len(cfg.KG) > maxPassword:
		return fmt.Errorf("%w: the key K_g has %d bytes, IPMI allows %d", ErrBadCredentials, len(cfg.KG), maxPassword)
	case cfg.Cartridge < 0 || cfg.Cartridge > maxCartridge:
		return fmt.Errorf("a Moonshot chassis has cartridges 1 to %d, and no %d", maxCartridge, cfg.Cartridge)
	case cfg.InFlight < 0 || cfg.InFlight > maxInFlight:
		return fmt.Errorf("a BMC is given 1 to %d commands at once, not %d", maxInFlight, cfg.InFlight)
	}
	if err := cfg.Privilege.check(); err != nil {
		return err
	}
	return checkSuites(cfg.CipherSuites)
}

// Close ends the console, gives the session back to the BMC, and makes every
// other call fail with ErrClosed. It waits for the BMC for a few seconds at
// most, and not at all once ctx is over. It returns nil, the second time too.
func (c *Client) Close(ctx context.Context) error {
	c.kill(ErrClosed)
	c.mu.Lock()
	o := c.opening
	c.mu.Unlock()
	if o != nil {
		<-o.done // at once: its context has ended
	}
	c.mu.Lock()
	sessions := []*session{c.aside, c.current}
	c.aside, c.current = nil, nil
	c.stopIdle()
	c.mu.Unlock()
	for _, s := range sessions {
		if s == nil {
			continue
		}
		if sol := s.console(); sol != nil && sol.end(ErrClosed) {
			_ = sol.deactivate(ctx) // the end of the session does it too, on most BMCs
		}
		s.close(ctx, ErrClosed)
	}
	return nil
}

// fail wraps the error of an operation, once.
func (c *Client) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Addr: c.cfg.Addr, Err: err}
}

// do runs one command. A session that turns out to be dead is torn down; the
// command is run again on a fresh one if doing it twice does no harm.
func (c *Client) do(ctx context.Context, req request, idempotent bool) (reply, error) {
	began := time.Now()
	for again := idempotent; ; again = false {
		s, fresh, err := c.acquire(ctx, began)
		if err != nil {
			return reply{}, err
		}
		patience := c.cfg.Timeout
		if again && !fresh && s.console() == nil {
			patience = c.firstPatience()
		}
		r, err := s.run(ctx, req, patience)
		c.release(s)
		if err != nil && again && !fresh && s.ended() != nil && ctx.Err() == nil && time.Since(began) < c.cfg.Timeout {
			continue
		}
		return r, err
	}
}

// firstPatience is how long an answer is waited for on a session that the BMC
// may have forgotten: it leaves some of the timeout for a fresh one, unless
// the BMC is so slow that it needs all of it.
func (c *Client) firstPatience() time.Duration {
	return max(c.cfg.Timeout*3/5, min(2*c.peer.commands.timeout(0), c.cfg.Timeout))
}

// run is do for a command to the machine. It proves the session dead when the
// BMC says nothing at all while it waits.
func (s *session) run(ctx context.Context, req request, patience time.Duration) (reply, error) {
	heard := s.heard.Load()
	r, err := s.do(ctx, s.toMachine(req), patience)
	if err == nil {
		s.peer.breaker.answered()
	}
	if !errors.Is(err, errSilent) {
		return r, err
	}
	err = s.noAnswer()
	switch {
	case s.heard.Load() == heard:
		if s.end(err) {
			err = s.peer.breaker.failed(err)
		}
	case s.bridge != nil:
		err = fmt.Errorf("%w from the cartridge, though its chassis answers", err)
	}
	return r, err
}

// acquire returns the session, opening one if there is none, for the caller
// to release. fresh reports that it was opened just now. A BMC that stays
// silent from since on is given up after the timeout. While the breaker is
// open no session is opened, and the error is a *PausedError.
func (c *Client) acquire(ctx context.Context, since time.Time) (s *session, fresh bool, err error) {
	if c.invalid != nil {
		return nil, false, c.invalid
	}
	c.mu.Lock()
	for {
		if c.life.Err() != nil {
			c.mu.Unlock()
			return nil, false, ErrClosed
		}
		if s := c.current; s != nil && s.ended() == nil {
			c.users++
			c.stopIdle()
			c.mu.Unlock()
			return s, fresh, nil
		}
		if c.opening == nil {
			break
		}
		o := c.opening
		c.mu.Unlock()
		select {
		case <-o.done:
		case <-ctx.Done():
			return nil, false, contextError(ctx)
		}
		if o.err != nil {
			return nil, false, o.err
		}
		fresh = true
		c.mu.Lock()
	}
	if err := c.peer.breaker.check(); err != nil {
		c.mu.Unlock()
		return nil, false, err
	}
	o := &opening{done: make(chan struct{})}
	c.opening = o
	first := c.terms
	c.mu.Unlock()

	s, t, err := c.open(ctx, c.cfg.Addr, first, since)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.opening = nil
	defer close(o.done)
	if err != nil {
		if ctx.Err() == nil && c.life.Err() == nil { // otherwise it was our own haste
			err = c.peer.breaker.failed(err)
			o.err = err
		}
		return nil, false, err
	}
	c.stopIdle()
	c.terms, c.current, c.users = t, s, 1
	return s, true, nil
}

// open dials and shakes hands.
func (c *Client) open(ctx context.Context, addr string, first terms, since time.Time) (*session, terms, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.life, func() { cancel(ErrClosed) })()

	conn, err := c.cfg.Dial(ctx, addr)
	if err != nil {
		if ctx.Err() != nil {
			return nil, first, contextError(ctx)
		}
		return nil, first, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	s := newSession(conn, c.cfg.Timeout, &c.stats, &c.peer)
	if c.cfg.Cartridge != 0 {
		s.bridge = moonshot(c.cfg.Cartridge)
	}
	t, err := c.handshake(ctx, s, first, since)
	if err != nil {
		s.end(err)
		<-s.readDone
		return nil, first, err
	}
	if err := s.raise(ctx, t.level, c.cfg.Privilege.lowest()); err != nil {
		s.close(ctx, err)
		return nil, first, err
	}
	s.pace = c.pace // nobody else has the session yet
	return s, t, nil
}

// release gives back what acquire gave.
func (c *Client) release(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != s {
		return // closed, or lost and replaced: its users are not counted any more
	}
	c.users--
	if c.users == 0 {
		c.idle = time.AfterFunc(idleAfter, func() { c.giveBack(s) })
	}
}

func (c *Client) stopIdle() {
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
}

// giveBack closes a session that nobody used for a while.
func (c *Client) giveBack(s *session) {
	c.mu.Lock()
	if c.current != s || c.users > 0 {
		c.mu.Unlock()
		return
	}
	c.current = nil
	c.idle = nil
	c.mu.Unlock()
	s.close(c.life, ErrClosed)
}
