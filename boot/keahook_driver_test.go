package boot

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// keaParsers is a running boot/kea-hook/parsers: what our library for Kea
// reads of others, compiled with AddressSanitizer and UndefinedBehaviorSanitizer.
type keaParsers struct {
	t      *testing.T
	in     io.Writer
	out    *bufio.Reader
	stderr *bytes.Buffer
	wait   func() error
}

// startKeaParsers builds the program, where its sources have changed, and
// starts it. It has to end well with the test: without a leak.
func startKeaParsers(t *testing.T, args ...string) *keaParsers {
	t.Helper()
	need(t, "make", "make")
	need(t, "g++", "g++")
	needHeader(t, "kea/hooks/hooks.h", "kea-dev")
	needHeader(t, "boost/version.hpp", "libboost-dev")
	program, err := filepath.Abs("../bin/kea-hook-parsers/parsers")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "make", "-s", "-j2", "-f", "boot/kea-hook/parsers/Makefile", "OUT="+program)
	build.Dir = ".."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, text)
	}
	p := &keaParsers{t: t, stderr: new(bytes.Buffer)}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=1", "UBSAN_OPTIONS=print_stacktrace=1",
		"KEA_LOCKFILE_DIR="+t.TempDir())
	cmd.Stderr = p.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in, p.out, p.wait = in, bufio.NewReader(out), cmd.Wait
	return p
}

func needHeader(t *testing.T, header, debianPackage string) {
	t.Helper()
	_, err := os.Stat("/usr/include/" + header)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: install Debian's package %s", header, debianPackage)
	default:
		t.Skipf("%s is missing: install Debian's package %s", header, debianPackage)
	}
}

// end ends the program, which the sanitizers have something to say to.
func (p *keaParsers) end() {
	p.t.Helper()
	_ = p.in.(io.Closer).Close() // it may have ended already
	if err := p.wait(); err != nil {
		p.t.Errorf("the parsers end with %v:\n%s", err, p.stderr)
	}
}

// ask has the program read content. It returns what was read of it, or why
// nothing was.
func (p *keaParsers) ask(kind byte, content string) (text string, ok bool) {
	p.t.Helper()
	request := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content)))
	_, err := p.in.Write(append(request, content...))
	var head [5]byte
	if err == nil {
		_, err = io.ReadFull(p.out, head[:])
	}
	if err == nil {
		var answer [1 << 16]byte
		size := binary.BigEndian.Uint32(head[1:])
		if _, err = io.ReadFull(p.out, answer[:size]); err == nil {
			return string(answer[:size]), head[0] == '+'
		}
	}
	end := p.wait()
	p.t.Fatalf("%c %q ends the parsers: %v, %v\n%s", kind, content, err, end, p.stderr)
	return "", false
}

// lines reads "name value" lines.
func lines(text string) map[string]string {
	values := make(map[string]string)
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, " ")
		values[name] = value
	}
	return values
}

// mutator makes up input from samples: bytes that are changed, lost, doubled or
// let in between, parts of one sample in another, and words at which parsers
// have stumbled.
type mutator struct {
	random  *rand.Rand
	samples []string
	words   []string
}

func (m mutator) next() string {
	s := []byte(m.samples[m.random.IntN(len(m.samples))])
	for range m.random.IntN(5) {
		at := m.random.IntN(len(s) + 1)
		end := at + m.random.IntN(len(s)-at+1)
		switch m.random.IntN(8) {
		case 0: // bytes that are others
			for i := at; i < min(end, at+4); i++ {
				s[i] = byte(m.random.Uint32())
			}
		case 1: // one bit
			if at < len(s) {
				s[at] ^= 1 << m.random.IntN(8)
			}
		case 2: // a part is lost
			s = append(s[:at:at], s[end:]...)
		case 3: // a part comes twice
			s = append(s[:end:end], s[at:]...)
		case 4: // it is cut off
			s = s[:at]
		case 5: // the rest is another's
			other := m.samples[m.random.IntN(len(m.samples))]
			s = append(s[:at:at], other[m.random.IntN(len(other)+1):]...)
		case 6: // a word in between
			s = fmt.Appendf(nil, "%s%s%s", s[:at], m.words[m.random.IntN(len(m.words))], s[at:])
		case 7: // a word in the place of a part
			s = fmt.Appendf(nil, "%s%s%s", s[:at], m.words[m.random.IntN(len(m.words))], s[end:])
		}
	}
	return string(s)
}
