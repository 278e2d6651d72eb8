// Command bench measures what this product promises, beside the programs that
// people use otherwise, and prints a table.
//
// The peers (ipmitool, FreeIPMI's ipmipower, conmand) are processes that talk
// to the same simulated BMCs, in turns with ours, or (tftpd-hpa, atftpd, dnsmasq)
// serve the same files to the same client; Kea is its own peer, without our library. What is measured of ours, too, is a
// process of its own: this program, started again in a role. It needs Linux, and
// root for the UDP ports 623 and 69, which some peers insist on. A figure that
// misses its target is no error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	out := flag.String("o", "", "the `file` to write the table to, with the machine that it is of")
	which := flag.String("run", "", "measure only what matches this regular `expression`: "+strings.Join(measureNames(), ", "))
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *which, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// measures in the order of the table.
var measures = []struct {
	name string
	take func(context.Context, *director) ([]row, error)
}{
	{"echo", keyEcho},
	{"loss", badNetwork},
	{"consoles", consoles},
	{"power", powerStates},
	{"dead", powerWithDead},
	{"tftp", tftpThroughput},
	{"tftploss", tftpLoss},
	{"tftpboot", tftpBoots},
	{"upload", uploads},
	{"hook", dhcpHook},
	{"kea", keaHook},
	{"api", apiMachines},
	{"events", eventStreams},
}

func measureNames() (names []string) {
	for _, m := range measures {
		names = append(names, m.name)
	}
	return names
}

// director says how much is measured, and where files are put meanwhile.
type director struct {
	dir   string
	small bool // a trial that everything works, not a measurement
}

func (d *director) scale(full, trial int) int {
	if d.small {
		return trial
	}
	return full
}

func (d *director) duration(full, trial time.Duration) time.Duration {
	if d.small {
		return trial
	}
	return full
}

// leftOut says why something cannot be measured here, which is no error.
type leftOut struct{ why error }

func (l leftOut) Error() string { return l.why.Error() }
func (l leftOut) Unwrap() error { return l.why }

// run takes the measures whose name matches, and writes the table. It returns
// the errors of those that failed, after all others were taken.
func run(ctx context.Context, which, out string) (err error) {
	pattern, err := regexp.Compile(which)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	d := &director{}
	if d.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()

	began := time.Now()
	var rows []row
	var failed, untaken []error
	for _, m := range measures {
		if !pattern.MatchString(m.name) {
			continue
		}
		taken, err := m.take(ctx, d)
		if err != nil {
			err = fmt.Errorf("%s: %w", m.name, err)
			fmt.Fprintln(os.Stderr, "bench:", err)
			untaken = append(untaken, err)
			if !errors.As(err, new(leftOut)) && !errors.Is(err, exec.ErrNotFound) {
				failed = append(failed, err)
			}
		}
		for _, r := range taken {
			if err := writeRow(os.Stdout, r); err != nil {
				return err
			}
		}
		rows = append(rows, taken...)
	}
	var report strings.Builder
	if err := writeReport(ctx, &report, rows, untaken, began, time.Since(began)); err != nil {
		return err
	}
	if out == "" {
		_, err = io.WriteString(os.Stdout, report.String())
	} else {
		err = writeFile(out, report.String())
	}
	return errors.Join(err, errors.Join(failed...))
}

// writeFile replaces a file, and leaves the old one where that fails.
func writeFile(name, text string) error {
	next := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".new")
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(next, name)
}

func writeReport(ctx context.Context, w io.Writer, rows []row, untaken []error, began time.Time, took time.Duration) error {
	host := machine()
	_, err := fmt.Fprintf(w, `# Benchmarks

Written by `+"`make bench`"+`, which measures all of it in one run, on loopback: ours and the peer in turns, on the same simulated
BMCs, and all of them on the same cores. The comments in `+"`test/bench`"+` say what each row is.

- measured: %s, in %s
- processor: %s, %d cores
- kernel: %s
- Go: %s
- peers: %s

`, began.UTC().Format("2006-01-02 15:04 UTC"), took.Round(time.Second), host.processor, runtime.NumCPU(), host.kernel, runtime.Version(), peers(ctx))
	if err != nil {
		return err
	}
	if err := writeMarkdown(w, rows); err != nil {
		return err
	}
	for _, u := range untaken {
		if _, err := fmt.Fprintf(w, "\nNot measured: %v\n", u); err != nil {
			return err
		}
	}
	return nil
}

// peers are the Debian packages that ours is compared with, and their versions.
func peers(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Package} ${Version}, ",
		"conman", "dnsmasq-base", "freeipmi-tools", "ipmitool", "kea-dhcp4-server", "openipmi").Output()
	if err != nil {
		return "of unknown versions"
	}
	for line := range strings.Lines(tftpdVersions()) {
		out = append(out, strings.ReplaceAll(strings.TrimSpace(line), "\t", " ")+", "...)
	}
	return strings.TrimSuffix(string(out), ", ")
}

type hostFacts struct{ processor, kernel string }

// machine says what the figures were measured on.
func machine() hostFacts {
	facts := hostFacts{processor: "unknown", kernel: "unknown"}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
				facts.processor = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		facts.kernel = "Linux " + strings.TrimSpace(string(text))
	}
	return facts
}
