package sim

import (
	"fmt"
	"strings"
)

// dmesg is what the kernel prints while it starts.
func (m *Machine) dmesg(cmdline string, initrd int64) []string {
	p := m.platform()
	nic := m.cfg.MAC.String()
	lines := []string{
		"Linux version " + p.kernel + " (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)",
		"Command line: " + cmdline,
		"efi: EFI v2.70 by simulated machine " + m.cfg.Name,
		"smpboot: CPU0: " + m.cfg.Processor,
		"Memory: 263842620K/268435456K available",
		"Kernel command line: " + cmdline,
		"rcu: Hierarchical RCU implementation.",
		"printk: console [" + p.tty + "] enabled",
		"smp: Brought up 2 nodes, 128 CPUs",
		"PCI: Using configuration type 1 for base access",
		"NET: Registered PF_INET protocol family",
		fmt.Sprintf("Freeing initrd memory: %dK", initrd/1024),
		"nvme nvme0: pci function 0000:01:00.0",
		" nvme0n1: p1 p2",
		"mlx5_core 0000:41:00.0: firmware version: 16.35.2000",
		"mlx5_core 0000:41:00.0 eth0: " + nic,
		"mlx5_core 0000:41:00.0 eth0: Link up, 25 Gb/s",
		"Run /init as init process",
	}
	for i, line := range lines {
		lines[i] = fmt.Sprintf("[%12.6f] %s", float64(i*i*25_000+i*7_919)/1e6, line)
	}
	return lines
}

// kernelOptions splits a kernel command line as the kernel does (next_arg in
// lib/cmdline.c): at blanks outside double quotes, which disappear.
func kernelOptions(cmdline string) []string {
	var options []string
	var option strings.Builder
	quoted := false
	end := func() {
		if option.Len() > 0 {
			options = append(options, option.String())
			option.Reset()
		}
	}
	for _, c := range []byte(cmdline) {
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
			end()
		default:
			option.WriteByte(c)
		}
	}
	end()
	return options
}

// linux starts the kernel that a bootloader loaded: an installer where the
// command line names a preseed, otherwise a shell in the initrd.
func (r *run) linux(cmdline string, initrd int64) outcome {
	r.say("")
	r.say(r.dmesg(cmdline, initrd)...)
	for _, option := range kernelOptions(cmdline) {
		name, url, _ := strings.Cut(option, "=")
		if in, ok := installers[name]; ok && url != "" {
			return r.install(in, url)
		}
	}
	r.say("", "BusyBox v1.35.0 (Debian 1:1.35.0-4+b3) built-in shell (ash)",
		"Enter 'help' for a list of built-in commands.", "")
	r.waitForKeys(modeInitrd)
	return machineStops
}

// startSystem boots the operating system on the disk up to its login prompt.
func (r *run) startSystem(d disk) outcome {
	r.mu.Lock()
	r.booted = r.cfg.Now()
	r.mu.Unlock()
	r.say("", `BdsDxe: starting Boot0002 "Disk 1"`, "GRUB loading.", "  Booting `"+d.system+"'",
		"Loading Linux "+r.platform().kernel+" ...", "Loading initial ramdisk ...", "")
	r.say(r.dmesg(r.diskCommandLine(), 38<<20)...)
	r.say(
		"[    8.412207] EXT4-fs (nvme0n1p2): mounted filesystem with ordered data mode.",
		"[    8.731964] systemd[1]: Hostname set to <"+d.hostname+">.",
		"",
		"Welcome to "+d.system+"!",
		"",
		"[  OK  ] Started systemd-journald.service - Journal Service.",
		"[  OK  ] Finished systemd-udevd.service - Rule-based Manager for Device Events and Files.",
		"[  OK  ] Reached target local-fs.target - Local File Systems.",
		"[  OK  ] Reached target network-online.target - Network is Online.",
		"[  OK  ] Started ssh.service - OpenBSD Secure Shell server.",
		"[  OK  ] Reached target multi-user.target - Multi-User System.",
	)
	r.waitForKeys(modeLogin)
	return machineStops
}

func (m *Machine) diskCommandLine() string {
	return "BOOT_IMAGE=/boot/vmlinuz-" + m.platform().kernel + " root=/dev/nvme0n1p2 ro console=" + m.platform().tty + ",115200"
}

// shutDown is what an operating system prints while it stops.
func (r *run) shutDown(verb string) {
	r.say(
		"[  OK  ] Stopped ssh.service - OpenBSD Secure Shell server.",
		"[  OK  ] Unmounted all file systems.",
		"[ 1024.402618] reboot: "+verb,
	)
}

func (r *run) restart() {
	r.shutDown("Restarting system")
	r.boot()
}

func (r *run) halt() {
	r.shutDown("Power down")
	r.powerDown()
}
