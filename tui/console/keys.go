package console

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// Key returns what a machine is sent for a key: what an xterm sends. It
// returns nil for keys that send nothing.
func (t *Terminal) Key(k tea.Key) []byte {
	t.mu.Lock()
	application := t.application
	t.mu.Unlock()
	seq := encode(k, application)
	if seq != "" && k.Mod.Contains(tea.ModAlt) && !hasModifierParameter(k.Code) {
		seq = "\x1b" + seq
	}
	return []byte(seq)
}

// Paste returns what a machine is sent for a pasted text. Where it did not ask
// for bracketed paste, line ends become those of the Enter key.
func (t *Terminal) Paste(text string) []byte {
	t.mu.Lock()
	bracketed := t.bracketed
	t.mu.Unlock()
	text = strings.NewReplacer("\r\n", "\r", "\n", "\r").Replace(text)
	if !bracketed {
		return []byte(text)
	}
	// What is pasted cannot end the bracket itself.
	text = strings.ReplaceAll(text, "\x1b[201~", "")
	return []byte("\x1b[200~" + text + "\x1b[201~")
}

// cursorKeys send CSI x, SS3 x in application mode, or CSI 1;m x with modifiers.
var cursorKeys = map[rune]string{
	tea.KeyUp: "A", tea.KeyDown: "B", tea.KeyRight: "C", tea.KeyLeft: "D", tea.KeyHome: "H", tea.KeyEnd: "F",
}

// pfKeys send SS3 x, or CSI 1;m x with modifiers.
var pfKeys = map[rune]string{tea.KeyF1: "P", tea.KeyF2: "Q", tea.KeyF3: "R", tea.KeyF4: "S"}

// editKeys send CSI n ~, or CSI n;m ~ with modifiers.
var editKeys = map[rune]string{
	tea.KeyInsert: "2", tea.KeyDelete: "3", tea.KeyPgUp: "5", tea.KeyPgDown: "6",
	tea.KeyF5: "15", tea.KeyF6: "17", tea.KeyF7: "18", tea.KeyF8: "19", tea.KeyF9: "20",
	tea.KeyF10: "21", tea.KeyF11: "23", tea.KeyF12: "24",
}

func hasModifierParameter(code rune) bool {
	return cursorKeys[code] != "" || pfKeys[code] != "" || editKeys[code] != ""
}

// keypad is what the keys of the keypad print, and send.
var keypad = map[rune]string{
	tea.KeyKpEnter: "\r", tea.KeyKpEqual: "=", tea.KeyKpMultiply: "*", tea.KeyKpPlus: "+", tea.KeyKpComma: ",",
	tea.KeyKpMinus: "-", tea.KeyKpDecimal: ".", tea.KeyKpDivide: "/", tea.KeyKp0: "0", tea.KeyKp1: "1",
	tea.KeyKp2: "2", tea.KeyKp3: "3", tea.KeyKp4: "4", tea.KeyKp5: "5", tea.KeyKp6: "6", tea.KeyKp7: "7",
	tea.KeyKp8: "8", tea.KeyKp9: "9",
}

func encode(k tea.Key, application bool) string {
	modifier := modifierParameter(k.Mod)
	if x := cursorKeys[k.Code]; x != "" {
		switch {
		case modifier != "":
			return "\x1b[1;" + modifier + x
		case application:
			return "\x1bO" + x
		}
		return "\x1b[" + x
	}
	if x := pfKeys[k.Code]; x != "" {
		if modifier != "" {
			return "\x1b[1;" + modifier + x
		}
		return "\x1bO" + x
	}
	if n := editKeys[k.Code]; n != "" {
		if modifier != "" {
			return "\x1b[" + n + ";" + modifier + "~"
		}
		return "\x1b[" + n + "~"
	}
	switch k.Code {
	case tea.KeyEnter:
		return "\r"
	case tea.KeyTab:
		if k.Mod.Contains(tea.ModShift) {
			return "\x1b[Z"
		}
		return "\t"
	case tea.KeyBackspace:
		if k.Mod.Contains(tea.ModCtrl) {
			return "\b"
		}
		return "\x7f"
	case tea.KeyEscape:
		return "\x1b"
	}
	if k.Mod.Contains(tea.ModCtrl) {
		return control(k.Code)
	}
	if k.Text != "" {
		return k.Text
	}
	if text := keypad[k.Code]; text != "" {
		return text
	}
	if k.Code >= tea.KeySpace && k.Code < tea.KeyExtended && !unprintable(k.Code) {
		return string(k.Code)
	}
	return ""
}

// control is what Ctrl and a key send: the key's code without its upper bits.
func control(code rune) string {
	switch {
	case code == tea.KeySpace, code == '2':
		return "\x00"
	case code == '/':
		return "\x1f"
	case code == '8', code == '?':
		return "\x7f"
	case code >= '3' && code <= '7':
		return string(code - '3' + 0x1b)
	case code >= '@' && code <= '_', code >= 'a' && code <= 'z':
		return string(code & 0x1f)
	}
	return ""
}

// modifierParameter is the number of a combination of modifiers; empty for none.
func modifierParameter(m tea.KeyMod) string {
	n := 1
	if m.Contains(tea.ModShift) {
		n++
	}
	if m.Contains(tea.ModAlt) {
		n += 2
	}
	if m.Contains(tea.ModCtrl) {
		n += 4
	}
	if n == 1 {
		return ""
	}
	return string(rune('0' + n))
}
