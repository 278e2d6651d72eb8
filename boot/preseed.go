package boot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// PreseedLimits bound what a template can cost. A field that is zero has the
// default.
type PreseedLimits struct {
	Template   int           // bytes, 2 MiB
	Output     int           // bytes, 4 MiB
	Memory     int           // bytes that one rendering may use, 256 MiB
	Time       time.Duration // of the processor for one rendering, 2 s
	Concurrent int           // renderings at the same time, 4
}

// PreseedError says what is wrong with a template, to its author.
type PreseedError struct {
	Syntax  bool   // the template cannot be read; else it cannot be rendered
	Message string // one line
	Line    int    // of the template, from 1; 0 when not known
}

// Error gives the sentence that mr-provisioner's clients know.
func (e *PreseedError) Error() string {
	if e.Syntax {
		return fmt.Sprintf("Syntax error on preseed template: %s - line: %d", e.Message, e.Line)
	}
	return "Exception raised while rendering preseed template: " + e.Message
}

// Renderer renders preseed templates: Jinja2 in which include, import and
// extends are refused, because a template reaches no file.
//
// Templates come from any user, and the template engine can neither be
// interrupted nor be held to a size: one expression is enough to take all
// memory, and a macro that calls itself ends a Go program with a fatal error.
// So each rendering has a process of its own, this program started anew as a
// worker, with no environment and nothing open but its input and output. It is
// killed when it exceeds a limit. Nothing of it can reach the server, and
// nothing in the language has to be left out.
type Renderer struct {
	limits PreseedLimits
	slots  chan struct{}
}

// NewRenderer makes a Renderer with the limits given.
func NewRenderer(limits PreseedLimits) *Renderer {
	if limits.Template == 0 {
		limits.Template = 2 << 20
	}
	if limits.Output == 0 {
		limits.Output = 4 << 20
	}
	if limits.Memory == 0 {
		limits.Memory = 256 << 20
	}
	if limits.Time == 0 {
		limits.Time = 2 * time.Second
	}
	if limits.Concurrent == 0 {
		limits.Concurrent = 4
	}
	return &Renderer{limits: limits, slots: make(chan struct{}, limits.Concurrent)}
}

// RenderedPreseed is what became of a template.
type RenderedPreseed struct {
	Text      []byte
	Undefined []Undefined // what it used and nobody has defined: the first 20
}

// Render renders template. It waits for its turn, and then until it is done or
// its time is up; ctx ends both. What is wrong with the template is a
// *PreseedError; then there is no text, but what was undefined until there.
func (r *Renderer) Render(ctx context.Context, template string, vars PreseedVars) (RenderedPreseed, error) {
	return r.work(ctx, workerRequest{Template: []byte(template), Vars: vars})
}

// Check tells by a *PreseedError why template cannot be read. It waits for its
// turn. What can go wrong only once there are values, such as an unknown
// filter, is left to Render.
func (r *Renderer) Check(template string) error {
	_, err := r.work(context.Background(), workerRequest{Template: []byte(template), CheckOnly: true})
	return err
}

func (r *Renderer) work(ctx context.Context, request workerRequest) (none RenderedPreseed, err error) {
	if len(request.Template) > r.limits.Template {
		return none, &PreseedError{Syntax: true, Line: 1,
			Message: fmt.Sprintf("the template has %d bytes, at most %d are possible", len(request.Template), r.limits.Template)}
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return none, fmt.Errorf("render preseed: %w", ctx.Err())
	}
	request.Limits = r.limits
	input, err := json.Marshal(request)
	if err != nil {
		return none, fmt.Errorf("render preseed: %w", err)
	}

	// The worker keeps its time itself, and counts the processor's: a busy host
	// may need seconds to start it. This is for one that does not come to an end.
	limited, cancel := context.WithTimeoutCause(ctx, r.limits.Time+workerStart, errPreseedTime)
	defer cancel()
	output := &limitedBuffer{limit: r.limits.Output + maxWorkerReply}
	crash := &limitedBuffer{limit: maxWorkerCrash}
	worker := exec.CommandContext(limited, "/proc/self/exe")
	worker.Args = []string{preseedWorkerName}
	worker.Env = []string{"GORACE=atexit_sleep_ms=0"} // nothing of ours; a build with the race detector would linger for a second
	worker.Dir = "/"
	worker.Stdin, worker.Stdout, worker.Stderr = bytes.NewReader(input), output, crash
	err = worker.Run()

	var exited *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return none, fmt.Errorf("render preseed: %w", ctx.Err())
	case errors.Is(context.Cause(limited), errPreseedTime),
		errors.As(err, &exited) && exited.ExitCode() == exitTime:
		return none, r.exceeded("takes longer than %s", r.limits.Time)
	case errors.As(err, &exited):
		return none, r.crashed(exited, crash.String())
	case err != nil:
		return none, fmt.Errorf("render preseed: start worker: %w", err)
	}
	return readReply(output.Bytes())
}

var errPreseedTime = errors.New("preseed template exceeds its time")

const (
	workerStart    = 10 * time.Second
	maxWorkerReply = 8 << 10 // bytes of a reply besides the rendered text
	maxWorkerCrash = 4 << 10 // bytes kept of what a worker says when it crashes
)

func (r *Renderer) exceeded(format string, limit any) error {
	return &PreseedError{Message: "the template " + fmt.Sprintf(format, limit)}
}

// crashed tells why a worker ended before it answered. It ends by a fatal error
// of the Go runtime where the template takes too much.
func (r *Renderer) crashed(exited *exec.ExitError, said string) error {
	switch {
	case exited.ExitCode() == exitFailed:
		return fmt.Errorf("render preseed: worker: %s", oneLine(said))
	case strings.Contains(said, "stack overflow"):
		return &PreseedError{Message: "the template nests too deeply, or calls itself without end"}
	case strings.Contains(said, "memory"), strings.Contains(said, "address space"), strings.Contains(said, "new OS thread"):
		return r.exceeded("needs more than %d bytes of memory", r.limits.Memory)
	}
	return &PreseedError{Message: fmt.Sprintf("the template crashes the template engine (%s)", exited)}
}

func readReply(output []byte) (RenderedPreseed, error) {
	head, text, _ := bytes.Cut(output, []byte("\n"))
	var reply workerReply
	if err := json.Unmarshal(head, &reply); err != nil {
		return RenderedPreseed{}, fmt.Errorf("render preseed: reply of the worker: %w", err)
	}
	if reply.Error != nil {
		return RenderedPreseed{Undefined: reply.Undefined}, reply.Error
	}
	return RenderedPreseed{Text: text, Undefined: reply.Undefined}, nil
}

// limitedBuffer keeps the first limit bytes and drops the rest, so that who
// writes is not stopped.
type limitedBuffer struct {
	bytes.Buffer
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(0, b.limit-b.Len()))])
	return len(p), nil
}
