package boot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestNegotiation(t *testing.T) {
	const size, room = 1000, 1472
	for options, want := range map[string]terms{
		"":                                      {block: 512, window: 1},
		"rollover=1":                            {block: 512, window: 1},
		"blksize=1428":                          {block: 1428, window: 1, oack: []byte("blksize=1428")},
		"BlkSize=8":                             {block: 8, window: 1, oack: []byte("blksize=8")},
		"blksize=7":                             {block: 512, window: 1},
		"blksize=9000":                          {block: 1468, window: 1, oack: []byte("blksize=1468")},
		"blksize=65464":                         {block: 1468, window: 1, oack: []byte("blksize=1468")},
		"blksize=4294967808":                    {block: 512, window: 1},
		"blksize=":                              {block: 512, window: 1},
		"blksize=-1":                            {block: 512, window: 1},
		"tsize=0":                               {block: 512, window: 1, oack: []byte("tsize=1000")},
		"tsize=x":                               {block: 512, window: 1, oack: []byte("tsize=1000")},
		"windowsize=1":                          {block: 512, window: 1, oack: []byte("windowsize=1")},
		"windowsize=16":                         {block: 512, window: 16, oack: []byte("windowsize=16")},
		"windowsize=65535":                      {block: 512, window: 64, oack: []byte("windowsize=64")},
		"windowsize=0":                          {block: 512, window: 1},
		"windowsize=65536":                      {block: 512, window: 1},
		"timeout=3":                             {block: 512, window: 1, timeout: 3 * time.Second, oack: []byte("timeout=3")},
		"timeout=0":                             {block: 512, window: 1},
		"timeout=256":                           {block: 512, window: 1},
		"windowsize=9 a=b blksize=1024 tsize=0": {block: 1024, window: 9, oack: []byte("windowsize=9 blksize=1024 tsize=1000")},
	} {
		var asked []option
		for o := range strings.FieldsSeq(options) {
			name, value, _ := strings.Cut(o, "=")
			asked = append(asked, option{strings.ToLower(name), value})
		}
		if want.oack != nil {
			want.oack = []byte("\x00\x06" + strings.NewReplacer("=", "\x00", " ", "\x00").Replace(string(want.oack)) + "\x00")
		}
		got, err := negotiate(asked, size, room)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, %v, want %+v", options, got, err, want)
		}
	}
	if got, _ := negotiate([]option{{"tsize", "0"}}, -1, room); got.oack != nil {
		t.Errorf("an unknown size is answered with %q", got.oack)
	}
	if got, _ := negotiate([]option{{"blksize", "65464"}, {"windowsize", "64"}}, -1, 65508); got.block != 65464 || got.window != 2 {
		t.Errorf("large blocks come in windows of %d", got.window)
	}
	if got, _ := negotiate([]option{{"blksize", "1428"}}, -1, 300); got.block != 512 {
		t.Errorf("blocks of %d bytes", got.block)
	}
	var refused *protocolError
	if _, err := negotiate([]option{{"blksize", "512"}, {"blksize", "1024"}}, 1, room); !errors.As(err, &refused) || refused.code != codeNegotiation {
		t.Errorf("an option that comes twice: %v", err)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	for packet, want := range map[string]ErrorCode{
		"\x00\x01":                  codeIllegal,
		"\x00\x01name":              codeIllegal,
		"\x00\x01name\x00":          codeIllegal,
		"\x00\x01name\x00octet":     codeIllegal,
		"\x00\x01name\x00mail\x00":  codeIllegal,
		"\x00\x02name\x00octet\x00": codeAccess,
	} {
		var refused *protocolError
		if _, err := parseRequest([]byte(packet)); !errors.As(err, &refused) || refused.code != want {
			t.Errorf("%q: %v, want code %d", packet, err, want)
		}
	}
	for packet, want := range map[string]string{
		"\x00\x01name\x00OcTeT\x00":                          "{name false []}",
		"\x00\x01\x00netascii\x00":                           "{ true []}",
		"\x00\x01n\x00octet\x00A\x001\x00b\x002\x00":         "{n false [{a 1} {b 2}]}",
		"\x00\x01n\x00octet\x00a\x001\x00\x00\x00\x00\x00":   "{n false [{a 1}]}", // padded by the ROM
		"\x00\x01n\x00octet\x00a\x001\x00blksize\x00":        "{n false [{a 1}]}",
		"\x00\x01n\x00octet\x00a\x001\x00blksize\x00unended": "{n false [{a 1}]}",
	} {
		if got, err := parseRequest([]byte(packet)); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v, want %s", packet, got, err, want)
		}
	}
}

func TestErrorPackets(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fs.ErrNotExist, "\x00\x05\x00\x01file not found\x00"},
		{fmt.Errorf("in a secret place: %w", fs.ErrNotExist), "\x00\x05\x00\x01file not found\x00"},
		{denied("no"), "\x00\x05\x00\x02no\x00"},
		{&protocolError{codeNegotiation, "twice"}, "\x00\x05\x00\x08twice\x00"},
		{errors.New("a\x00b"), "\x00\x05\x00\x00ab\x00"},
		{errors.New(strings.Repeat("x", 1000)), "\x00\x05\x00\x00" + strings.Repeat("x", maxErrorText) + "\x00"},
	} {
		if got, ok := forClient(c.err); !ok || string(got) != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	for _, err := range []error{nil, errSilent, errGone, errReplaced} {
		if got, ok := forClient(err); ok {
			t.Errorf("%v: %q", err, got)
		}
	}
}

func TestNetASCII(t *testing.T) {
	const text, want = "a\nb\r\nc\r\n\nd\r", "a\r\nb\r\x00\r\nc\r\x00\r\n\r\nd\r\x00"
	for name, from := range map[string]io.Reader{
		"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)), "with the end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		if got, err := io.ReadAll(iotest.OneByteReader(&netASCIIReader{from: from})); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("\x00\x01grub/grub.cfg\x00octet\x00blksize\x001428\x00tsize\x000\x00windowsize\x0016\x00timeout\x003\x00"), int64(5), 1472)
	f.Add([]byte("\x00\x02a\x00netascii\x00"), int64(-1), 0)
	f.Add([]byte("\x00\x01a\x00octet\x00blksize\x001\x00blksize"), int64(1<<40), 65508)
	f.Fuzz(func(t *testing.T, packet []byte, size int64, room int) {
		if len(packet) < 2 {
			return
		}
		requestName(string(packet))
		r, err := parseRequest(packet)
		if err != nil {
			if reply, ok := forClient(err); !ok || len(reply) > 512 {
				t.Fatalf("%v is told as %q", err, reply)
			}
			return
		}
		terms, err := negotiate(r.options, size, room)
		if err != nil {
			return
		}
		memory := terms.window * (terms.block + headerSize)
		if terms.block < minBlock || terms.block > maxBlock || terms.window < 1 || terms.window > maxWindow || memory > maxWindowBytes ||
			terms.block > max(room-headerSize, defaultBlock) || terms.timeout > maxTimeout*time.Second || len(terms.oack) > 100 {
			t.Fatalf("agreed to %+v", terms)
		}
		if terms.oack != nil && !bytes.HasSuffix(terms.oack, []byte{0}) {
			t.Fatalf("answered %q", terms.oack)
		}
	})
}
