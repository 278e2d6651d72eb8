package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
)

// Set for the test binary that runs inside the namespaces: the product's executable.
const binaryEnv = "PROVISIONER_E2E_BINARY"

// Why there are no namespaces to run in; nil inside of them.
var errOutside = errors.New("the tests run in namespaces of their own only")

// TestMain starts the test binary once more, as root of its own network and process namespaces: no address, port or
// device name can clash with this machine's or another run's, and when the test ends, is interrupted or killed, the
// kernel ends every process in there and takes the network away.
func TestMain(m *testing.M) {
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if os.Getenv(binaryEnv) != "" {
		errOutside = nil
		os.Exit(m.Run())
	}
	unshare := []string{"--net", "--pid", "--fork", "--kill-child"}
	if os.Geteuid() != 0 {
		unshare = append(unshare, "--user", "--map-root-user")
	}
	probe := slices.Concat(unshare, []string{"ip", "tuntap", "add", "probe", "mode", "tap"})
	if out, err := exec.Command("unshare", probe...).CombinedOutput(); err != nil {
		errOutside = fmt.Errorf("no network namespace with a tap device for user %d: %w: %s", os.Geteuid(), err, out)
		os.Exit(m.Run())
	}
	status, err := inside(unshare)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(status)
}

// inside builds the product, while there is a network to fetch modules from, and runs this test binary behind
// unshare. A shell is the namespace's first process, because it reaps the machines that the BMC has ended.
func inside(unshare []string) (status int, err error) {
	dir, err := os.MkdirTemp("", "provisioner-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "provisioner")
	build := exec.Command("go", "build", "-race", "-o", binary, "provisioner/cmd/provisioner")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the product: %w\n%s", err, out)
	}

	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // ends what runs inside, and then us, tidily
	runtime.LockOSThread()                               // Pdeathsig is sent when the thread that starts the process ends
	defer runtime.UnlockOSThread()
	cmd := exec.Command("unshare", slices.Concat(unshare, []string{"sh", "-c", `"$@"; exit $?`, "sh"}, os.Args)...)
	cmd.Env = append(os.Environ(), binaryEnv+"="+binary, "TMPDIR="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// require ends the test where a program or a file it needs is missing, or namespaces are: it is skipped, but fails
// with CI=true.
func require(t *testing.T, needed ...string) {
	t.Helper()
	leaveOut := t.Skipf
	if os.Getenv("CI") == "true" {
		leaveOut = t.Fatalf
	}
	if errOutside != nil {
		leaveOut("%v", errOutside)
	}
	for _, name := range needed {
		var err error
		if filepath.IsAbs(name) {
			_, err = os.Stat(name)
		} else {
			_, err = exec.LookPath(name)
		}
		if err != nil {
			leaveOut("%v: test/packages.sh installs what is missing", err)
		}
	}
}
