package sim

import "unicode/utf8"

// mode is which prompt a machine waits at.
type mode int

const (
	modeNone     mode = iota // none: keys are lost
	modeDead                 // nothing to boot: keys do nothing
	modeSetup                // the firmware's setup
	modeGRUB                 // GRUB's command line
	modeInitrd               // the shell in an initrd
	modeLogin                // a user name is asked for
	modePassword             // the password
	modeShell                // logged in
)

// lineMax is how many bytes of a line are taken, as in a small tty buffer.
const lineMax = 512

// terminal is a prompt and what has been typed at it: a tty's line discipline,
// as far as a person notices it.
type terminal struct {
	mode mode
	line []byte
	keys keyState
	user string // who logs in, or has
}

// keyState is what the bytes before mean for the next one.
type keyState int

const (
	keyPlain      keyState = iota
	keyAfterCR             // a LF belongs to it
	keyEscape              // ESC was typed
	keyControlSeq          // ESC [ or ESC O: up to a final byte (ECMA-48 §5.4)
)

const (
	ctrlC     = 0x03
	ctrlD     = 0x04
	backspace = 0x08
	ctrlU     = 0x15
	escape    = 0x1b
	deleteKey = 0x7f
)

// prompt shows the prompt of mode and waits there. m.mu is held.
func (m *Machine) prompt(mode mode) {
	m.terminal = terminal{mode: mode, user: m.terminal.user, keys: m.terminal.keys}
	switch mode {
	case modeNone, modeDead, modeSetup:
	case modeGRUB:
		m.serial.write("grub> ")
	case modeInitrd:
		m.serial.write("(initramfs) ")
	case modeLogin:
		m.serial.write("\r\n" + m.disk.system + " " + m.disk.hostname + " " + m.platform().tty + "\r\n\r\n" + m.disk.hostname + " login: ")
	case modePassword:
		m.serial.write("Password: ")
	case modeShell:
		m.serial.write(m.terminal.user + "@" + m.disk.hostname + ":~$ ")
	}
}

// key is one typed byte. m.mu is held.
func (m *Machine) key(c byte) {
	t := &m.terminal
	before := t.keys
	t.keys = keyPlain
	switch {
	case t.mode == modeNone || t.mode == modeDead:
	case before == keyEscape && (c == '[' || c == 'O'):
		t.keys = keyControlSeq
	case before == keyEscape:
	case before == keyControlSeq:
		if c < 0x40 || c > 0x7e {
			t.keys = keyControlSeq
		}
	case c == escape:
		t.keys = keyEscape
	case c == '\n' && before == keyAfterCR:
	case c == '\r' || c == '\n':
		if c == '\r' {
			t.keys = keyAfterCR
		}
		m.enter()
	case c == ctrlC:
		m.serial.write("^C")
		m.cancelLine()
	case c == ctrlD:
		if len(t.line) == 0 {
			m.endOfInput()
		}
	case c == ctrlU:
		for len(t.line) > 0 {
			m.erase()
		}
	case c == backspace || c == deleteKey:
		m.erase()
	case c < ' ':
	case len(t.line) == lineMax:
		m.serial.write("\a")
	default:
		t.line = append(t.line, c)
		if t.mode != modePassword && t.mode != modeSetup {
			m.serial.write(string([]byte{c}))
		}
	}
}

// erase takes the last character of the line back.
func (m *Machine) erase() {
	t := &m.terminal
	if len(t.line) == 0 {
		return
	}
	_, size := utf8.DecodeLastRune(t.line)
	t.line = t.line[:len(t.line)-size]
	if t.mode != modePassword && t.mode != modeSetup {
		m.serial.write("\b \b")
	}
}

// cancelLine is Ctrl-C: the line is forgotten, a login begins anew.
func (m *Machine) cancelLine() {
	m.serial.write("\r\n")
	if m.terminal.mode == modePassword {
		m.prompt(modeLogin)
		return
	}
	m.prompt(m.terminal.mode)
}

// endOfInput is Ctrl-D on an empty line.
func (m *Machine) endOfInput() {
	switch m.terminal.mode {
	case modeShell:
		m.logOut()
	case modeLogin, modePassword:
		m.serial.write("\r\n")
		m.prompt(modeLogin)
	}
}

// enter takes the line that was typed.
func (m *Machine) enter() {
	mode, line := m.terminal.mode, string(m.terminal.line)
	m.terminal.line = nil
	m.serial.write("\r\n")
	switch mode {
	case modeSetup:
		m.start((*run).boot)
	case modeGRUB:
		m.grubLine(line)
	case modeInitrd:
		m.initrdLine(line)
	case modeLogin:
		if line == "" {
			m.prompt(modeLogin)
			return
		}
		m.terminal.user = line
		m.prompt(modePassword)
	case modePassword:
		m.serial.write("Linux " + m.disk.hostname + " " + m.platform().kernel + " " + m.platform().uname +
			"\r\nThis is a simulated machine.\r\n")
		m.prompt(modeShell)
	case modeShell:
		m.shellLine(line)
	}
}

func (m *Machine) logOut() {
	m.serial.write("logout\r\n")
	m.prompt(modeLogin)
}
