package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start runs a program beside the test until the test ends. What it prints is kept in dir/LOG and shown if the test
// fails. The channel is closed when the program has ended.
func start(t *testing.T, dir, log, program string, args ...string) (*exec.Cmd, <-chan struct{}) {
	t.Helper()
	path := filepath.Join(dir, log)
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	showOnFailure(t, path)
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		<-ended
	})
	return cmd, ended
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
	}
	return string(out)
}

// eventually waits until what holds, and ends the test if that takes longer than limit.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(limit)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;=?]*[A-Za-z]|\r`)

// showOnFailure logs the end of a file if the test fails.
func showOnFailure(t *testing.T, path string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return // never written: its part never ran
		}
		lines := strings.Split(escapes.ReplaceAllString(string(content), ""), "\n")
		lines = lines[max(0, len(lines)-120):]
		t.Logf("---- %s ----\n%s", filepath.Base(path), strings.Join(lines, "\n"))
	})
}
