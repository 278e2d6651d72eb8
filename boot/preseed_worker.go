package boot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"
	"time"
)

// preseedWorkerName is the name (argv[0]) under which this program is started
// as a preseed worker.
const preseedWorkerName = "provisioner-preseed"

// Exit codes of a worker that did not answer.
const (
	exitFailed = 3 // it could not serve its request
	exitTime   = 4 // the template's time was up
)

// A worker is this program, started again, so that there is no second file to
// install. It has to branch off before main, and in the binaries of tests as
// well: that is what init is for, here alone.
func init() {
	if len(os.Args) > 0 && os.Args[0] == preseedWorkerName {
		os.Exit(runPreseedWorker(os.Stdin, os.Stdout))
	}
}

// workerRequest is what a worker reads from its input, as JSON.
type workerRequest struct {
	Template  []byte // not string, which JSON would make UTF-8
	Vars      PreseedVars
	CheckOnly bool
	Limits    PreseedLimits
}

// workerReply is a worker's output: one line of JSON, and where there is no
// error the rendered text after it.
type workerReply struct {
	Error     *PreseedError
	Undefined []Undefined
}

// runPreseedWorker serves one request and returns the exit code. Where it
// takes too much memory or recurses without end, the process ends inside.
func runPreseedWorker(in io.Reader, out io.Writer) int {
	var request workerRequest
	if err := json.NewDecoder(in).Decode(&request); err != nil {
		return failed(err)
	}
	if err := confine(request.Limits); err != nil {
		return failed(err)
	}

	var text bytes.Buffer
	var reply workerReply
	if request.CheckOnly {
		_, reply.Error = parsePreseed(string(request.Template), new(lookups))
	} else {
		reply.Undefined, reply.Error = renderPreseed(&text, request)
	}
	w := bufio.NewWriter(out)
	if err := json.NewEncoder(w).Encode(reply); err != nil {
		return failed(err)
	}
	if reply.Error == nil {
		_, _ = text.WriteTo(w) // Flush has the error
	}
	if err := w.Flush(); err != nil {
		return failed(err)
	}
	return 0
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return exitFailed
}

// confine sets the limits of this process. Its time is kept by itself, by the
// one who started it, and by the kernel in case that one is gone.
func confine(limits PreseedLimits) error {
	seconds := 2 + 2*uint64(limits.Time.Seconds()) // of all cores together
	memory := uint64(limits.Memory)
	before, err := addressSpace()
	if err != nil {
		return err
	}
	for resource, limit := range map[int]uint64{
		syscall.RLIMIT_CPU:  seconds,
		syscall.RLIMIT_CORE: 0,
		// The runtime takes address space in steps of 64 MiB, and some for threads.
		syscall.RLIMIT_AS: before + memory + 128<<20,
	} {
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("set limit %d to %d: %w", resource, limit, err)
		}
	}
	go watchTime(limits.Time)             // ends with the process
	debug.SetMemoryLimit(int64(memory))   // beyond it, rather collect garbage than take more
	debug.SetMaxStack(limits.Memory / 32) // tells a recursion without end from a use of much memory
	return nil
}

// watchTime ends the process when it has used so much time of the processor
// from now on. A busy host takes nothing of it.
func watchTime(limit time.Duration) {
	begun := processorTime()
	for left := limit; left > 0; left = limit - (processorTime() - begun) {
		time.Sleep(max(left, time.Millisecond)) //nolint:forbidigo // nothing tells when time was used
	}
	os.Exit(exitTime)
}

func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0 // the kernel's own limit holds
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// addressSpace gives the bytes of address space that this process has.
func addressSpace() (uint64, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var pages uint64
	if _, err := fmt.Sscan(string(statm), &pages); err != nil {
		return 0, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil
}

// limitedWriter fails once more than limit bytes are written.
type limitedWriter struct {
	to    *bytes.Buffer
	limit int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.to.Len()+len(p) > w.limit {
		return 0, fmt.Errorf("the rendered text is larger than %d bytes", w.limit)
	}
	return w.to.Write(p)
}
