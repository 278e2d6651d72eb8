package lab_test

import (
	"io"
	"strings"
	"testing"
)

// TestNobodyReachesTheShellOfABMCThroughTheConsole types what an iDRAC listens
// to, amid what it does not.
func TestNobodyReachesTheShellOfABMCThroughTheConsole(t *testing.T) {
	f := newFixture(t) // its BMCs are Dell's
	machine := <-f.bmcs["bmc-web-01"].opened
	seat, err := f.OpenConsole(t.Context(), f.admin, "web-01")
	f.must(err)
	defer seat.Close()
	f.print(machine, "login: ")
	f.seen(seat, "login: ")

	typed := "root\r\x1c\x1b[A\x1b("
	read := make(chan string)
	go func() { // ends when it has read what is to come
		got := make([]byte, len("root\r\x1b[A\x1b"))
		_, _ = io.ReadFull(machine, got)
		read <- string(got)
	}()
	f.must(seat.Send(t.Context(), []byte(typed)))
	if got := <-read; got != "root\r\x1b[A\x1b" {
		t.Errorf("the machine got %q", got)
	}
	for told := ""; ; {
		out, err := seat.Next(t.Context())
		f.must(err)
		for _, n := range out.Notices {
			told += n.String() + "\n"
		}
		if strings.Contains(told, `not sent: the last key of Ctrl+\ leaves`) && strings.Contains(told, "; ESC ( gives") {
			return
		}
	}
}
