package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/rmcpplus"
	"github.com/bougou/go-ipmi/pkg/types"
)

// helloMessage is a message of session setup, as it came.
type helloMessage struct {
	payload types.PayloadType
	body    []byte
}

// terms are what a session is opened with.
type terms struct {
	suite CipherSuite
	level types.PrivilegeLevel
}

// restarts is how often a handshake is begun anew because the BMC lost its
// thread: a doubled RAKP 1 makes some BMCs forget the one that we go by.
const restarts = 3

// handshake sets up an RMCP+ session and returns it ready for commands. It
// begins with the terms that worked last, goes on to the next cipher suite
// when the BMC refuses one and, unless the level was chosen by an admin, from
// Administrator to Operator when it refuses that, and returns the terms that
// worked.
//
// A BMC that has been silent since the given time for as long as the timeout
// is given up; each of its answers renews our patience.
func (c *Client) handshake(ctx context.Context, s *session, first terms, since time.Time) (terms, error) {
	t := first
	refused := map[CipherSuite]bool{}
	for begun := 0; ; {
		err := s.greet(ctx, &c.cfg, t, &since)
		var st *statusError
		switch {
		case err == nil:
			return t, nil
		case errors.Is(err, errSilent):
			return t, s.noAnswer()
		case !errors.As(err, &st):
			return t, err
		case st.mixedUp() && begun < restarts:
			begun++
		case st.suite():
			refused[t.suite] = true
			next, ok := nextSuite(c.cfg.CipherSuites, refused)
			if !ok {
				return t, s.noCommonSuite(ctx, c.cfg.CipherSuites, err)
			}
			t.suite = next
		case st.privilege() && c.cfg.Privilege == PrivilegeDefault && t.level > types.PrivilegeLevelOperator:
			t.level = types.PrivilegeLevelOperator
		case st.privilege():
			return t, fmt.Errorf("the user may not act as %v: %w", Privilege(t.level), err)
		default:
			return t, err
		}
	}
}

// errWrongPassword: RAKP 2 is not of somebody who knows our password.
var errWrongPassword = fmt.Errorf("%w: unknown user name or wrong password", ErrBadCredentials)

// greet runs one handshake: Open Session, RAKP 1 to 4 (IPMI v2.0 §13.17 to
// §13.24), keys.
func (s *session) greet(ctx context.Context, cfg *Config, t terms, since *time.Time) error {
	alg, err := t.suite.algorithms()
	if err != nil {
		return err
	}
	auth := alg.auth
	consoleID := binary.LittleEndian.Uint32(crypto.RandomBytes(4)) | 1 // 0 is no session
	tag := crypto.RandomBytes(1)[0]
	talk := conversation{s: s, consoleID: consoleID, since: since}

	open := rmcpplus.OpenSessionRequest{
		MessageTag: tag, RequestedMaximumPrivilegeLevel: t.level, RemoteConsoleSessionID: consoleID,
	}
	open.AuthenticationPayload, open.IntegrityPayload, open.ConfidentialityPayload =
		rmcpplus.NewAlgorithmPayloads(auth, alg.integrity, alg.crypt)
	var opened rmcpplus.OpenSessionResponse
	err = talk.ask(ctx, types.PayloadTypeRmcpOpenSessionRequest, open.Pack(), func(body []byte) error {
		opened = rmcpplus.OpenSessionResponse{}
		if err := opened.Unpack(body); err != nil {
			return fmt.Errorf("%w in open session: %w", ErrProtocol, err)
		}
		if chosen := (algorithms{types.AuthAlg(opened.AuthAlg), types.IntegrityAlg(opened.IntegrityAlg), types.CryptAlg(opened.CryptAlg)}); chosen != alg {
			return fmt.Errorf("%w: it chose other algorithms than those of cipher suite %d", ErrProtocol, t.suite)
		}
		return nil
	})
	if err != nil {
		return err
	}
	bmcID := opened.ManagedSystemSessionID

	rakp1 := rmcpplus.RAKPMessage1{
		MessageTag:                     tag + 1,
		ManagedSystemSessionID:         bmcID,
		RemoteConsoleRandomNumber:      [16]byte(crypto.RandomBytes(16)),
		NameOnlyLookup:                 true, // the user's own limit decides, not a match of name and level
		RequestedMaximumPrivilegeLevel: t.level,
		UsernameLength:                 uint8(len(cfg.Username)),
		Username:                       []byte(cfg.Username),
	}
	kuid := crypto.PadPassword20([]byte(cfg.Password))
	role := rakp1.Role()
	rakp2 := rmcpplus.RAKPMessage2{AuthAlg: auth}
	err = talk.ask(ctx, types.PayloadTypeRAKPMessage1, rakp1.Pack(), func(body []byte) error {
		rakp2 = rmcpplus.RAKPMessage2{AuthAlg: auth}
		if err := rakp2.Unpack(body); err != nil {
			return fmt.Errorf("%w in RAKP 2: %w", ErrProtocol, err)
		}
		want, err := crypto.RAKP2AuthCode(auth, consoleID, bmcID, rakp1.RemoteConsoleRandomNumber[:],
			rakp2.ManagedSystemRandomNumber[:], rakp2.ManagedSystemGUID[:], role, cfg.Username, kuid)
		if err != nil {
			return err
		}
		if !crypto.Equal(want, rakp2.KeyExchangeAuthenticationCode) {
			return errWrongPassword
		}
		return nil
	})
	rakp3 := rmcpplus.RAKPMessage3{MessageTag: tag + 2, ManagedSystemSessionID: bmcID}
	if errors.Is(err, errWrongPassword) {
		// Say so, that the BMC gives the session's slot back at once.
		rakp3.RmcpStatusCode = types.RmcpStatusCodeInvalidIntegrityCheckValue
		s.sendHello(types.PayloadTypeRAKPMessage3, rakp3.Pack())
	}
	if err != nil {
		return err
	}
	rand1, rand2, guid := rakp1.RemoteConsoleRandomNumber[:], rakp2.ManagedSystemRandomNumber[:], rakp2.ManagedSystemGUID[:]
	rakp3.KeyExchangeAuthenticationCode, err = crypto.RAKP3AuthCode(auth, rand2, consoleID, role, cfg.Username, kuid)
	if err != nil {
		return err
	}
	key := kuid
	if len(cfg.KG) > 0 {
		key = cfg.KG
	}
	sik, k1, k2, err := crypto.DeriveSessionKeys(auth, rand1, rand2, role, cfg.Username, key)
	if err != nil {
		return err
	}
	icv, err := crypto.RAKP4ICV(auth, rand1, bmcID, guid, sik)
	if err != nil {
		return err
	}
	err = talk.ask(ctx, types.PayloadTypeRAKPMessage3, rakp3.Pack(), func(body []byte) error {
		rakp4 := rmcpplus.RAKPMessage4{AuthAlg: auth}
		if err := rakp4.Unpack(body); err != nil {
			return fmt.Errorf("%w in RAKP 4: %w", ErrProtocol, err)
		}
		if !crypto.Equal(icv, rakp4.IntegrityCheckValue) {
			return fmt.Errorf("%w: the password is right, but the BMC's key K_g is not the one given", ErrBadCredentials)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.consoleID, s.bmcID = consoleID, bmcID
	s.keys.Store(&keys{algorithms: alg, k1: k1, k2: k2, password: string(kuid)})
	return nil
}

// raise asks for the privilege level that the session was opened for
// (IPMI v2.0 §22.18), or for the lowest one where the user has no more.
func (s *session) raise(ctx context.Context, level, lowest types.PrivilegeLevel) error {
	for {
		req := &app.SetSessionPrivilegeLevelRequest{PrivilegeLevel: level}
		r, err := s.do(ctx, req, s.timeout)
		switch {
		case errors.Is(err, errSilent):
			return s.noAnswer()
		case err != nil:
			return err
		case r.code == uint8(types.CodeOK):
			return nil
		case level <= lowest:
			return fmt.Errorf("the user may not act as %v: %w", Privilege(level), refused(req.Command(), r.code))
		}
		level = lowest
	}
}
