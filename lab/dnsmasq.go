package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"provisioner/boot"
	"provisioner/store"
)

// dnsmasqEvery is how often dnsmasq's files are made anew though nothing told of a change.
const dnsmasqEvery = time.Minute

// DnsmasqConfig says where a site's dnsmasq is told about machines.
type DnsmasqConfig struct {
	Dir     string // holds the generated files; made where it is missing; absolute
	PIDFile string // dnsmasq's; empty: it is told by somebody else to read them again
}

// KeepDnsmasq keeps the files for dnsmasq as the machines are, and has it read
// them again, until ctx ends. What fails is logged and tried again; only a
// folder that cannot be used at the start is an error.
func (l *Lab) KeepDnsmasq(ctx context.Context, config DnsmasqConfig) error {
	conf, err := boot.DnsmasqConf(config.Dir)
	if err != nil {
		return fail(Invalid, "write dnsmasq's files: %w", err)
	}
	// dnsmasq reads them as a user of its own.
	if err := os.MkdirAll(config.Dir, 0o755); err != nil { //nolint:gosec // see above
		return fail(Unavailable, "write dnsmasq's files: %w", err)
	}
	if _, err := replaceFile(filepath.Join(config.Dir, boot.DnsmasqConfFile), conf); err != nil {
		return fail(Unavailable, "write dnsmasq's files: %w", err)
	}
	changes := l.bus.Subscribe()
	defer changes.Close()
	told := false // dnsmasq, of what is in the files
	for ctx.Err() == nil {
		changed, err := l.writeDnsmasq(ctx, config.Dir)
		told = told && !changed
		if !told && config.PIDFile != "" {
			hupErr := reloadDnsmasq(config.PIDFile)
			told = hupErr == nil
			err = errors.Join(err, hupErr)
		}
		if err != nil && ctx.Err() == nil {
			l.log.Error("dnsmasq does not know all machines as they are", "error", err)
		}
		awaitDHCPChange(ctx, changes)
	}
	return nil
}

// awaitDHCPChange returns after an event that changes what machines boot, or a minute.
func awaitDHCPChange(ctx context.Context, changes Subscription) {
	ctx, cancel := context.WithTimeout(ctx, dnsmasqEvery)
	defer cancel()
	for {
		events, lost, err := changes.Next(ctx)
		if lost || err != nil {
			return
		}
		for _, e := range events {
			switch e.Kind {
			case EventMachineAdded, EventMachineChanged, EventMachineRemoved, EventArchChanged, EventProvision, EventProvisionEnded, EventImageAdded:
				return
			}
		}
	}
}

// writeDnsmasq reports whether it changed a file.
func (l *Lab) writeDnsmasq(ctx context.Context, dir string) (changed bool, err error) {
	hosts, boots, err := l.dnsmasqHosts(ctx)
	if err != nil {
		return false, wrap(err, "list machines for dnsmasq")
	}
	options, refused := boot.DnsmasqOptions(boots)
	optionsChanged, err := replaceFile(filepath.Join(dir, boot.DnsmasqOptionsFile), options)
	if err != nil {
		return false, errors.Join(refused, err)
	}
	hostsChanged, err := replaceFile(filepath.Join(dir, boot.DnsmasqHostsFile), boot.DnsmasqHosts(hosts))
	return optionsChanged || hostsChanged, errors.Join(refused, err)
}

// dnsmasqHosts asks the one rule of who boots what ([Lab.bootFileFor]) for
// each kind of machine and each kind of client, since dnsmasq does not ask us.
func (l *Lab) dnsmasqHosts(ctx context.Context) (hosts []boot.DnsmasqHost, boots []boot.DnsmasqBoot, err error) {
	var machines []store.DHCPMachine
	err = l.store.Read(ctx, func(tx *store.Tx) (err error) {
		machines, err = tx.DHCPMachines(ctx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	byKind := make(map[[2]string][]boot.DnsmasqBoot) // of machines, architecture and subarchitecture
	for _, m := range machines {
		mac, err := boot.ParseMAC(m.MAC)
		if err != nil {
			return nil, nil, err
		}
		hosts = append(hosts, boot.DnsmasqHost{MAC: mac, Name: m.Name, IPv4: reservedFor(m)})
		if !m.NetbootEnabled {
			continue
		}
		kind := [2]string{m.Arch, m.Subarch}
		if _, known := byKind[kind]; !known {
			firmwares := append(boot.DHCPClients(), boot.DHCPClient{})
			if byKind[kind], err = l.dnsmasqBoots(ctx, m, firmwares...); err != nil {
				return nil, nil, err
			}
		}
		script, err := l.dnsmasqBoots(ctx, m, boot.DHCPClient{Loader: boot.LoaderIPXE}) // each machine has its own
		if err != nil {
			return nil, nil, err
		}
		for _, b := range slices.Concat(byKind[kind], script) {
			b.MAC = mac
			boots = append(boots, b)
		}
	}
	return hosts, boots, nil
}

// dnsmasqBoots is what a machine boots as each of these clients, without its address.
func (l *Lab) dnsmasqBoots(ctx context.Context, m store.DHCPMachine, clients ...boot.DHCPClient) (boots []boot.DnsmasqBoot, err error) {
	next, err := l.tftpAddress(ctx)
	if err != nil {
		return nil, err
	}
	for _, client := range clients {
		answer := boot.DHCPAnswer{NextServer: next}
		if answer.BootFile, answer.HTTP, err = l.bootFileFor(ctx, m, client); err != nil {
			return nil, err
		}
		if answer.BootFile != "" {
			boots = append(boots, boot.DnsmasqBoot{Client: client, Answer: answer})
		}
	}
	return boots, nil
}

// replaceFile has a file hold the text: at once, for whoever reads it. It
// reports whether it held another one.
func replaceFile(path, text string) (changed bool, err error) {
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return false, nil
	}
	next, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(next.Name()))
		}
	}()
	_, err = next.WriteString(text)
	if err = errors.Join(err, next.Chmod(0o644), next.Close()); err != nil {
		return false, err
	}
	return true, os.Rename(next.Name(), path)
}

// reloadDnsmasq sends SIGHUP to the process of a PID file, if it is a dnsmasq:
// the file may be older than the last start of the host.
func reloadDnsmasq(pidFile string) error {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return fmt.Errorf("have dnsmasq read its files again: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return fmt.Errorf("have dnsmasq read its files again: %s holds no process number", pidFile)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || string(bytes.TrimSpace(name)) != "dnsmasq" {
		return fmt.Errorf("have dnsmasq read its files again: process %d of %s is no dnsmasq", pid, pidFile)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return fmt.Errorf("have dnsmasq read its files again: %w: run provisioner as the same user, or give it CAP_KILL", err)
	}
	return nil
}
