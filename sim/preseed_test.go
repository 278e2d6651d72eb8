package sim

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestPhoneHomeCallsInAPreseed(t *testing.T) {
	get := func(program, url string) call {
		return call{program: program, method: http.MethodGet, url: url, failsOnStatus: program == "wget"}
	}
	post := func(program, url, body string) call {
		return call{program: program, method: http.MethodPost, url: url, body: body, failsOnStatus: program == "wget"}
	}
	const u = "http://10.0.0.1:8080/done/x?a=1&b=2"
	with := func(c call, change func(*call)) call { change(&c); return c }
	mayFail := func(c *call) { c.mayFail = true }
	fails := func(c *call) { c.failsOnStatus = true }
	tests := []struct {
		line string
		want []call
	}{
		{"d-i preseed/late_command string wget -O /dev/null '" + u + "'", []call{get("wget", u)}},
		{"d-i preseed/late_command string in-target curl -fsS -X POST \"" + u + "\"", []call{with(post("curl", u, ""), fails)}},
		{"curl -XPOST '" + u + "'", []call{post("curl", u, "")}},
		{"curl -fX PUT --retry 3 -H 'A: http://no/' '" + u + "'", []call{with(get("curl", u), func(c *call) { c.method, c.failsOnStatus = "PUT", true })}},
		{"curl --fail -o /dev/null --request=post --url '" + u + "'", []call{with(post("curl", u, ""), fails)}},
		{"curl -d 'state=done now' '" + u + "'", []call{post("curl", u, "state=done now")}},
		{"curl -sd state=done '" + u + "' || true", []call{with(post("curl", u, "state=done"), mayFail)}},
		{"/usr/bin/curl -F a=b -O '" + u + "' >/dev/null 2>&1 || :", []call{with(post("curl", u, ""), mayFail)}},
		{"wget -q -O- --post-data='' '" + u + "'; true", []call{post("wget", u, "")}},
		{"wget -qO- --post-data 'a b' '" + u + "'", []call{post("wget", u, "a b")}},
		{"wget -qO - --method=DELETE '" + u + "' && echo || true", []call{with(get("wget", u), func(c *call) { c.method = "DELETE" })}},
		{"x string in-target sh -c 'sleep 1; curl -X POST \"http://a/b\"'", []call{post("curl", "http://a/b", "")}},
		{"$(curl http://a/b) `wget http://a/c`; (wget http://a/d)", []call{get("curl", "http://a/b"), get("wget", "http://a/d")}},
		{"a; \\\n  wget \\\n  -q http://a/b \\\n", []call{get("wget", "http://a/b")}},
		{"wget -q http://a/b\r\n", []call{get("wget", "http://a/b")}},
		{"  # wget http://a/b", nil},
		{"d-i pkgsel/include string curl wget", nil},
		{"curl", nil},
		{"curl -X", nil},
		{"curl ftp://a/b -", nil},
		{"echo mywget http://a/b", nil},
		{strings.Repeat("wget http://a/b\n", 20), func() (all []call) {
			for range preseedCalls {
				all = append(all, get("wget", "http://a/b"))
			}
			return all
		}()},
	}
	for _, tt := range tests {
		if got := phoneHomeCalls(tt.line, false); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s\n got %+v\nwant %+v", tt.line, got, tt.want)
		}
	}
	if got := phoneHomeCalls("<source>curl 'http://a/?b=1&amp;c=2'</source>", true); len(got) != 1 || got[0].url != "http://a/?b=1&c=2" {
		t.Errorf("in XML: %+v", got)
	}
}

func TestEachInstallerReadsItsPreseed(t *testing.T) {
	tests := []struct{ option, preseed, login string }{
		{"url", "d-i netcfg/get_hostname string web-1.lab.example\n", "Debian GNU/Linux 12 (bookworm) web-1 ttyS0"},
		{"ks", "network --bootproto=dhcp --hostname=web-2\n%post\ncurl -X POST URL/done\n%end\n", "Rocky Linux 9.5 (Blue Onyx) web-2 ttyS0"},
		{"inst.ks", "network --hostname web_3\n", "Rocky Linux 9.5 (Blue Onyx) web-3 ttyS0"},
		{"autoyast", "<hostname>web-4</hostname><source><![CDATA[\ncurl URL/done\n]]></source>", "openSUSE Leap 15.6 web-4 ttyS0"},
		{"url", "# nothing\n", "Debian GNU/Linux 12 (bookworm) node-01 ttyS0"},
		{"url", "d-i netcfg/hostname string ...\n", "Debian GNU/Linux 12 (bookworm) localhost ttyS0"},
	}
	for _, tt := range tests {
		t.Run(tt.login, func(t *testing.T) {
			s := newSite(t)
			s.change(func() {
				s.once = true
				s.preseed = strings.ReplaceAll(tt.preseed, "URL", s.http.URL)
				s.files["grub/grub.cfg"] = []byte("linux /k/vmlinuz " + tt.option + "=" + s.http.URL + "/preseed\nboot\n")
				delete(s.files, "grub/grub.cfg-01-52-54-00-12-34-56")
			})
			m := newMachine(t, Config{Network: s.network()})
			m.SetPower(true)
			wantInOrder(t, output(m), "Retrieving", "Configuring hostname", "\r\n"+tt.login+"\r\n")
			if strings.Contains(tt.preseed, "/done") != (len(s.asked("/done")) == 1) {
				t.Errorf("phone-home calls: %q", s.asked("/done"))
			}
		})
	}
}

func TestKernelOptionsAreSplitAsTheKernelDoes(t *testing.T) {
	got := kernelOptions(`BOOT_IMAGE=/k  "a=b c" d="e f"	url=http://x/?a="b`)
	want := []string{"BOOT_IMAGE=/k", "a=b c", "d=e f", "url=http://x/?a=b"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzPreseed looks for calls and host names in anything.
func FuzzPreseed(f *testing.F) {
	f.Add("d-i preseed/late_command string in-target sh -c 'curl -fsSX POST \"http://a/b\"' || true", false)
	f.Add("wget -qO- --post-data='' \\\n http://a/&amp;b >/dev/null 2>&1", true)
	f.Add("curl -X", false)
	f.Fuzz(func(t *testing.T, preseed string, isXML bool) {
		calls := phoneHomeCalls(preseed, isXML)
		if len(calls) > preseedCalls {
			t.Errorf("%d calls", len(calls))
		}
		for _, c := range calls {
			if c.url == "" || c.method == "" {
				t.Errorf("incomplete: %+v", c)
			}
		}
		if name := hostname(preseed); name == "" || len(name) > 63 {
			t.Errorf("host name %q", name)
		}
	})
}
