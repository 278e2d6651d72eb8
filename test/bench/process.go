package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// roleVariable has this program play a part of the benchmarks instead of
// directing them: "bmcs", "lab", "clients", "tftp", "site"
// or "kea".
const roleVariable = "PROVISIONER_BENCH_ROLE"

// roles are what this program can be, for figures that are of one side alone.
func roles() map[string]any {
	return map[string]any{"bmcs": &bmcs{}, "lab": &labProcess{}, "clients": &clients{}, "tftp": &tftpServer{}, "site": &site{}, "kea": kea{}}
}

// play serves the methods of a role on standard input and output until the
// director closes them or dies.
func play(name string) error {
	server := rpc.NewServer()
	if err := server.RegisterName("Role", roles()[name]); err != nil {
		return fmt.Errorf("there is no role %q: %w", name, err)
	}
	server.ServeCodec(jsonrpc.NewServerCodec(stdio{os.Stdin, os.Stdout}))
	return nil
}

type stdio struct {
	io.ReadCloser
	io.WriteCloser
}

func (s stdio) Close() error { return errors.Join(s.ReadCloser.Close(), s.WriteCloser.Close()) }

// process is a program under measurement. It dies with the director.
type process struct {
	name string
	cmd  *exec.Cmd
	said lockedBuffer // on standard error
	exit chan struct{}
	rpc  *rpc.Client // of a role
}

// start runs a program until stop, or the end of ctx.
func start(ctx context.Context, name string, env []string, program string, args ...string) (*process, error) {
	p := prepare(ctx, env, program, args...)
	p.cmd.Stdout = &p.said
	return p, p.launch(name)
}

// startRole runs this program in a role.
func startRole(ctx context.Context, role string) (*process, error) {
	return startRoleIn(ctx, role, 0)
}

// startRoleIn runs this program in a role, in new namespaces: clone(2)'s flags.
func startRoleIn(ctx context.Context, role string, namespaces uintptr) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := prepare(ctx, []string{roleVariable + "=" + role}, self)
	p.cmd.SysProcAttr.Cloneflags = namespaces
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.rpc = jsonrpc.NewClient(stdio{out, in})
	return p, p.launch(role)
}

func prepare(ctx context.Context, env []string, program string, args ...string) *process {
	p := &process{cmd: exec.CommandContext(ctx, program, args...), exit: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.said
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return p
}

func (p *process) launch(name string) error {
	p.name = name
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() { // ends with the process, which stop and the context kill
		defer close(p.exit)
		_ = p.cmd.Wait()
	}()
	return nil
}

// call calls a method of a role and waits for its answer.
func (p *process) call(ctx context.Context, method string, args, reply any) error {
	call := p.rpc.Go("Role."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if call.Error != nil {
			return fmt.Errorf("%s: %s: %w%s", p.name, method, call.Error, p.last())
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %s: %w%s", p.name, method, context.Cause(ctx), p.last())
	}
}

// last is the end of what the process has complained about, for an error.
func (p *process) last() string {
	text := strings.TrimSpace(p.said.String())
	if text == "" {
		return ""
	}
	return "\n" + text[max(0, len(text)-2000):]
}

// stop kills the process and waits for its end.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.exit
	if p.rpc != nil {
		_ = p.rpc.Close()
	}
}

// cpu is the processor time that the process has used, all threads, user and
// system, in the kernel's ticks of 10 ms.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("%s has ended: %w%s", p.name, err, p.last())
	}
	// Fields are counted behind the name, which may have spaces: proc(5).
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int
	for _, i := range []int{11, 12} { // utime, stime
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// cpuFor is the processor time that the process uses in d.
func (p *process) cpuFor(ctx context.Context, d time.Duration) (time.Duration, error) {
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, d); err != nil {
		return 0, err
	}
	after, err := p.cpu()
	return after - before, err
}

// memory is what the process occupies, shared pages by their share, in bytes.
func (p *process) memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("%s has ended: %w%s", p.name, err, p.last())
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("smaps_rollup of %s has no Pss", p.name)
}

// peakMemory is the most that the process has had in memory, in bytes.
func (p *process) peakMemory() (int64, error) { return p.status("VmHWM:") }

// resetPeak has peakMemory begin anew, and returns what the process has in
// memory now, in bytes.
func (p *process) resetPeak() (int64, error) {
	// proc(5): "5" resets the high water mark.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0o600); err != nil {
		return 0, err
	}
	return p.status("VmRSS:")
}

// status is a size in the status of the process, in bytes.
func (p *process) status(name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("%s has ended: %w%s", p.name, err, p.last())
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("the status of %s has no %s", p.name, name)
}

// pause lets d pass, or ctx end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lockedBuffer keeps what a process says.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// none is for methods without arguments or answers.
type none = struct{}
