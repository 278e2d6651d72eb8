package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// keaHook measures what it costs Kea to ask our hook: perfdhcp's clients, all
// of them machines of ours, get leases from a kea-dhcp4 with our library and
// from one without, in turns. The product runs beside it, with 10,000 machines.
func keaHook(ctx context.Context, d *director) ([]row, error) {
	if err := privileged(); err != nil {
		return nil, err
	}
	for _, program := range []string{"kea-dhcp4", "perfdhcp", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, err
		}
	}
	library := filepath.Join(d.dir, "libprovisioner_kea.so")
	if err := buildKeaHook(ctx, library); err != nil {
		return nil, err
	}
	p, err := startRoleIn(ctx, "kea", syscall.CLONE_NEWNET)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	trial := KeaTrial{
		Dir: filepath.Join(d.dir, "kea"), Library: library, Machines: d.scale(10_000, 100),
		Rate: d.scale(200, 20), Seconds: d.scale(5, 1), Rounds: d.scale(5, 1),
	}
	if err := os.MkdirAll(trial.Dir, 0o700); err != nil {
		return nil, err
	}
	var costs KeaCosts
	if err := p.call(ctx, "Measure", trial, &costs); err != nil {
		return nil, err
	}
	with, without := costs.With.median(), costs.Without.median()
	return []row{{
		Measure: fmt.Sprintf("Kea with our library, %d leases/s, %d machines: from DISCOVER to OFFER and REQUEST to ACK, mean, median of %d",
			trial.Rate, trial.Machines, trial.Rounds),
		Ours: fmt.Sprintf("%s, %s of leases lost", figure(with), percent(costs.WithLost)),
		Peer: fmt.Sprintf("%s, %s (Kea without it)", figure(without), percent(costs.WithoutLost)), Ratio: ratio(with, without),
		Target: "5 ms more at most", Met: with-without <= 5*time.Millisecond && costs.WithLost < 0.01,
	}}, nil
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// buildKeaHook compiles the library, as `make kea-hook` does.
func buildKeaHook(ctx context.Context, out string) error {
	if _, err := os.Stat("/usr/include/kea/hooks/hooks.h"); err != nil {
		return leftOut{fmt.Errorf("the headers of Kea are missing, install Debian's kea-dev: %w", err)}
	}
	goMod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find the sources of the library: %w", err)
	}
	build := exec.CommandContext(ctx, "make", "-f", "boot/kea-hook/Makefile", "OUT="+out)
	build.Dir = filepath.Dir(strings.TrimSpace(string(goMod)))
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("make kea-hook: %w\n%s", err, text)
	}
	return nil
}

// kea is the role of the product and Kea in a network of their own.
type kea struct{}

// KeaTrial is what is measured.
type KeaTrial struct {
	Dir, Library            string
	Machines, Rate, Seconds int
	Rounds                  int
}

// KeaCosts are the mean times that a lease takes, one for each round, and the
// share of exchanges that came to nothing.
type KeaCosts struct {
	With, Without         sample
	WithLost, WithoutLost float64
}

// Measure measures with and without our library, in turns.
func (kea) Measure(t KeaTrial, costs *KeaCosts) error {
	ctx := context.Background()
	if err := ip(ctx, "link", "set", "lo", "up"); err != nil {
		return err
	}
	var at SiteAddress
	if err := (&site{}).Start(Site{Dir: t.Dir, Machines: t.Machines}, &at); err != nil {
		return err
	}
	for range t.Rounds {
		for _, side := range []struct {
			hook string
			took *sample
			lost *float64
		}{{"http://" + at.HTTP + "/dhcp", &costs.With, &costs.WithLost}, {"", &costs.Without, &costs.WithoutLost}} {
			took, lost, err := t.leases(ctx, side.hook)
			if err != nil {
				return err
			}
			*side.took = append(*side.took, took)
			*side.lost += lost / float64(t.Rounds)
		}
	}
	return nil
}

// The two ends of a cable: Kea's, and that of the clients, whose network is
// another, since no host takes packets from its own addresses off a cable.
const keaPort, clientPort = "kea", "clients"

// leases runs Kea for as long as it takes to lend the addresses of a trial.
func (t KeaTrial) leases(ctx context.Context, hook string) (took time.Duration, lost float64, err error) {
	for _, line := range []string{
		"link add " + keaPort + " type veth peer name " + clientPort, "addr add 10.77.0.1/16 dev " + keaPort, "link set " + keaPort + " up", "link set " + clientPort + " up", // Kea listens on cables that are plugged in only
	} {
		if err := ip(ctx, strings.Fields(line)...); err != nil {
			return 0, 0, err
		}
	}
	defer func() { // it may have gone with the clients' network
		_ = ip(context.WithoutCancel(ctx), "link", "del", keaPort)
	}()
	config := filepath.Join(t.Dir, "kea.json")
	if err := os.WriteFile(config, t.config(hook), 0o600); err != nil {
		return 0, 0, err
	}
	server, err := start(ctx, "kea-dhcp4", []string{"KEA_LOCKFILE_DIR=" + t.Dir, "KEA_PIDFILE_DIR=" + t.Dir}, "kea-dhcp4", "-c", config)
	if err != nil {
		return 0, 0, err
	}
	defer server.stop()
	if err := server.says(ctx, "DHCP4_STARTED"); err != nil {
		return 0, 0, err
	}
	clients := prepare(ctx, nil, "sh", "-c", `
		until ip link set "$0" up 2>/dev/null; do sleep 0.1; done
		ip addr add 10.77.0.2/16 dev "$0" && exec perfdhcp -4 -l "$0" -r "$1" -p "$2" -R "$3" -b mac="$4" -W 1000000`,
		clientPort, strconv.Itoa(t.Rate), strconv.Itoa(t.Seconds), strconv.Itoa(min(t.Machines, 1000)), siteMAC(0))
	clients.cmd.Stdout = &clients.said
	clients.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	if err := clients.launch("perfdhcp"); err != nil {
		return 0, 0, err
	}
	defer clients.stop()
	if err := ip(ctx, "link", "set", clientPort, "netns", strconv.Itoa(clients.cmd.Process.Pid)); err != nil {
		return 0, 0, err
	}
	select {
	case <-clients.exit:
	case <-time.After(time.Duration(t.Seconds)*time.Second + time.Minute):
		return 0, 0, errors.New("perfdhcp does not end" + clients.last())
	}
	return parsePerfdhcp(clients.said.String())
}

func (t KeaTrial) config(hook string) []byte {
	libraries := []any{}
	if hook != "" {
		libraries = append(libraries, map[string]any{"library": t.Library, "parameters": map[string]any{"url": hook, "timeout-ms": 500}})
	}
	text, _ := json.Marshal(map[string]any{"Dhcp4": map[string]any{ // nothing in there cannot be
		"interfaces-config": map[string]any{"interfaces": []string{keaPort}, "dhcp-socket-type": "raw"},
		"lease-database":    map[string]any{"type": "memfile", "persist": false},
		"multi-threading":   map[string]any{"enable-multi-threading": true, "thread-pool-size": 4},
		"hooks-libraries":   libraries,
		"subnet4":           []any{map[string]any{"subnet": "10.77.0.0/16", "id": 1, "pools": []any{map[string]any{"pool": "10.77.16.0-10.77.31.255"}}}},
		"loggers":           []any{map[string]any{"name": "kea-dhcp4", "severity": "INFO", "output_options": []any{map[string]any{"output": "stdout"}}}},
	}})
	return text
}

var (
	perfdhcpDelay = regexp.MustCompile(`avg delay: *([0-9.]+) ms`)
	perfdhcpDrops = regexp.MustCompile(`drops ratio: *([0-9.]+) *%`)
)

// parsePerfdhcp reads the mean time to a lease, and the share of what was lost,
// in either exchange.
func parsePerfdhcp(report string) (took time.Duration, lost float64, err error) {
	delays, drops := perfdhcpDelay.FindAllStringSubmatch(report, -1), perfdhcpDrops.FindAllStringSubmatch(report, -1)
	if len(delays) < 2 || len(drops) < 2 {
		return 0, 0, fmt.Errorf("perfdhcp has measured nothing:\n%s", report)
	}
	for i := range 2 { // DISCOVER-OFFER, REQUEST-ACK
		milliseconds, err := strconv.ParseFloat(delays[i][1], 64)
		if err != nil {
			return 0, 0, fmt.Errorf("perfdhcp: %w", err)
		}
		share, err := strconv.ParseFloat(drops[i][1], 64)
		if err != nil {
			return 0, 0, fmt.Errorf("perfdhcp: %w", err)
		}
		took += time.Duration(milliseconds * float64(time.Millisecond))
		lost += share / 100
	}
	return took, lost, nil
}

// says waits until the process has said a word, for half a minute.
func (p *process) says(ctx context.Context, word string) error {
	for range 300 {
		if strings.Contains(p.said.String(), word) {
			return nil
		}
		select {
		case <-p.exit:
			return fmt.Errorf("%s has ended%s", p.name, p.last())
		default:
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s has not said %q in half a minute%s", p.name, word, p.last())
}

// ip runs ip(8).
func ip(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
