package boot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pin/tftp/v3"
	"golang.org/x/sync/errgroup"
)

// memoryFile is a TFTPFile without a file.
type memoryFile struct {
	*bytes.Reader
	size   int64
	closed chan<- struct{}
}

func (f *memoryFile) Size() int64  { return f.size }
func (f *memoryFile) Close() error { close(f.closed); return nil }

// startTFTP serves until the test ends and returns the server's address, and
// what has ended.
func startTFTP(t *testing.T, open OpenFunc) (*net.UDPAddr, <-chan Transfer) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_, ended := serveTFTP(t, conn, open)
	return conn.LocalAddr().(*net.UDPAddr), ended
}

// serveTFTP serves on conn until the test ends.
func serveTFTP(t *testing.T, conn *net.UDPConn, open OpenFunc) (*TFTPServer, <-chan Transfer) {
	t.Helper()
	ended := make(chan Transfer, 1000)
	server := NewTFTPServer(open, func(t Transfer) { ended <- t })
	serveUntilEnd(t, server, conn)
	return server, ended
}

// serveUntilEnd serves on conn until the test ends.
func serveUntilEnd(t *testing.T, server *TFTPServer, conn *net.UDPConn) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(ctx, conn) }() // ends with cancel below
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func openIn(root *os.Root) OpenFunc {
	return func(_ context.Context, name string, _ netip.AddrPort) (TFTPFile, error) {
		return OpenInRoot(root, name)
	}
}

// makeBig makes a root with a file of somewhat more than 3 MiB: not a whole
// number of blocks, and more blocks of 512 bytes than would be quick.
func makeBig(t *testing.T) (*os.Root, []byte) {
	t.Helper()
	root := makeRoot(t)
	content := make([]byte, 3<<20+77)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	if err := root.WriteFile("big", content, 0o600); err != nil {
		t.Fatal(err)
	}
	return root, content
}

func need(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: install Debian's package %s", program, debianPackage)
	default:
		t.Skipf("%s is missing: install Debian's package %s", program, debianPackage)
	}
	return path
}

func TestTFTPServesDebiansClients(t *testing.T) {
	t.Parallel()
	atftp, hpa := need(t, "atftp", "atftp"), need(t, "tftp", "tftp-hpa")
	busybox, curl := need(t, "busybox", "busybox-static"), need(t, "curl", "curl")
	root, content := makeBig(t)
	address, ended := startTFTP(t, openIn(root))
	port := strconv.Itoa(address.Port)
	for name, command := range map[string][]string{
		"atftp":                   {atftp, "-g", "-r", "big", "-l", "OUT", "127.0.0.1", port},
		"atftp with blksize":      {atftp, "--option", "blksize 1428", "-g", "-r", "/big", "-l", "OUT", "127.0.0.1", port},
		"atftp with tsize":        {atftp, "--option", "tsize", "--option", "blksize 8192", "-g", "-r", "big", "-l", "OUT", "127.0.0.1", port},
		"atftp with windowsize":   {atftp, "--option", "windowsize 16", "--option", "blksize 1428", "-g", "-r", "big", "-l", "OUT", "127.0.0.1", port},
		"atftp with timeout":      {atftp, "--option", "timeout 1", "-g", "-r", "big", "-l", "OUT", "127.0.0.1", port},
		"busybox":                 {busybox, "tftp", "-b", "1428", "-g", "-r", "big", "-l", "OUT", "127.0.0.1", port},
		"busybox without options": {busybox, "tftp", "-g", "-r", "big", "-l", "OUT", "127.0.0.1", port},
		"curl":                    {curl, "-sS", "-o", "OUT", "--tftp-blksize", "1428", "tftp://127.0.0.1:" + port + "/big"},
		"tftp-hpa in netascii":    {hpa, "-m", "ascii", "127.0.0.1", port, "-c", "get", "big", "OUT"},
		"tftp-hpa":                {hpa, "-m", "binary", "127.0.0.1", port, "-c", "get", "big", "OUT"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := download(t, command[0], command[1:]); !bytes.Equal(got, content) {
				t.Fatalf("got %d bytes, want the %d of the file", len(got), len(content))
			}
			if done := <-ended; done.Err != nil || done.Bytes < int64(len(content)) || done.Client.Addr().String() != "127.0.0.1" {
				t.Errorf("reported as %+v", done)
			}
		})
	}
}

// download runs a client that writes into the file OUT of its arguments.
func download(t *testing.T, program string, args []string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "OUT", out)
	}
	if output, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestTFTPRefusesUploads(t *testing.T) {
	atftp := need(t, "atftp", "atftp")
	root := makeRoot(t)
	address, _ := startTFTP(t, openIn(root))
	local := filepath.Join(t.TempDir(), "local")
	if err := os.WriteFile(local, []byte("evil"), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), atftp, "-p", "-l", local, "-r", "file", "127.0.0.1", strconv.Itoa(address.Port)).CombinedOutput()
	if err == nil {
		t.Errorf("an upload went through: %s", output)
	}
	if content, err := root.ReadFile("file"); string(content) != "content" || err != nil {
		t.Errorf("the file is now %q, %v", content, err)
	}
}

// get downloads with pin/tftp's client.
func get(address *net.UDPAddr, name string, blockSize int) (content []byte, size int64, err error) {
	client, err := tftp.NewClient(address.String())
	if err != nil {
		return nil, 0, err
	}
	client.SetBlockSize(blockSize)
	client.RequestTSize(true)
	transfer, err := client.Receive(name, "octet")
	if err != nil {
		return nil, 0, err
	}
	size, _ = transfer.(tftp.IncomingTransfer).Size()
	var out bytes.Buffer
	_, err = transfer.WriteTo(&out)
	return out.Bytes(), size, err
}

func TestTFTPRefusals(t *testing.T) {
	t.Parallel()
	root := makeRoot(t)
	address, ended := startTFTP(t, func(ctx context.Context, name string, client netip.AddrPort) (TFTPFile, error) {
		switch name {
		case "panic":
			panic("in open")
		case "long":
			return nil, errors.New(strings.Repeat("x", 2000))
		case "nul":
			return nil, errors.New("a\x00b")
		case "none":
			return nil, fmt.Errorf("open in a secret place: %w", fs.ErrNotExist)
		}
		return OpenInRoot(root, name)
	})
	for name, want := range map[string]string{
		"none":           "file not found",
		"../secret":      `climbs with ".."`,
		`..\secret`:      `climbs with ".."`,
		"/../../secret":  `climbs with ".."`,
		"outside":        "escapes",
		"absolute":       "escapes",
		"up/secret":      "escapes",
		"folder":         "folder is not a regular file",
		"fifo":           "fifo is not a regular file",
		"/":              "file name is empty",
		"\xff":           "is not UTF-8",
		"panic":          "internal error: in open",
		"long":           "xxx",
		"nul":            "ab",
		"folder/inside/": "",
	} {
		content, _, err := get(address, name, 512)
		if want == "" {
			if err != nil || string(content) != "content" {
				t.Errorf("get %q: %q, %v", name, content, err)
			}
			<-ended
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret place") {
			t.Errorf("get %q: %v, want %q", name, err, want)
		}
		if done := <-ended; done.Err == nil {
			t.Errorf("%q is reported as %+v", name, done)
		}
	}
}

func TestTFTPFileIsClosedWhenItsTransferEnds(t *testing.T) {
	closed := make(chan struct{})
	address, _ := startTFTP(t, func(context.Context, string, netip.AddrPort) (TFTPFile, error) {
		return &memoryFile{Reader: bytes.NewReader([]byte("generated")), size: -1, closed: closed}, nil
	})
	content, size, err := get(address, "x", 1024)
	if string(content) != "generated" || size != 0 || err != nil {
		t.Errorf("got %q of size %d, %v", content, size, err)
	}
	<-closed
}

func TestTFTPReadErrorReachesTheClient(t *testing.T) {
	address, ended := startTFTP(t, func(context.Context, string, netip.AddrPort) (TFTPFile, error) {
		return failingFile{}, nil
	})
	if _, _, err := get(address, "x", 512); err == nil || !strings.Contains(err.Error(), "the disk is gone") {
		t.Errorf("got %v", err)
	}
	if done := <-ended; done.Err == nil {
		t.Errorf("reported as %+v", done)
	}
}

type failingFile struct{}

func (failingFile) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }
func (failingFile) Close() error             { return nil }
func (failingFile) Size() int64              { return 5 }

func TestTFTPOptions(t *testing.T) {
	t.Parallel()
	root, content := makeBig(t)
	address, _ := startTFTP(t, openIn(root))
	for _, blockSize := range []int{512, 1428, 65464} {
		got, size, err := get(address, "big", blockSize)
		if err != nil || !bytes.Equal(got, content) || size != int64(len(content)) {
			t.Errorf("blksize %d: %d bytes, tsize %d, %v", blockSize, len(got), size, err)
		}
	}
	if got, _, err := get(address, "empty", 512); len(got) != 0 || err != nil {
		t.Errorf("empty file: %d bytes, %v", len(got), err)
	}

	// RFC 2348 by hand: what is asked for comes back, no more.
	client := dial(t, address)
	send(t, client, "\x00\x01big\x00octet\x00blksize\x001024\x00rollover\x001\x00")
	if got := receive(t, client); string(got) != "\x00\x06blksize\x001024\x00" {
		t.Errorf("the OACK is %q", got)
	}
	// RFC 1350: without options, block 1 at once.
	plain := dial(t, address)
	send(t, plain, "\x00\x01big\x00octet\x00")
	if got := receive(t, plain); !bytes.Equal(got, append([]byte{0, 3, 0, 1}, content[:512]...)) {
		t.Errorf("block 1 is %q", got)
	}
}

// peer is a TFTP client by hand: it sends to where the last datagram is from.
type peer struct {
	conn *net.UDPConn
	to   *net.UDPAddr
}

func dial(t *testing.T, address *net.UDPAddr) *peer {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &peer{conn, address}
}

func send(t *testing.T, p *peer, datagram string) {
	t.Helper()
	if _, err := p.conn.WriteToUDP([]byte(datagram), p.to); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, p *peer) []byte {
	t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 65536)
	n, from, err := p.conn.ReadFromUDP(buffer)
	if err != nil {
		t.Fatal(err)
	}
	p.to = from
	return buffer[:n]
}

func TestTFTPSurvivesAnyDatagram(t *testing.T) {
	t.Parallel()
	root, content := makeBig(t)
	address, _ := startTFTP(t, openIn(root))
	p := dial(t, address)
	for _, datagram := range []string{
		"", "\x00", "\x00\x01", "\x00\x01\x00", "\x00\x01\x00\x00", "\x00\x01big", "\x00\x01big\x00", "\x00\x02\x00\x00",
		"\x00\x03\x00\x01x", "\x00\x04\x00\x01", "\x00\x05\x00\x01\x00", "\x00\x06blksize\x001\x00", "\xff\xff\xff\xff",
		"\x00\x01big\x00octet\x00blksize\x00", "\x00\x01big\x00octet\x00blksize\x00-1\x00tsize\x00-1\x00",
		"\x00\x01big\x00octet\x00blksize\x0099999999999999999999\x00", "\x00\x01big\x00\xff\x00tsize\x00" + strings.Repeat("9", 480) + "\x00",
		"\x00\x01" + strings.Repeat("a/", 250) + "\x00octet\x00", "\x00\x01" + strings.Repeat("\x00", 514), strings.Repeat("\x00\x01", 4000),
	} {
		p.to = address
		send(t, p, datagram)
	}
	if got, _, err := get(address, "big", 8192); err != nil || !bytes.Equal(got, content) {
		t.Errorf("after that: %d bytes, %v", len(got), err)
	}
}

func TestTFTPServesManyAtOnce(t *testing.T) {
	t.Parallel()
	root, content := makeBig(t)
	address, _ := startTFTP(t, openIn(root))
	var group errgroup.Group
	for range maxTransfersPerClient - 2 {
		group.Go(func() error {
			got, _, err := get(address, "big", 8192)
			if err == nil && !bytes.Equal(got, content) {
				err = fmt.Errorf("%d bytes that are not the file's", len(got))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestTFTPServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	address := conn.LocalAddr().(*net.UDPAddr)
	root, _ := makeBig(t)
	ended := make(chan Transfer, 2)
	server := NewTFTPServer(openIn(root), func(t Transfer) { ended <- t })
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(ctx, conn) }() // ends with cancel below

	// One client is silent after its first block, one is slow.
	silent, slow := dial(t, address), dial(t, address)
	send(t, silent, "\x00\x01big\x00octet\x00")
	receive(t, silent)
	send(t, slow, "\x00\x01big\x00octet\x00")
	block := receive(t, slow)
	cancel()
	began := time.Now()
	send(t, slow, "\x00\x04"+string(block[2:4]))
	got := receive(t, slow)
	if binary.BigEndian.Uint16(got) == 3 { // it was quicker
		got = receive(t, slow)
	}
	if binary.BigEndian.Uint16(got) != 5 || !strings.Contains(string(got), errStopping.Error()) {
		t.Errorf("the slow client is told %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("Serve took %s to end", took)
	}
	for range 2 {
		if done := <-ended; !errors.Is(done.Err, errStopping) {
			t.Errorf("reported as %+v", done)
		}
	}
	if _, err := conn.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket is still open: %v", err)
	}
}
