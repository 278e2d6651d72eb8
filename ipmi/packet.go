package ipmi

import (
	"errors"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

const (
	rmcpHeaderLen    = 4
	sessionHeaderLen = 12 // without OEM payload fields, which we never accept
	headersLen       = rmcpHeaderLen + sessionHeaderLen
	aesBlock         = 16
	nextHeaderRMCP   = 0x07 // Table 13-8

	// maxDatagram bounds what is read. The longest packet of a BMC is a SOL
	// payload, whose accepted count ends at 255 characters, and its envelope.
	maxDatagram = 1024
)

// Why a datagram is dropped.
var (
	errMalformed = errors.New("malformed")
	errForged    = errors.New("integrity check failed")
	errReplayed  = errors.New("sequence number seen before")
)

// header is what stands in clear at the start of an RMCP+ datagram
// (IPMI v2.0 Table 13-8).
type header struct {
	session, seq uint32
	payload      types.PayloadType
	flags        uint8
}

// parseHeader reads the header of a datagram and returns its payload, still
// encrypted where it is. It trusts nothing.
func parseHeader(pkt []byte) (header, []byte, error) {
	// RMCP version 1.0, class IPMI, not an acknowledgement; format RMCP+.
	if len(pkt) < headersLen || pkt[0] != 0x06 || pkt[3] != types.MessageClassIPMI || pkt[4] != uint8(types.AuthTypeRMCPPlus) {
		return header{}, nil, errMalformed
	}
	session, seq, payloadType, flags, payload, ok := protocol.ParseRMCPPlusHeader(pkt)
	if !ok || types.PayloadType(payloadType) == types.PayloadTypeOEM {
		return header{}, nil, errMalformed
	}
	return header{session, seq, types.PayloadType(payloadType), flags}, payload, nil
}

// keys protect the packets of one session, by the algorithms that its two ends
// have agreed on.
type keys struct {
	algorithms
	k1, k2   []byte
	password string // of 20 bytes; MD5-128 is keyed by it alone
}

// protected are the flags of a packet that nobody can read or change.
const protected = types.PayloadFlagEncrypted | types.PayloadFlagAuthenticated

// flags are those of every packet of the session.
func (k *keys) flags() (flags uint8) {
	if k.integrity != types.IntegrityAlg_None {
		flags |= types.PayloadFlagAuthenticated
	}
	if k.crypt != types.CryptAlg_None {
		flags |= types.PayloadFlagEncrypted
	}
	return flags
}

// seal builds a whole in-session datagram (IPMI v2.0 §13.6, §13.28.4, §13.29).
func (k *keys) seal(payload types.PayloadType, session, seq uint32, plain []byte) ([]byte, error) {
	body := plain
	if k.crypt != types.CryptAlg_None {
		var err error
		if body, err = crypto.EncryptAESPayload(plain, k.k2, crypto.RandomBytes(aesBlock)); err != nil {
			return nil, err
		}
	}
	pkt := protocol.BuildRMCPPlusPacket(uint8(payload), k.flags(), session, seq, body)
	if k.integrity == types.IntegrityAlg_None {
		return pkt, nil // a session trailer has nothing but the padding for the HMAC
	}
	return k.sign(pkt)
}

// sign appends the session trailer: padding, its length, and the HMAC over
// everything from the session header on.
func (k *keys) sign(pkt []byte) ([]byte, error) {
	pad := types.IntegrityPadLen(sessionHeaderLen, len(pkt)-headersLen)
	for range pad {
		pkt = append(pkt, 0xff)
	}
	pkt = append(pkt, uint8(pad), nextHeaderRMCP)
	code, err := crypto.SessionIntegrityAuthCode(k.integrity, pkt[rmcpHeaderLen:], k.k1, k.password)
	if err != nil {
		return nil, err
	}
	return append(pkt, code...), nil
}

// open checks the integrity of an in-session datagram and only then decrypts
// its payload. It demands what was agreed on, no less and no more: a BMC has no
// reason to leave it out of a packet, and a forger has.
func (k *keys) open(pkt []byte, h header, payload []byte) ([]byte, error) {
	if h.flags&protected != k.flags() {
		return nil, errForged
	}
	if k.integrity != types.IntegrityAlg_None {
		codeLen, ok := crypto.IntegrityAuthCodeLen(k.integrity)
		end := len(pkt) - codeLen
		if !ok || end < headersLen+len(payload)+2 {
			return nil, errForged
		}
		want, err := crypto.SessionIntegrityAuthCode(k.integrity, pkt[rmcpHeaderLen:end], k.k1, k.password)
		if err != nil || !crypto.Equal(want, pkt[end:]) {
			return nil, errForged
		}
	}
	if k.crypt == types.CryptAlg_None {
		return append([]byte(nil), payload...), nil // the reader's buffer is used again
	}
	// One block of initialization vector and whole blocks after it: the
	// library panics on anything else.
	if len(payload) < 2*aesBlock || len(payload)%aesBlock != 0 {
		return nil, errMalformed
	}
	plain, err := crypto.DecryptAESPayload(payload, k.k2)
	if err != nil {
		return nil, errMalformed
	}
	return plain, nil
}

// window is the sliding window of accepted sequence numbers (IPMI v2.0
// §6.12.13). It lets a number jump ahead without limit, unlike the
// specification's 15: behind a verified HMAC only loss makes it jump, and a
// burst of loss must not end a session.
type window struct {
	top  uint32 // the highest number accepted
	seen uint32 // bit n: top-n was accepted
}

// accept reports whether seq is new, and remembers it.
func (w *window) accept(seq uint32) bool {
	if seq == 0 {
		return false // outside of a session only
	}
	switch ahead := int32(seq - w.top); {
	case w.seen == 0 || ahead >= 32:
		w.top, w.seen = seq, 1
	case ahead > 0:
		w.top, w.seen = seq, w.seen<<ahead|1
	case ahead <= -32 || w.seen>>-ahead&1 == 1:
		return false
	default:
		w.seen |= 1 << -ahead
	}
	return true
}

// newer reports whether sequence number a came after b, across a wrap.
func newer(a, b uint32) bool { return int32(a-b) > 0 }
