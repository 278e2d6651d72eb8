package boot

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// What our endpoint answers, and what breaks it.
var (
	keaAnswers = []string{
		`{"options":[]}`,
		`{"options":[{"option":67,"value":"bootloaders/amd64/uefi/grubx64.efi"},{"option":12,"value":"web-01"}],"next-server":"10.0.0.1","ipv4":"10.0.0.9"}`,
		`{"options":[{"option":67,"value":"http://10.0.0.1:8080/a"},{"option":60,"value":"HTTPClient"}],"next-server":"10.0.0.1"}`,
		`{"options":[{"option":200,"value":{"a":[1.5,true,null,"\u0041\n"]}}],"next-server":null,"more":-1e3}`,
		`[[[[[[[[]]]]]]]]`, `"text"`, ` `,
	}
	keaJSONWords = []string{
		strings.Repeat("[", 10_000), strings.Repeat(`{"a":`, 9), strings.Repeat("x", 300), `\`, `"`, `\u0000`, `\u00ff`, `\ud800`, `\uffff`, "\x00", "\xff\xfe", "é",
		"99999999999999999999", "-9223372036854775809", "1e999", "-", "0x1", "nan", "true", "null", "/*", "//", "#", "{}", "[]", ",", ":", "::1", "0.0.0.0", "255.255.255.255",
		`"option"`, `"options"`, `"value":`, `{"option":67,"value":"a"}`,
	}
	keaHeads = []string{
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\r\n{\"options\":[]}",
		"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"HTTP/1.0 404 Not Found\r\nX-A: b\r\ncontent-length:  3 \r\n\r\nno\n",
		"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
	}
	keaHeadWords = []string{
		"\r\n", "\r\n\r\n", "\r", "\n", ":", " ", "\t", "\x00", "\xff", "HTTP/1.1", "Content-Length: 16384\r\n", "Content-Length: 18446744073709551616\r\n",
		"Content-Length: 18446744073709551615\r\n", "Content-Length: -1\r\n", "Content-Length:\r\n", "Content-Length: 0x10\r\n", "Connection:\r\n", "Transfer-Encoding: \r\n",
		strings.Repeat("A", 20_000), "X: " + strings.Repeat(" ", 300) + "\r\n", "999", "-20", "+20", "0",
	}
	keaURLs     = []string{"http://10.0.0.1:8080/dhcp", "http://127.0.0.1", "http://[2001:db8::1]:80/a/b/", "http://[::1]"}
	keaURLWords = []string{"[", "]", ":", "/", "@", "http://", "65535", "65536", "0", "-1", "::", "%eth0", "\x00", "\xff", " ", "\n", "?", "#", strings.Repeat("9", 300)}
	keaSettings = []string{
		`{"url":"http://10.0.0.1/dhcp","timeout-ms":200}`, `{"url":"http://[::1]:8080","timeout-ms":10,"secret-file":"/nowhere"}`,
		`{"url":"http://10.0.0.1","secret-file":"/dev/null"}`, `{"url":7,"timeout-ms":"200","secret-file":[]}`,
	}
)

// TestKeaHookReadsWhatWeAnswer has the library read what the endpoint writes,
// and the endpoint what the library does.
func TestKeaHookReadsWhatWeAnswer(t *testing.T) {
	p := startKeaParsers(t)
	defer p.end()
	random := rand.New(rand.NewPCG(1, 2))
	text := func(most int) string {
		b := make([]byte, random.IntN(most+1))
		for i := range b {
			b[i] = byte(' ' + random.IntN('~'-' '+1))
		}
		return string(b)
	}
	for range 2000 {
		answer := DHCPAnswer{BootFile: text(maxDHCPText), HTTP: random.IntN(2) == 0, Hostname: text(63), NextServer: netip.AddrFrom4([4]byte{10, 1, 2, byte(random.Uint32())})}
		if random.IntN(2) == 0 {
			answer.IPv4 = netip.AddrFrom4([4]byte{192, 0, 2, byte(random.Uint32())})
		}
		body, err := encodeAnswer(answer)
		if err != nil {
			t.Fatal(err)
		}
		want := "next-server \nreserved "
		if answer.BootFile != "" {
			want = "next-server " + answer.NextServer.String() + "\nreserved "
		}
		if answer.IPv4.IsValid() {
			want += answer.IPv4.String()
		}
		want += "\nboot-file " + answer.BootFile + "\nvendor-class "
		if answer.HTTP && answer.BootFile != "" {
			want += vendorHTTP
		}
		want += "\nhost-name " + answer.Hostname
		if got, ok := p.ask('j', string(body)); !ok || got != want {
			t.Fatalf("%s is read as %q, want %q", body, got, want)
		}
	}
	for range 2000 {
		said := make([]byte, random.IntN(300))
		want := make([]rune, len(said))
		for i := range said {
			said[i] = byte(random.Uint32())
			want[i] = rune(said[i])
		}
		quoted, ok := p.ask('s', string(said))
		var got string
		if err := json.Unmarshal([]byte(quoted), &got); !ok || err != nil || got != string(want) {
			t.Fatalf("%q is written as %s, which is %q, %v", said, quoted, got, err)
		}
	}
}

// TestKeaHookTakesAnything has the library read what nobody should send.
func TestKeaHookTakesAnything(t *testing.T) {
	for _, test := range []struct {
		name    string
		kind    byte
		samples []string
		words   []string
		check   func(p *keaParsers, input, read string) error
	}{
		{"answers", 'j', keaAnswers, keaJSONWords, checkKeaAnswer},
		{"heads", 'h', keaHeads, keaHeadWords, checkKeaHead},
		{"URLs", 'u', keaURLs, keaURLWords, checkKeaURL},
		{"parameters", 'p', keaSettings, append(keaURLWords, keaJSONWords[2:]...), checkKeaParameters},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startKeaParsers(t)
			defer p.end()
			m := mutator{rand.New(rand.NewPCG(3, 4)), test.samples, test.words}
			read, refused := 0, 0
			for range 10_000 {
				input := m.next()
				text, ok := p.ask(test.kind, input)
				if !ok {
					refused++
					if text == "" {
						t.Fatalf("%q is refused without a word", input)
					}
					continue
				}
				read++
				if err := test.check(p, input, text); err != nil {
					t.Fatalf("%q is read as %q: %v", input, text, err)
				}
			}
			if read < 100 || refused < 100 {
				t.Errorf("%d were read and %d refused: that tries little", read, refused)
			}
		})
	}
}

func checkKeaAnswer(_ *keaParsers, _, read string) error {
	values := lines(read)
	if len(values) != 5 {
		return errors.New("not five lines")
	}
	for name, value := range values {
		address, err := netip.ParseAddr(value)
		switch {
		case len(value) > maxDHCPText || printable(value) != value:
			return fmt.Errorf("%s is too long, or cannot be printed", name)
		case value != "" && (name == "next-server" || name == "reserved") && (err != nil || !address.Is4() || address.IsUnspecified()):
			return fmt.Errorf("%s is no address", name)
		}
	}
	if values["boot-file"] != "" && values["next-server"] == "" {
		return errors.New("a boot file without next-server")
	}
	return nil
}

// checkKeaHead compares with what Go reads, where Go reads it.
func checkKeaHead(p *keaParsers, input, read string) error {
	if read == "incomplete" {
		if strings.Contains(input, "\r\n\r\n") {
			return errors.New("but the head has ended")
		}
		return nil
	}
	var status, size, length int
	var rest string
	if n, err := fmt.Sscan(read, &status, &size, &length, &rest); n != 4 {
		return err
	}
	if status < 200 || status > 999 || size > len(input) || length < 0 || length > 16<<10 || !strings.HasSuffix(input[:size], "\r\n\r\n") {
		return errors.New("out of range")
	}
	if again, ok := p.ask('h', input[:size]); !ok || again != read {
		return fmt.Errorf("without what follows: %q", again)
	}
	if short, ok := p.ask('h', input[:size-1]); ok && short != "incomplete" {
		return fmt.Errorf("without its last byte: %q", short)
	}
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(input)), nil)
	if err != nil {
		return nil // Go is stricter in places
	}
	defer response.Body.Close()
	if response.ContentLength >= 0 && (response.StatusCode != status || response.ContentLength != int64(length)) {
		return fmt.Errorf("Go reads status %d and %d bytes", response.StatusCode, response.ContentLength)
	}
	return nil
}

func checkKeaURL(_ *keaParsers, input, read string) error {
	values := strings.Split(read, "\n")
	if len(values) != 3 {
		return errors.New("not three lines")
	}
	port, err := strconv.ParseUint(values[1], 10, 16)
	if _, bad := netip.ParseAddr(values[0]); bad != nil || err != nil || port == 0 || strings.HasSuffix(values[2], "/") {
		return errors.New("host, port or path cannot be")
	}
	parsed, err := url.Parse(input)
	if err != nil {
		return nil //nolint:nilerr // Go looks at what comes after the port, too
	}
	wantPort := parsed.Port()
	if wantPort == "" {
		wantPort = "80"
	}
	if want, _ := strconv.ParseUint(wantPort, 10, 16); parsed.Hostname() != values[0] || want != port {
		return fmt.Errorf("Go reads %s and port %s", parsed.Hostname(), wantPort)
	}
	return nil
}

func checkKeaParameters(_ *keaParsers, _, read string) error {
	values := strings.Split(read, "\n")
	if len(values) != 3 {
		return errors.New("not three lines")
	}
	limit, err := strconv.Atoi(values[1])
	if _, bad := netip.ParseAddr(values[0]); bad != nil || err != nil || limit < 10 || limit > 5000 || values[2] != "" {
		return errors.New("host, limit or secret cannot be")
	}
	return nil
}

func TestKeaHookReadsASecret(t *testing.T) {
	p := startKeaParsers(t)
	defer p.end()
	file := filepath.Join(t.TempDir(), "secret")
	for content, want := range map[string]string{
		"hunter2\n": "hunter2", "hunter2": "hunter2", "hunter2\nmore": "hunter2", strings.Repeat("x", 1<<16-100): strings.Repeat("x", 1<<16-100),
		"": "", "\n": "", "hunter 2": "", "hunter2\r\n": "", "hunter\x002": "", "hünter2": "", "hunter2\xff": "",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, ok := p.ask('p', `{"url":"http://10.0.0.1","secret-file":"`+file+`"}`)
		if ok != (want != "") || ok && got != "10.0.0.1\n200\n"+want || !ok && strings.Contains(got, "hunter") {
			t.Errorf("%.20q is read as %.60q, %t", content, got, ok)
		}
	}
}

// TestKeaHookAsksAnEndpointThatIsNone lets something else answer the library's
// HTTP client: whatever comes, an answer that is good is read as it is.
func TestKeaHookAsksAnEndpointThatIsNone(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &strangeServer{random: rand.New(rand.NewPCG(5, 6))}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer listener.Close()
	serving.Go(func() { // until the listener is closed
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { server.serve(conn) }) // until the library ends
		}
	})
	p := startKeaParsers(t, "http://"+listener.Addr().String()+"/dhcp", "5000")
	defer p.end()
	const good = `{"options":[{"option":12,"value":"web-01"}]}`
	respond := func(status, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}
	random := rand.New(rand.NewPCG(7, 8))
	seen := mutator{random, append(keaHeads, respond("200 OK", "")), keaHeadWords}
	answer := mutator{random, append(keaHeads, respond("200 OK", keaAnswers[1]), respond("200 OK", keaAnswers[2])), append(keaHeadWords, keaJSONWords...)}
	read, refused := 0, 0
	for i := range 3000 {
		said := string(make([]byte, i%300)) + "\xff\"\\"
		if i%3 == 0 {
			server.say(respond("200 OK", ""), respond("200 OK", good), false)
			if got, ok := p.ask('a', said); !ok || lines(got)["host-name"] != "web-01" {
				t.Fatalf("a good answer is read as %q, %t", got, ok)
			}
			continue
		}
		first, second := respond("200 OK", ""), answer.next()
		if i%3 == 1 {
			first, second = seen.next(), respond("200 OK", good)
		}
		server.say(first, second, true)
		got, ok := p.ask('a', said)
		if !ok {
			refused++
			continue
		}
		read++
		if err := checkKeaAnswer(p, second, got); err != nil && got != "unknown" {
			t.Fatalf("%q and %q are read as %q: %v", first, second, got, err)
		}
	}
	if read < 100 || refused < 100 {
		t.Errorf("%d were read and %d refused: that tries little", read, refused)
	}
}

// strangeServer answers HTTP requests with what it is told to say, in pieces.
type strangeServer struct {
	mu           sync.Mutex
	random       *rand.Rand
	seen, answer string // to POST, to GET
	hangUp       bool   // after each
}

func (s *strangeServer) say(seen, answer string, hangUp bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.answer, s.hangUp = seen, answer, hangUp
}

func (s *strangeServer) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		s.mu.Lock()
		text, hangUp := s.answer, s.hangUp
		if request.Method == http.MethodPost {
			text = s.seen
		}
		cut := s.random.IntN(len(text) + 1)
		s.mu.Unlock()
		for _, part := range []string{text[:cut], text[cut:]} {
			if _, err := io.WriteString(conn, part); err != nil {
				return
			}
		}
		if hangUp {
			return
		}
	}
}
