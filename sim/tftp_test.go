package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestTFTPFileArrivesByteForByte(t *testing.T) {
	s := newSite(t)
	big := make([]byte, 1<<20+3)
	for i := range big {
		big[i] = byte(i >> 9 * 31 >> 3)
	}
	files := map[string][]byte{"big": big, "whole": big[:1024], "short": big[:5], "empty": {}}
	s.change(func() { s.files = files })
	for name, blockSize := range map[string]int{"big": 512, "whole": 512, "short": 1468, "empty": 1024} {
		c := tftpClient{server: netip.MustParseAddr("127.0.0.1"), port: s.network().TFTPPort, blockSize: blockSize}
		var got bytes.Buffer
		announced := int64(-2)
		n, err := c.get(t.Context(), name, &got, func(size int64) { announced = size })
		want := files[name]
		if err != nil || n != int64(len(want)) || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, n, err, len(want))
		}
		if name != "empty" && announced != n {
			t.Errorf("%s: the size was announced as %d, not %d", name, announced, n)
		}
	}
}

func TestTFTPBlockNumberRollsOver(t *testing.T) {
	transfer := &tftpTransfer{packet: make([]byte, 516), blockSize: 512, w: io.Discard}
	from := netip.MustParseAddrPort("127.0.0.1:9")
	block := append([]byte{0, 3, 0, 0}, make([]byte, 512)...)
	const blocks = 1<<16 + 5
	for i := 1; i <= blocks; i++ {
		binary.BigEndian.PutUint16(block[2:], uint16(i))
		if progress, last, err := transfer.take(block, from); !progress || last || err != nil {
			t.Fatalf("block %d: progress %v, last %v, %v", i, progress, last, err)
		}
	}
	if transfer.length != blocks*512 {
		t.Errorf("%d bytes", transfer.length)
	}
}

// scripted is a TFTP server that answers each packet with the next of a list.
// After its end, and for an empty answer, it is silent.
func scripted(t *testing.T, answers ...string) (port int, got func() []string) {
	t.Helper()
	conn := silentServer(t)
	var packets []string
	done := make(chan struct{})
	go func() { // ends when conn is closed
		defer close(done)
		p := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDP(p)
			if err != nil {
				return
			}
			packets = append(packets, string(p[:n]))
			if len(answers) > 0 {
				for answer := range bytes.SplitSeq([]byte(answers[0]), []byte("+++")) {
					if len(answer) > 0 {
						_, _ = conn.WriteToUDP(answer, from)
					}
				}
				answers = answers[1:]
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).Port, func() []string {
		_ = conn.Close()
		<-done
		return packets
	}
}

const tftpRequest = "\x00\x01f\x00octet\x00blksize\x001024\x00tsize\x000\x00"

func TestTFTPClientAgainstServersOfAllKinds(t *testing.T) {
	full := string(make([]byte, 512))
	data := func(block byte, content string) string { return "\x00\x03\x00" + string([]byte{block}) + content }
	tests := []struct {
		name    string
		answers []string
		length  int64
		err     error
		sends   int // packets, 0: not checked
	}{
		{"without options", []string{data(1, full), data(2, "abc")}, 515, nil, 3},
		{"with options", []string{"\x00\x06blksize\x00600\x00tsize\x00515\x00", data(1, full)}, 512, nil, 3},
		{"a lost request and a lost block", []string{"", data(1, full), "", data(2, "")}, 512, nil, 5},
		{"duplicates and strangers", []string{data(1, full) + "+++" + data(1, full), data(7, "x") + "+++xyz+++\x00\x04\x00\x00+++" + data(2, "a")}, 513, nil, 3},
		{"no answer", nil, 0, errTFTPOpen, tftpTries},
		{"silence after a block", []string{data(1, full)}, 512, errTFTPRead, tftpTries + 1},
		{"a refusal", []string{"\x00\x05\x00\x02no\x00"}, 0, &tftpRefusal{2, "no"}, 1},
		{"a refusal cut short", []string{"\x00\x05\x00\x01"}, 0, &tftpRefusal{1, ""}, 1},
		{"a larger block size than asked for", []string{"\x00\x06blksize\x001025\x00"}, 0, errors.New(`the server's blksize "1025" was not asked for`), 2},
		{"a block size of 0", []string{"\x00\x06blksize\x000\x00"}, 0, errors.New(`the server's blksize "0" was not asked for`), 2},
		{"a size that is none", []string{"\x00\x06tsize\x00-1\x00"}, 0, errors.New(`the server's tsize "-1" is not a size`), 2},
		{"a block that is too large", []string{data(1, full+"x")}, 0, errors.New("block of 513 bytes where 512 were agreed"), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			port, packets := scripted(t, tt.answers...)
			c := tftpClient{server: netip.MustParseAddr("127.0.0.1"), port: port, blockSize: 1024, timeout: 20 * time.Millisecond}
			n, err := c.get(t.Context(), "f", io.Discard, nil)
			if n != tt.length || (err == nil) != (tt.err == nil) || err != nil && err.Error() != tt.err.Error() {
				t.Errorf("%d bytes, %v; want %d, %v", n, err, tt.length, tt.err)
			}
			if err == nil {
				return // the last ACK may still be under way
			}
			if got := packets(); len(got) == 0 || got[0] != tftpRequest {
				t.Errorf("asked %q", got)
			}
		})
	}
}

func TestTFTPClientTellsAServerThatItGivesUp(t *testing.T) {
	server := silentServer(t)
	c := tftpClient{server: netip.MustParseAddr("127.0.0.1"), port: server.LocalAddr().(*net.UDPAddr).Port, blockSize: 512}
	failed := make(chan error)
	go func() {
		_, err := c.get(t.Context(), "f", &limitedWriter{left: 2}, nil)
		failed <- err
	}()
	p := make([]byte, 600)
	_, from, err := server.ReadFrom(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.WriteTo([]byte("\x00\x03\x00\x01abc"), from); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil {
		t.Error("no error")
	}
	n, _, err := server.ReadFrom(p)
	if err != nil || string(p[:n]) != "\x00\x05\x00\x03out of memory\x00" {
		t.Errorf("sent %q, %v", p[:n], err)
	}
}

func TestTFTPClientRefusesASecondTransfer(t *testing.T) {
	server, second := silentServer(t), silentServer(t)
	c := tftpClient{server: netip.MustParseAddr("127.0.0.1"), port: server.LocalAddr().(*net.UDPAddr).Port, blockSize: 512}
	ended := make(chan error)
	go func() {
		_, err := c.get(t.Context(), "f", io.Discard, nil)
		ended <- err
	}()
	p := make([]byte, 600)
	_, from, err := server.ReadFrom(p)
	if err != nil {
		t.Fatal(err)
	}
	block := append([]byte{0, 3, 0, 1}, make([]byte, 512)...)
	for _, conn := range []*net.UDPConn{server, second} {
		if _, err := conn.WriteTo(block, from); err != nil {
			t.Fatal(err)
		}
	}
	n, _, err := second.ReadFrom(p)
	if err != nil || string(p[:n]) != "\x00\x05\x00\x05unknown transfer ID\x00" {
		t.Errorf("sent %q, %v", p[:n], err)
	}
	if _, err := server.WriteTo([]byte{0, 3, 0, 2}, from); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTFTPClientEndsWithItsContext(t *testing.T) {
	server := silentServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends with the request
		p := make([]byte, 600)
		_, _, _ = server.ReadFrom(p)
		cancel()
	}()
	c := tftpClient{server: netip.MustParseAddr("127.0.0.1"), port: server.LocalAddr().(*net.UDPAddr).Port, blockSize: 512, timeout: time.Hour}
	if _, err := c.get(ctx, "f", io.Discard, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// FuzzTFTPAnswer lets a server answer anything.
func FuzzTFTPAnswer(f *testing.F) {
	f.Add([]byte("\x00\x06blksize\x00600\x00tsize\x00515\x00"), []byte("\x00\x03\x00\x01abc"))
	f.Add([]byte("\x00\x05\x00\x01"), []byte("\x00\x06"))
	f.Add([]byte("\x00\x06blksize"), []byte("\x00\x06\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		conn := silentServer(t)
		transfer := &tftpTransfer{conn: conn, packet: make([]byte, 1028), blockSize: 512, w: io.Discard}
		from := netip.MustParseAddrPort("127.0.0.1:9")
		for _, p := range [][]byte{first, second} {
			if len(p) >= 4 {
				_, _, _ = transfer.take(p[:min(len(p), len(transfer.packet))], from)
			}
		}
		if transfer.blockSize < 8 || transfer.blockSize > 1024 {
			t.Errorf("block size %d", transfer.blockSize)
		}
	})
}
