package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A person sits at a terminal, tmux, and sees and types.
type person struct {
	t      *testing.T
	socket string
}

// newPerson opens a terminal of 140 columns and 45 lines in which the command runs, and stays open after it. The last
// screen is shown if the test fails.
func newPerson(t *testing.T, command ...string) *person {
	t.Helper()
	p := &person{t, filepath.Join(t.TempDir(), "tmux")}
	p.tmux(append([]string{"-u", "-f", "/dev/null", "start-server", ";", "set-option", "-g", "status", "off", ";",
		"new-session", "-d", "-x", "140", "-y", "45", "env", "LC_ALL=C.UTF-8", "sh", "-c", `"$@"; exec cat`, "sh"}, command...)...)
	t.Cleanup(func() {
		if screen, err := p.capture(); t.Failed() && err == nil {
			t.Logf("---- the person's screen ----\n%s", strings.TrimSpace(screen))
		}
		_ = exec.Command("tmux", "-S", p.socket, "kill-server").Run()
	})
	return p
}

func (p *person) tmux(args ...string) {
	p.t.Helper()
	run(p.t, "tmux", append([]string{"-S", p.socket}, args...)...)
}

// press presses keys by tmux's names for them: j, Enter, Down, C-c.
func (p *person) press(keys ...string) {
	p.t.Helper()
	p.tmux(append([]string{"send-keys"}, keys...)...)
}

// write types text as it stands.
func (p *person) write(text string) {
	p.t.Helper()
	p.tmux("send-keys", "-l", text)
}

func (p *person) capture() (string, error) {
	out, err := exec.Command("tmux", "-S", p.socket, "capture-pane", "-p").Output()
	return string(out), err
}

// sees waits until all the texts are on the screen at once.
func (p *person) sees(limit time.Duration, texts ...string) {
	p.t.Helper()
	eventually(p.t, limit, "on the screen: "+strings.Join(texts, ", "), func() bool {
		screen, err := p.capture()
		if err != nil {
			p.t.Fatalf("capture the screen: %v", err)
		}
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}
