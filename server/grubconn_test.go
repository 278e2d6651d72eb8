package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
)

// GRUB uses the ports of its last start again, so that our kernel must not
// remember a connection that GRUB has closed: a reset is what leaves nothing
// behind.
func TestConnectionsOfGRUBLeaveNothingBehind(t *testing.T) {
	p := start(t)
	for agent, want := range map[string]error{"GRUB 2.06-13+deb12u1": syscall.ECONNRESET, "iPXE/1.21.1": io.EOF} {
		conn, err := net.Dial("tcp", p.HTTPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		from := bufio.NewReader(conn)
		for range 2 { // the connection stays open meanwhile
			if _, err := fmt.Fprintf(conn, "GET /grub/grub.cfg-01-52-54-00-99-99-99 HTTP/1.1\r\nHost: server\r\nUser-Agent: %s\r\n\r\n", agent); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(from, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, response.Body); err != nil || n == 0 || response.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s, %d bytes, %v", agent, response.Status, n, err)
			}
			_ = response.Body.Close()
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := from.ReadByte(); !errors.Is(err, want) {
			t.Errorf("%s closes its connection, and reads %v, want %v", agent, err, want)
		}
	}
}
