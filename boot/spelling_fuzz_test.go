package boot

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzMACSpellings writes an address in every common way: each is read as the
// same, or refused with the rest.
func FuzzMACSpellings(f *testing.F) {
	f.Add([]byte{0x52, 0x54, 0, 0xab, 0xcd, 0xef}, "x")
	f.Add([]byte{1, 2, 3, 4, 5, 6}, ":")
	f.Add(make([]byte, 6), "-")
	f.Fuzz(func(t *testing.T, address []byte, more string) {
		if len(address) != 6 {
			return
		}
		mac := net.HardwareAddr(address)
		machine := address[0]&1 == 0 && !bytes.Equal(address, make([]byte, 6))
		colons, bare := mac.String(), fmt.Sprintf("%x", address)
		for _, spelling := range []string{
			colons, strings.ReplaceAll(colons, ":", "-"), strings.ReplaceAll(colons, ":", "."), bare,
			bare[:4] + "." + bare[4:8] + "." + bare[8:], bare[:4] + "-" + bare[4:8] + "-" + bare[8:], bare[:4] + ":" + bare[4:8] + ":" + bare[8:],
			bare[:6] + "-" + bare[6:], bare[:6] + ":" + bare[6:],
		} {
			for _, s := range []string{spelling, strings.ToUpper(spelling)} {
				if got, err := ParseMAC(s); (err == nil) != machine || err == nil && !bytes.Equal(got, mac) {
					t.Errorf("ParseMAC(%q) = %v, %v", s, got, err)
				}
				if more != "" { // what is more than an address is none
					for _, longer := range []string{s + more, more + s} {
						if got, err := ParseMAC(longer); err == nil {
							t.Errorf("ParseMAC(%q) = %v", longer, got)
						}
					}
				}
			}
		}
		// A digit that is missing is a slip, and not a zero in front of a byte.
		short := fmt.Sprintf("%x:%x:%x:%x:%x:%x", address[0], address[1], address[2], address[3], address[4], address[5])
		if got, err := ParseMAC(short); short != colons && err == nil {
			t.Errorf("ParseMAC(%q) = %v", short, got)
		}
	})
}

// FuzzOpenInRoot asks for any name, in a folder with links that lead out of it.
func FuzzOpenInRoot(f *testing.F) {
	for _, name := range []string{
		"file", `\folder\inside`, "outside", "absolute", "up/secret", "../secret", "folder/../../secret", "up/root/file", "fifo", "loop", "file\x00", "file/.", "\xff",
		"//file", "folder//./inside", "up/./secret", `up\secret`, "/proc/self/environ", "empty",
	} {
		f.Add(name)
	}
	root := makeRoot(f)
	f.Fuzz(func(t *testing.T, name string) {
		file, err := OpenInRoot(root, name)
		if err != nil {
			return
		}
		defer file.Close()
		content, err := io.ReadAll(file)
		if text := string(content); err != nil || text != "content" && text != "" || file.Size() != int64(len(content)) {
			t.Errorf("%q holds %q, %v", name, text, err)
		}
	})
}

// FuzzDHCPHookQuery asks the hook what a machine boots, by any query and any
// address of a caller.
func FuzzDHCPHookQuery(f *testing.F) {
	f.Add("hwaddr=52:54:00:00:00:01", "10.0.0.1:1", "Bearer hunter2")
	f.Add("hwaddr=%zz&hwaddr=525400000001;x", "[fe80::1%eth0]:1", "bearer hunter2")
	f.Add("hwaddr=01-00-5e-00-00-01", "[::ffff:10.0.0.1]:65536", "")
	handler := DHCPGuard{Secret: "hunter2"}.Guard(DHCPHandler(&fakeAnswers{answer: proxyFile}, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, query, from, authorization string) {
		request := httptest.NewRequest(http.MethodGet, "/ipv4", nil)
		request.URL = &url.URL{Path: "/ipv4", RawQuery: query}
		request.RemoteAddr = from
		request.Header["Authorization"] = []string{authorization}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		switch recorder.Code {
		case 200:
			if authorization != "Bearer hunter2" && authorization != "hunter2" {
				t.Errorf("%q is let in", authorization)
			}
		case 400, 401, 403, 404:
		default:
			t.Errorf("%d %s", recorder.Code, recorder.Body)
		}
	})
}
