package ipmi

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/rmcpplus"
	"github.com/bougou/go-ipmi/pkg/types"
)

// responder is the BMC's part of session setup by any cipher suite, also those
// that no simulated BMC has. It answers Get Device ID in the session.
type responder struct {
	void
	t        *testing.T
	s        *session
	suite    CipherSuite
	user, kg string
	password string

	consoleID uint32
	rakp1     rmcpplus.RAKPMessage1
	keys      *keys
	seq       uint32
}

const responderID = 0x11223344

func (b *responder) Write(p []byte) (int, error) {
	h, body, err := parseHeader(p)
	if err != nil {
		b.t.Error(err)
		return len(p), nil
	}
	alg, _ := b.suite.algorithms()
	kuid, guid, rand2 := crypto.PadPassword20([]byte(b.password)), make([]byte, 16), make([]byte, 16)
	rand1, role := b.rakp1.RemoteConsoleRandomNumber[:], b.rakp1.Role()
	answer := func(payload types.PayloadType, body []byte) {
		b.s.receive(protocol.BuildRMCPPlusPacket(uint8(payload), 0, 0, 0, body))
	}
	switch h.payload {
	case types.PayloadTypeRmcpOpenSessionRequest:
		b.consoleID = binary.LittleEndian.Uint32(body[4:])
		res := rmcpplus.OpenSessionResponse{
			MessageTag: body[0], RemoteConsoleSessionID: b.consoleID, ManagedSystemSessionID: responderID,
		}
		res.AuthenticationPayload, res.IntegrityPayload, res.ConfidentialityPayload =
			rmcpplus.NewAlgorithmPayloads(alg.auth, alg.integrity, alg.crypt)
		answer(types.PayloadTypeRmcpOpenSessionResponse, res.Pack())
	case types.PayloadTypeRAKPMessage1:
		if err := b.rakp1.Unpack(body); err != nil {
			b.t.Error(err)
		}
		rand1, role = b.rakp1.RemoteConsoleRandomNumber[:], b.rakp1.Role()
		code, err := crypto.RAKP2AuthCode(alg.auth, b.consoleID, responderID, rand1, rand2, guid, role, b.user, kuid)
		if err != nil {
			b.t.Error(err)
		}
		res := rmcpplus.RAKPMessage2{MessageTag: body[0], RemoteConsoleSessionID: b.consoleID, KeyExchangeAuthenticationCode: code}
		answer(types.PayloadTypeRAKPMessage2, res.Pack())
	case types.PayloadTypeRAKPMessage3:
		res := rmcpplus.RAKPMessage4{MessageTag: body[0], MgmtConsoleSessionID: b.consoleID}
		if body[1] != 0 {
			return len(p), nil // it does not believe us
		}
		code, err := crypto.RAKP3AuthCode(alg.auth, rand2, b.consoleID, role, b.user, kuid)
		if err != nil || !crypto.Equal(code, body[8:]) {
			b.t.Errorf("RAKP 3: %x, %v", body[8:], err)
		}
		key := kuid
		if b.kg != "" {
			key = []byte(b.kg)
		}
		sik, k1, k2, err := crypto.DeriveSessionKeys(alg.auth, rand1, rand2, role, b.user, key)
		if err != nil {
			b.t.Error(err)
		}
		b.keys = &keys{algorithms: alg, k1: k1, k2: k2, password: string(kuid)}
		if res.IntegrityCheckValue, err = crypto.RAKP4ICV(alg.auth, rand1, responderID, guid, sik); err != nil {
			b.t.Error(err)
		}
		answer(types.PayloadTypeRAKPMessage4, res.Pack())
	case types.PayloadTypeIPMI:
		plain, err := b.keys.open(p, h, body)
		if err != nil {
			b.t.Errorf("command: %v", err)
			return len(p), nil
		}
		netFn, cmd, _, seq, _ := protocol.ParseIPMIRequest(plain)
		b.seq++
		pkt, err := b.keys.seal(types.PayloadTypeIPMI, b.consoleID, b.seq, protocol.BuildIPMIResponse(netFn, cmd, seq, 0, []byte{0x20}))
		if err != nil {
			b.t.Error(err)
		}
		b.s.receive(pkt)
	}
	return len(p), nil
}

func TestSessionSetupByEachSuiteAndKey(t *testing.T) {
	const password, kg = "twenty bytes exactly", "and a key of 20 bytes"
	for suite := range CipherSuite(18) {
		alg, err := suite.algorithms()
		if err != nil {
			continue
		}
		for _, tt := range []struct {
			name           string
			password       string
			theirKG, ourKG string
			want           error
		}{
			{name: "password", password: password[:20]},
			{name: "empty password"},
			{name: "K_g", password: password[:20], theirKG: kg[:20], ourKG: kg[:20]},
			{name: "short K_g", password: password[:20], theirKG: kg[:5], ourKG: kg[:5]},
			{name: "other K_g", password: password[:20], theirKG: kg[:20], ourKG: kg[:19], want: ErrBadCredentials},
		} {
			s := sessionForTest()
			s.keys.Store(nil)
			s.timeout = 5 * time.Second
			s.calls[0] = nil
			s.conn = &responder{t: t, s: s, suite: suite, user: "ADMIN", password: tt.password, kg: tt.theirKG}
			since := time.Now()
			cfg := &Config{Username: "ADMIN", Password: tt.password, KG: []byte(tt.ourKG)}
			want := tt.want
			if alg.auth == types.AuthAlg_None {
				want = nil // nobody proves anything
			}
			err := s.greet(t.Context(), cfg, terms{suite, types.PrivilegeLevelAdministrator}, &since)
			if !errors.Is(err, want) {
				t.Errorf("suite %d, %s: %v, want %v", suite, tt.name, err, want)
			}
			if want == nil && err == nil {
				if _, err := s.do(t.Context(), &app.GetDeviceIDRequest{}, s.timeout); err != nil {
					t.Errorf("suite %d, %s: a command in the session: %v", suite, tt.name, err)
				}
			}
		}
	}
}
