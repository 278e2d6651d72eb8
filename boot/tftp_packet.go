package boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Opcodes: RFC 1350 §5, and RFC 2347 for the last.
const (
	opRead      = 1
	opWrite     = 2
	opData      = 3
	opAck       = 4
	opError     = 5
	opOptionAck = 6
)

// ErrorCode is why a transfer failed, as TFTP says it: RFC 1350's appendix, and
// RFC 2347 for the last.
type ErrorCode uint16

const (
	codeUndefined   ErrorCode = 0
	codeNotFound    ErrorCode = 1
	codeAccess      ErrorCode = 2
	codeIllegal     ErrorCode = 4
	codeUnknownID   ErrorCode = 5
	codeNegotiation ErrorCode = 8
)

const (
	headerSize   = 4 // of DATA: opcode and block number
	defaultBlock = 512
	minBlock     = 8     // RFC 2348
	maxBlock     = 65464 // RFC 2348
	maxWindow    = 64    // blocks; RFC 7440 allows 65535, more than a ROM has room for
	maxTimeout   = 255   // seconds; RFC 2349

	// maxWindowBytes bounds the memory of a transfer.
	maxWindowBytes = 128 << 10

	// An ERROR packet has to fit into 512 bytes (RFC 1350 §5).
	maxErrorText = 200
)

// protocolError is an error that has a code of TFTP's.
type protocolError struct {
	code ErrorCode
	text string
}

func (e *protocolError) Error() string { return e.text }

// opcode of a packet of at least 2 bytes.
func opcode(packet []byte) uint16 { return binary.BigEndian.Uint16(packet) }

// readRequest is RRQ: RFC 1350 §5, RFC 2347.
type readRequest struct {
	name     string
	netASCII bool
	options  []option
}

// option of a request. Its name is in lower case.
type option struct{ name, value string }

// parseRequest reads a packet that is a read or write request. The name is
// returned with any error that comes after it.
func parseRequest(packet []byte) (readRequest, error) {
	var r readRequest
	write := opcode(packet) == opWrite
	rest := packet[2:]
	name, rest, ok := cutString(rest)
	if !ok {
		return r, &protocolError{codeIllegal, "malformed request: its file name does not end"}
	}
	r.name = name
	mode, rest, ok := cutString(rest)
	if !ok {
		return r, &protocolError{codeIllegal, "malformed request: its mode does not end"}
	}
	if write {
		return r, &protocolError{codeAccess, "this server takes no files"}
	}
	switch strings.ToLower(mode) {
	case "octet":
	case "netascii":
		r.netASCII = true
	default:
		return r, &protocolError{codeIllegal, fmt.Sprintf("mode %q is not served: ask for octet", shorten(mode, 20))}
	}
	// What comes after the last whole option is padding of an old ROM.
	for {
		var o option
		if o.name, rest, ok = cutString(rest); !ok || o.name == "" {
			return r, nil
		}
		if o.value, rest, ok = cutString(rest); !ok {
			return r, nil
		}
		o.name = strings.ToLower(o.name)
		r.options = append(r.options, o)
	}
}

// requestName is the name in a request, as far as there is one.
func requestName(packet string) string {
	name, _, _ := strings.Cut(packet[2:], "\x00")
	return name
}

// cutString cuts off a string that NUL ends.
func cutString(p []byte) (text string, rest []byte, ok bool) {
	before, rest, ok := bytes.Cut(p, []byte{0})
	return string(before), rest, ok
}

// terms are what a client and we have agreed on.
type terms struct {
	block   int           // bytes of each but the last
	window  int           // blocks until the client acknowledges
	timeout time.Duration // until it hears from us again; 0: not agreed
	oack    []byte        // our answer; nil: none, block 1 is the answer
}

// negotiate answers the options of a request for a file of size bytes, -1 when
// that is not known, to a client that datagrams of room bytes reach unbroken.
// An option that is unknown, or whose value is none of its RFC's, stays
// unanswered, which means that it is not agreed (RFC 2347). One that comes
// twice is an error.
func negotiate(options []option, size int64, room int) (terms, error) {
	agreed := make(map[string]int64, len(options))
	for _, o := range options {
		value, ok := o.agree(size, room)
		if !ok {
			continue
		}
		if _, twice := agreed[o.name]; twice {
			return terms{}, &protocolError{codeNegotiation, fmt.Sprintf("option %s comes twice", o.name)}
		}
		agreed[o.name] = value
	}
	t := terms{block: defaultBlock, window: 1, timeout: time.Duration(agreed["timeout"]) * time.Second}
	if block, ok := agreed["blksize"]; ok {
		t.block = int(block)
	}
	if window, ok := agreed["windowsize"]; ok {
		t.window = int(min(window, int64(max(1, maxWindowBytes/(t.block+headerSize)))))
		agreed["windowsize"] = int64(t.window)
	}
	if len(agreed) == 0 {
		return t, nil
	}
	t.oack = []byte{0, opOptionAck}
	for _, o := range options { // in the client's order
		if value, ok := agreed[o.name]; ok {
			t.oack = appendOption(t.oack, o.name, value)
			delete(agreed, o.name)
		}
	}
	return t, nil
}

// agree is the value of an option that we agree to, if we do.
func (o option) agree(size int64, room int) (value int64, ok bool) {
	if o.name == "tsize" {
		return size, size >= 0 // whatever the client has sent: 0, mostly
	}
	asked, err := strconv.ParseUint(o.value, 10, 31)
	if err != nil {
		return 0, false
	}
	value = int64(asked)
	switch o.name {
	case "blksize":
		// No smaller than what needs no option, whatever the path.
		return min(value, maxBlock, int64(max(room-headerSize, defaultBlock))), value >= minBlock
	case "windowsize":
		return min(value, maxWindow), value >= 1 && value <= 65535
	case "timeout":
		return value, value >= 1 && value <= maxTimeout
	}
	return 0, false
}

func appendOption(p []byte, name string, value int64) []byte {
	p = append(append(p, name...), 0)
	return append(strconv.AppendInt(p, value, 10), 0)
}

// errorPacket is ERROR.
func errorPacket(code ErrorCode, text string) []byte {
	text = strings.ReplaceAll(shorten(text, maxErrorText), "\x00", "")
	return append([]byte{0, opError, byte(code >> 8), byte(code)}, text+"\x00"...)
}

// forClient is the ERROR packet that tells a client of an error. There is none
// for what the client knows, and where it would be taken for an answer to the
// client's next request.
func forClient(err error) (packet []byte, tell bool) {
	var refused *protocolError
	switch {
	case err == nil, errors.Is(err, errSilent), errors.Is(err, errGone), errors.Is(err, errReplaced), errors.As(err, new(*clientError)):
		return nil, false
	case errors.As(err, &refused):
		return errorPacket(refused.code, refused.text), true
	case errors.Is(err, fs.ErrNotExist):
		return errorPacket(codeNotFound, "file not found"), true
	case errors.Is(err, fs.ErrPermission):
		return errorPacket(codeAccess, err.Error()), true
	}
	return errorPacket(codeUndefined, err.Error()), true
}

func shorten(text string, most int) string {
	return text[:min(len(text), most)]
}
