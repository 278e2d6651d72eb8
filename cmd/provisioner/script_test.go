package main

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts in testdata/script run this program and OpenSSH's client as a
// person does.
func TestMain(m *testing.M) {
	nextPort.Store(rand.Uint32N(10000))
	testscript.Main(m, map[string]func(){"provisioner": main})
}

func TestScripts(t *testing.T) {
	for _, program := range []string{"ssh", "ssh-keygen", "scp", "sftp", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%v: install openssh-client and curl", err)
			}
			t.Skipf("%v: install openssh-client and curl", err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"newer":   newer,
			"await":   await,
			"trimmed": trimmed,
		},
	})
}

// setUp gives each script free ports, and ssh a configuration that knows the
// server by the name `lab`.
func setUp(env *testscript.Env) error {
	var ports []string
	for range 3 {
		port, err := freePort()
		if err != nil {
			return err
		}
		ports = append(ports, port)
	}
	for name, value := range map[string]string{
		"PROVISIONER_SSH_ADDR": "127.0.0.1:" + ports[0], "PROVISIONER_HTTP_ADDR": "127.0.0.1:" + ports[1],
		"PROVISIONER_TFTP_ADDR": "127.0.0.1:" + ports[2], "PROVISIONER_DATA": env.Cd + "/data",
		"HTTP_PORT": ports[1], "TFTP_PORT": ports[2],
		"GORACE": "atexit_sleep_ms=0", // or each command lingers for a second
	} {
		env.Setenv(name, value)
	}
	config := fmt.Sprintf("Host lab\n HostName 127.0.0.1\n Port %s\n User admin\n IdentityFile %s/key\n IdentitiesOnly yes\n"+
		" StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n", ports[0], env.Cd)
	return os.WriteFile(env.Cd+"/ssh_config", []byte(config), 0o600)
}

// nextPort begins elsewhere in each process, so that two of them hardly meet.
var nextPort atomic.Uint32

// freePort returns one that is free for TCP and UDP, and that the kernel gives
// nobody who asks for any port (ip(7), ip_local_port_range) meanwhile.
func freePort() (string, error) {
	var failed error
	for range 100 {
		port := strconv.Itoa(20000 + int(nextPort.Add(1)%10000))
		tcp, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			failed = err
			continue
		}
		udp, err := net.ListenPacket("udp", "127.0.0.1:"+port)
		if failed = errors.Join(err, tcp.Close()); failed == nil {
			return port, udp.Close()
		}
	}
	return "", failed
}

// newer makes a database look as if a later release had written it.
func newer(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite3", ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	ts.Check(err)
	ts.Check(db.Close())
}

// await runs a command again and again until its output holds a text:
// await 'text' command ...
func await(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.After(30 * time.Second)
	for {
		err := ts.Exec(args[1], args[2:]...)
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("%q never came (%v): %s%s", args[0], err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// trimmed writes what follows a text in a file that is being written to
// another file, once it is there: trimmed 'text' from to
func trimmed(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.After(30 * time.Second)
	for {
		file, err := os.Open(ts.MkAbs(args[1]))
		if err == nil {
			scanner := bufio.NewScanner(file)
			for scanner.Scan() {
				if _, after, found := strings.Cut(scanner.Text(), args[0]); found {
					ts.Check(file.Close())
					ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(after+"\n"), 0o600))
					return
				}
			}
			ts.Check(file.Close())
		}
		select {
		case <-deadline:
			ts.Fatalf("%q never came in %s", args[0], args[1])
		case <-time.After(50 * time.Millisecond):
		}
	}
}
