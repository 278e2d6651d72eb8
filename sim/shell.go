package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// shellLine runs what was typed at the login shell. m.mu is held.
func (m *Machine) shellLine(line string) {
	line, filter, piped := strings.Cut(line, "|")
	args := plainWords(line)
	if len(args) > 1 && args[0] == "sudo" {
		args = args[1:]
	}
	if len(args) > 0 {
		switch args[0] {
		case "exit", "logout":
			m.logOut()
			return
		case "reboot":
			m.start((*run).restart)
			return
		case "poweroff":
			m.start((*run).halt)
			return
		}
		output := m.shellCommand(args)
		if piped {
			output = tail(output, plainWords(filter))
		}
		for _, l := range output {
			m.serial.write(l + "\r\n")
		}
	}
	m.prompt(modeShell)
}

// plainWords splits a command without its operators.
func plainWords(line string) []string {
	var args []string
	for _, w := range shellWords(line) {
		if !w.operator {
			args = append(args, w.text)
		}
	}
	return args
}

// shellCommand is the output of a command that changes nothing, line by line.
func (m *Machine) shellCommand(args []string) []string {
	p := m.platform()
	switch args[0] {
	case "uname":
		if len(args) > 1 && args[1] == "-a" {
			return []string{"Linux " + m.disk.hostname + " " + p.kernel + " #1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22) " + p.uname + " GNU/Linux"}
		}
		if len(args) > 1 && args[1] == "-m" {
			return []string{p.uname}
		}
		if len(args) > 1 && args[1] == "-r" {
			return []string{p.kernel}
		}
		return []string{"Linux"}
	case "hostname":
		return []string{m.disk.hostname}
	case "whoami":
		return []string{m.terminal.user}
	case "pwd":
		return []string{"/home/" + m.terminal.user}
	case "ls":
		return []string{"README  notes.txt"}
	case "date":
		return []string{m.cfg.Now().UTC().Format("Mon Jan _2 15:04:05 UTC 2006")}
	case "uptime":
		now := m.cfg.Now()
		up := now.Sub(m.booted).Round(time.Second)
		return []string{fmt.Sprintf(" %s up %s,  1 user,  load average: 0.00, 0.00, 0.00", now.UTC().Format(time.TimeOnly), up)}
	case "dmesg":
		return m.dmesg(m.diskCommandLine(), 38<<20)
	case "echo":
		return []string{strings.Join(args[1:], " ")}
	case "help":
		return []string{"date dmesg echo exit help hostname ls poweroff pwd reboot tail uname uptime whoami"}
	}
	return []string{"bash: " + args[0] + ": command not found"}
}

// tail is the end of a pipe: `tail`, `tail -3` or `tail -n 3`. Another command
// there is not found.
func tail(lines, command []string) []string {
	if len(command) == 0 {
		return []string{"bash: syntax error: unexpected end of file"}
	}
	if command[0] != "tail" {
		return []string{"bash: " + command[0] + ": command not found"}
	}
	n := 10
	if count, err := strconv.Atoi(strings.TrimPrefix(strings.Join(command[1:], ""), "-n")); err == nil {
		n = max(count, -count)
	}
	return lines[max(0, len(lines)-max(n, 0)):]
}

// initrdLine runs what was typed at the initrd's shell. m.mu is held.
func (m *Machine) initrdLine(line string) {
	args := plainWords(line)
	if len(args) > 0 {
		switch args[0] {
		case "reboot", "exit":
			m.start((*run).restart)
			return
		case "poweroff":
			m.start((*run).halt)
			return
		case "help":
			m.serial.write("Built-in commands: echo exit help poweroff reboot uname\r\n")
		case "echo":
			m.serial.write(strings.Join(args[1:], " ") + "\r\n")
		case "uname":
			m.serial.write("Linux (none) " + m.platform().kernel + " " + m.platform().uname + "\r\n")
		default:
			m.serial.write("sh: " + args[0] + ": not found\r\n")
		}
	}
	m.prompt(modeInitrd)
}

// grubLine runs what was typed at GRUB's command line. m.mu is held.
func (m *Machine) grubLine(line string) {
	args := plainWords(line)
	if len(args) > 0 {
		switch args[0] {
		case "exit":
			m.start(func(r *run) {
				if r.bootDisk() == machineReboots {
					r.boot()
				}
			})
			return
		case "reboot":
			m.start((*run).boot)
			return
		case "halt":
			m.on = false
			m.interrupt()
			return
		case "boot":
			m.serial.write(grubNoKernel + grubEOL)
		case "echo":
			m.serial.write(strings.Join(args[1:], " ") + grubEOL)
		default:
			m.serial.write("error: can't find command `" + args[0] + "'." + grubEOL)
		}
	}
	m.prompt(modeGRUB)
}
