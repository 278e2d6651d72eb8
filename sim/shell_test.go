package sim

import (
	"strings"
	"testing"
	"time"
)

// atLogin returns a machine that waits at its login prompt.
func atLogin(t testing.TB) *Machine {
	t.Helper()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	m := newMachine(t, Config{Installed: true, Now: func() time.Time {
		now = now.Add(time.Minute)
		return now
	}})
	m.SetPower(true)
	output(m)
	return m
}

func TestKeysAtTheLoginPromptAndShell(t *testing.T) {
	const login = "\r\nDebian GNU/Linux 12 (bookworm) node-01 ttyS0\r\n\r\nnode-01 login: "
	const motd = "Linux node-01 6.1.0-28-amd64 x86_64\r\nThis is a simulated machine.\r\n"
	tests := []struct{ name, keys, want string }{
		{"login, the password is not echoed", "ann\rsecret\r", "ann\r\nPassword: \r\n" + motd + "ann@node-01:~$ "},
		{"an empty user name", "\r", "\r\n" + login},
		{"CR LF is one key", "ann\r\n", "ann\r\nPassword: "},
		{"LF alone is Enter", "ann\n", "ann\r\nPassword: "},
		{"backspace", "anx\x7fn\b\b\b\b\bbo\r", "anx\b \bn\b \b\b \b\b \bbo\r\nPassword: "},
		{"backspace takes a whole character", "é\x7fx\r", "é\b \bx\r\nPassword: "},
		{"Ctrl-U", "abc\x15x\r", "abc\b \b\b \b\b \bx\r\nPassword: "},
		{"Ctrl-C", "an\x03", "an^C\r\n" + login},
		{"Ctrl-C at the password", "ann\rx\x03", "ann\r\nPassword: ^C\r\n" + login},
		{"Ctrl-D", "\x04", "\r\n" + login},
		{"Ctrl-D within a line", "a\x04", "a"},
		{"arrow and function keys", "a\x1b[A\x1bOB\x1b[1;5Cb\x1bxc\x1b[15~d\t\r", "abcd\r\nPassword: "},
		{"a line that is too long", strings.Repeat("x", lineMax+2), strings.Repeat("x", lineMax) + "\a\a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := atLogin(t)
			if n := m.WriteSerial([]byte(tt.keys)); n != len(tt.keys) {
				t.Errorf("%d bytes taken", n)
			}
			if got := printed(m); got != tt.want {
				t.Errorf("shows\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

func TestShellCommands(t *testing.T) {
	const prompt = "ann@node-01:~$ "
	tests := []struct{ keys, want string }{
		{"", ""},
		{"uname", "Linux\r\n"},
		{"uname -a", "Linux node-01 6.1.0-28-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22) x86_64 GNU/Linux\r\n"},
		{"uname -m", "x86_64\r\n"},
		{"uname -r", "6.1.0-28-amd64\r\n"},
		{"hostname", "node-01\r\n"},
		{"whoami", "ann\r\n"},
		{"pwd", "/home/ann\r\n"},
		{"ls", "README  notes.txt\r\n"},
		{"date", "Fri Nov 20 12:03:00 UTC 2026\r\n"},
		{"uptime", " 12:03:00 up 1m0s,  1 user,  load average: 0.00, 0.00, 0.00\r\n"},
		{"echo a 'b  c'  \"d\"", "a b  c d\r\n"},
		{"echo x | tail", "x\r\n"},
		{"dmesg | tail -n 1", "[    7.359623] Run /init as init process\r\n"},
		{"dmesg | tail -1", "[    7.359623] Run /init as init process\r\n"},
		{"dmesg | tail -n -0", ""},
		{"echo x | sort", "bash: sort: command not found\r\n"},
		{"echo x |", "bash: syntax error: unexpected end of file\r\n"},
		{"vi", "bash: vi: command not found\r\n"},
		{"exit", "logout\r\n\r\nDebian GNU/Linux 12 (bookworm) node-01 ttyS0\r\n\r\nnode-01 login: "},
		{"\x04", "logout\r\n\r\nDebian GNU/Linux 12 (bookworm) node-01 ttyS0\r\n\r\nnode-01 login: "},
	}
	for _, tt := range tests {
		t.Run(tt.keys, func(t *testing.T) {
			m := atLogin(t)
			m.WriteSerial([]byte("ann\rx\r"))
			printed(m)
			if tt.keys == "\x04" {
				m.WriteSerial([]byte(tt.keys))
			} else {
				m.WriteSerial([]byte(tt.keys + "\r"))
			}
			got := strings.TrimPrefix(printed(m), tt.keys+"\r\n")
			if !strings.HasSuffix(tt.want, "login: ") {
				tt.want += prompt
			}
			if got != tt.want {
				t.Errorf("shows\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

func TestRebootAndPowerOffFromTheShell(t *testing.T) {
	m := atLogin(t)
	m.WriteSerial([]byte("ann\rx\rsudo reboot\rthese keys are lost"))
	wantInOrder(t, output(m), "sudo reboot\r\n", "reboot: Restarting system\r\n", "UEFI firmware", "login: ")
	m.WriteSerial([]byte("ann\rx\rpoweroff\r"))
	wantEnd(t, output(m), "reboot: Power down\r\n")
	if m.PoweredOn() {
		t.Error("on")
	}
}

func TestKeysInTheInitrdAndAtGRUB(t *testing.T) {
	s := newSite(t)
	config := "grub/grub.cfg-01-52-54-00-12-34-56"
	s.change(func() { s.files[config] = []byte("linux /k/vmlinuz\nboot\n") })
	m := newMachine(t, Config{Network: s.network()})
	m.SetPower(true)
	wantEnd(t, output(m), "(initramfs) ")
	m.WriteSerial([]byte("\recho a  b\rls\runame\rhelp\r"))
	wantInOrder(t, printed(m), "\r\n(initramfs) echo a  b\r\na b\r\n", "sh: ls: not found\r\n", "Linux (none)", "Built-in commands:", "(initramfs) ")

	s.change(func() { delete(s.files, config) })
	m.WriteSerial([]byte("reboot\r"))
	wantEnd(t, output(m), "grub> ")
	m.WriteSerial([]byte("\recho a\rboot\rls\rexit\r"))
	got := output(m)
	wantInOrder(t, got, "\r\ngrub> echo a\r\na\r\n", "error: you need to load the kernel first.\r\n", "error: can't find command `ls'.\r\n", "grub> exit")
	wantEnd(t, got, "No bootable device.\r\n")
	m.WriteSerial([]byte("keys"))
	if got := printed(m); got != "" {
		t.Errorf("a dead machine answers %q", got)
	}
	m.Reset()
	wantEnd(t, output(m), "grub> ")
	m.WriteSerial([]byte("reboot\r"))
	wantEnd(t, output(m), "grub> ")
	m.WriteSerial([]byte("halt\r"))
	if m.PoweredOn() {
		t.Error("on after halt")
	}
}

func TestSerialKeepsTheNewestLines(t *testing.T) {
	var s serial
	line := strings.Repeat("x", 98) + "\r\n"
	fill := func(bytes int) {
		for n := 0; n < bytes; n += len(line) {
			s.write(line)
		}
	}
	fill(1 << 20)
	if n := len(s.unread); n > serialUnread || n < serialUnread-len(line) || !strings.HasPrefix(string(s.unread), "xx") || n%len(line) != 0 {
		t.Errorf("%d bytes kept for nobody", n)
	}
	s.read(make([]byte, 1<<16))
	fill(serialRead - len(line))
	if n := len(s.unread); n < serialRead-len(line) || n > serialRead {
		t.Errorf("%d bytes kept for a reader", n)
	}
	fill(1 << 20)
	if n := cap(s.unread); len(s.unread) > serialUnread || n > serialUnread {
		t.Errorf("%d bytes held after the reader has gone", n)
	}
	s.write(strings.Repeat("y", 1<<20))
	if len(s.unread) != serialUnread {
		t.Errorf("%d bytes of one endless line kept", len(s.unread))
	}
	if n := s.read(make([]byte, 10)); n != 10 || len(s.unread) != serialUnread-10 {
		t.Errorf("read %d, left %d", n, len(s.unread))
	}
}

// FuzzSerialInput types anything at every prompt.
func FuzzSerialInput(f *testing.F) {
	for _, keys := range []string{
		"ann\rsecret\runame -a\rdmesg | tail -n 3\rexit\r", "a\x7f\x7f\x03\x04\x1b[1;5A\r\n", "ann\r\rreboot\rx",
		"x\r\rpoweroff\r", "exit\r", "halt\r", "x\r\recho 'a\r", "\xff\xfe\x7f\r",
	} {
		for mode := range byte(modeShell) + 1 {
			f.Add(mode, keys)
		}
	}
	f.Fuzz(func(t *testing.T, at byte, keys string) {
		m := newMachine(t, Config{Installed: true})
		m.mu.Lock()
		m.on = true
		m.prompt(mode(at) % (modeShell + 1))
		m.mu.Unlock()
		if n := m.WriteSerial([]byte(keys)); n != len(keys) {
			t.Errorf("%d of %d bytes taken", n, len(keys))
		}
		m.wg.Wait()
		if len(m.serial.unread) > serialRead || len(m.terminal.line) > lineMax {
			t.Errorf("%d bytes of output, %d of a line", len(m.serial.unread), len(m.terminal.line))
		}
	})
}
