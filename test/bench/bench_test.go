package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		main() // a part of a trial, below
		return
	}
	os.Exit(m.Run())
}

// Every measure at a small scale, so that none is broken when it is needed.
func TestMeasures(t *testing.T) {
	for _, p := range []struct{ program, debianPackage string }{
		{"ipmi_sim", "openipmi"}, {"ipmitool", "ipmitool"}, {"ipmipower", "freeipmi-tools"}, {"conmand", "conman"}, {"dnsmasq", "dnsmasq-base"},
		{"kea-dhcp4", "kea-dhcp4-server"}, {"perfdhcp", "kea-admin"}, {"g++", "g++"},
	} {
		if _, err := exec.LookPath(p.program); err != nil {
			leaveOut(t, fmt.Sprintf("%s is missing: install the Debian package %s", p.program, p.debianPackage))
		}
	}
	if _, err := os.Stat(tftpdFolder()); err != nil {
		leaveOut(t, "TFTP servers are missing, test/packages.sh unpacks them: "+err.Error())
	}
	if err := privileged(); err != nil {
		leaveOut(t, err.Error())
	}
	var all []row
	for _, m := range measures {
		rows, err := m.take(t.Context(), &director{dir: t.TempDir(), small: true})
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		for _, r := range rows {
			if strings.Contains(r.Target, "byte for byte") && !r.Met || strings.Contains(r.Target, "nothing lost") && !strings.HasPrefix(r.Ours, "nothing lost") {
				t.Errorf("%s: %s; the target is %q", r.Measure, r.Ours, r.Target)
			}
		}
		all = append(all, rows...)
	}
	var report bytes.Buffer
	if err := writeReport(t.Context(), &report, all, nil, time.Now(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(report.String(), "\n| "); lines != len(all)+1 {
		t.Errorf("the report has %d lines of a table, for %d rows and a head:\n%s", lines, len(all), &report)
	}
}

// leaveOut skips a test, which must not be with CI=true.
func leaveOut(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func TestParsePerfdhcp(t *testing.T) {
	const report = `
***Statistics for: DISCOVER-OFFER***
sent packets: 999
drops ratio: 0.5 %

min delay: 0.3 ms
avg delay: 1.250 ms

***Statistics for: REQUEST-ACK***
drops ratio: 0 %
avg delay: 0.750 ms
`
	if took, lost, err := parsePerfdhcp(report); err != nil || took != 2*time.Millisecond || lost != 0.005 {
		t.Errorf("%s, %v lost, %v", took, lost, err)
	}
	if _, _, err := parsePerfdhcp("avg delay: min delay: n/a\navg delay: n/a\ndrops ratio: -nan %"); err == nil {
		t.Error("nothing was measured, and that is no error")
	}
}

func TestQuantiles(t *testing.T) {
	var s sample
	for i := range 200 {
		s = append(s, time.Duration((i*7)%200)) // 0 to 199 in another order
	}
	for q, want := range map[float64]time.Duration{0: 0, 0.5: 100, 0.99: 198, 1: 199} {
		if got := s.quantile(q); got != want {
			t.Errorf("quantile %v of 0 to 199: %d, want %d", q, got, want)
		}
	}
	if got := (sample{}).median(); got != 0 {
		t.Errorf("median of nothing: %v", got)
	}
}

func TestSickBMCsAreSpread(t *testing.T) {
	b := Boards{Well: 900, Sick: 100}
	for i := 0; i < 1000; i += 100 {
		sick := 0
		for k := i; k < i+100; k++ {
			if _, s := b.sick(k); s {
				sick++
			}
		}
		if sick != 10 {
			t.Errorf("of BMCs %d to %d, %d are sick", i, i+99, sick)
		}
	}
	if _, sick := (Boards{Well: 3}).sick(1); sick {
		t.Error("a BMC is sick where all are well")
	}
}

// The relay must do what it says, or the figure behind it says nothing.
func TestBadNetwork(t *testing.T) {
	const packets = 10_000
	next := 0
	read := func(p []byte) (int, error) {
		if next == packets {
			return 0, os.ErrClosed
		}
		next++
		return copy(p, fmt.Sprint(next-1)), nil
	}
	var out []int
	pass(faults{lost: 0.05, doubled: 0.05, late: 0.05}, rand.New(rand.NewPCG(1, 1)), read, func(p []byte) {
		var n int
		if _, err := fmt.Sscan(string(p), &n); err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	})
	late, newest := 0, -1
	for _, n := range out {
		if n < newest {
			late++
		}
		newest = max(newest, n)
	}
	slices.Sort(out)
	distinct := len(slices.Compact(slices.Clone(out)))
	for what, n := range map[string]int{"lost": packets - distinct, "doubled": len(out) - distinct, "late": late} {
		if n < 400 || n > 600 {
			t.Errorf("%d of %d are %s, want about 500", n, packets, what)
		}
	}
}

func TestPrintoutsDiffer(t *testing.T) {
	const n = 50_000
	a, b := printout(1, n), printout(2, n)
	if len(a) != n {
		t.Errorf("%d bytes, want %d", len(a), n)
	}
	seen := make(map[string]bool)
	for _, line := range append(strings.Split(a, "\n"), strings.Split(b, "\n")...) {
		if seen[line] {
			t.Fatalf("line %q comes twice", line)
		}
		seen[line] = true
	}
}

func TestReportSaysWhatWasNotMeasured(t *testing.T) {
	var report bytes.Buffer
	err := writeReport(t.Context(), &report, []row{{Measure: "µ", Ours: "1", Target: "2", Met: true}}, []error{os.ErrPermission}, time.Now(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| µ       | 1    | –    | –           | 2      | yes |\n", "Not measured: permission denied"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("no %q in\n%s", want, &report)
		}
	}
}
