package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"provisioner/ipmi"
)

// typist types one key at a time into a console, and waits for its echo.
type typist struct {
	console io.ReadWriter
}

// alphabet is what is typed: no escape character of any client.
const alphabet = "abcdefghijklmnopqrstuvwxyz"

// echoes types keys and returns how long each took to come back.
func (t typist) echoes(ctx context.Context, keys int) (sample, error) {
	var s sample
	buf := make([]byte, 4096)
	for i := range keys {
		// A person is not in step with anybody's timers.
		if err := pause(ctx, time.Duration(5+i*7%11)*time.Millisecond); err != nil {
			return nil, err
		}
		key := alphabet[i%len(alphabet)]
		began := time.Now()
		if _, err := t.console.Write([]byte{key}); err != nil {
			return nil, err
		}
		for seen := false; !seen; {
			n, err := t.console.Read(buf)
			if err != nil {
				return nil, fmt.Errorf("wait for the echo of key %d: %w", i+1, err)
			}
			seen = bytes.IndexByte(buf[:n], key) >= 0
		}
		s = append(s, time.Since(began))
	}
	return s, nil
}

// keyEcho is the time from a key to its echo, through ipmi_sim and a machine
// that prints what is typed. Both sides take turns on the same BMC.
func keyEcho(ctx context.Context, d *director) ([]row, error) {
	o, err := startOpenIPMI(ctx, d)
	if err != nil {
		return nil, err
	}
	defer o.stop()

	rounds, keys := d.scale(6, 1), d.scale(50, 5)
	var ours, peer sample
	for range rounds {
		s, err := o.typeByUs(ctx, keys)
		if err != nil {
			return nil, fmt.Errorf("type through our console: %w", err)
		}
		ours = append(ours, s...)
		if s, err = o.typeByIpmitool(ctx, keys); err != nil {
			return nil, fmt.Errorf("type through ipmitool: %w", err)
		}
		peer = append(peer, s...)
	}
	var rows []row
	for _, q := range []struct {
		name string
		at   float64
	}{{"median", 0.5}, {"p99", 0.99}} {
		a, b := ours.quantile(q.at), peer.quantile(q.at)
		rows = append(rows, row{
			Measure: fmt.Sprintf("echo of one key through SOL on ipmi_sim, %s of %d", q.name, len(ours)),
			Ours:    figure(a), Peer: figure(b) + " (ipmitool sol activate)", Ratio: ratio(a, b),
			Target: "not slower", Met: a <= b,
		})
	}
	return rows, nil
}

// openIPMI is OpenIPMI's simulated BMC, and a machine that echoes.
type openIPMI struct {
	port string
	*process
	serial net.Listener
}

const openIPMIUser, openIPMIPassword = "bench", "bench"

const openIPMIConfig = `name "sim1"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 @LAN@
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  sol "tcp:127.0.0.1:@SOL@" 115200
  user 2 true "` + openIPMIUser + `" "` + openIPMIPassword + `" admin 10 none md2 md5 straight
`

const openIPMICommands = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
`

func startOpenIPMI(ctx context.Context, d *director) (*openIPMI, error) {
	dir := filepath.Join(d.dir, "ipmi_sim")
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		return nil, err
	}
	serial, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &openIPMI{serial: serial}
	if o.port, err = freePort(ctx); err != nil {
		return nil, errors.Join(err, serial.Close())
	}
	_, serialPort, _ := net.SplitHostPort(serial.Addr().String())
	config := strings.NewReplacer("@LAN@", o.port, "@SOL@", serialPort).Replace(openIPMIConfig)
	for name, text := range map[string]string{"lan.conf": config, "cmd.emu": openIPMICommands} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, errors.Join(err, serial.Close())
		}
	}
	o.process, err = start(ctx, "ipmi_sim", nil, "ipmi_sim", "-n", "-c", filepath.Join(dir, "lan.conf"),
		"-f", filepath.Join(dir, "cmd.emu"), "-s", filepath.Join(dir, "state"))
	if err != nil {
		return nil, errors.Join(err, serial.Close())
	}
	if err := serial.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		o.stop()
		return nil, err
	}
	line, err := serial.Accept() // it connects once it is up
	if err != nil {
		o.stop()
		return nil, fmt.Errorf("ipmi_sim does not come up: %w%s", err, o.last())
	}
	go func() { // ends with ipmi_sim
		_, _ = io.Copy(line, line)
		_ = line.Close()
	}()
	return o, nil
}

func (o *openIPMI) stop() {
	_ = o.serial.Close()
	if o.process != nil {
		o.process.stop()
	}
}

// freePort returns a UDP port that was free a moment ago, for a program that
// cannot choose one by itself.
func freePort(ctx context.Context) (string, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	return port, conn.Close()
}

func (o *openIPMI) typeByUs(ctx context.Context, keys int) (sample, error) {
	client := ipmi.NewClient(ipmi.Config{Addr: "127.0.0.1:" + o.port, Username: openIPMIUser, Password: openIPMIPassword})
	defer func() { _ = client.Close(ctx) }()
	sol, err := client.OpenSOL(ctx)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = sol.Close() })()
	s, err := typist{sol}.echoes(ctx, keys)
	return s, errors.Join(err, sol.Close())
}

// typeByIpmitool types on a pseudo terminal on which `ipmitool sol activate` runs,
// with the cipher suite that ours comes to, too: ipmi_sim has none better than 3.
func (o *openIPMI) typeByIpmitool(ctx context.Context, keys int) (sample, error) {
	master, slave, err := openPTY()
	if err != nil {
		return nil, err
	}
	defer func() { _ = master.Close() }()
	tool := prepare(ctx, []string{"IPMI_PASSWORD=" + openIPMIPassword, "IPMITOOL_PASSWORD=" + openIPMIPassword, "TERM=dumb"}, "ipmitool",
		"-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", o.port, "-U", openIPMIUser, "-E", "sol", "activate")
	tool.cmd.Stdin, tool.cmd.Stdout, tool.cmd.Stderr = slave, slave, slave
	tool.cmd.SysProcAttr.Setsid, tool.cmd.SysProcAttr.Setctty = true, true
	err = tool.launch("ipmitool")
	_ = slave.Close()
	if err != nil {
		return nil, err
	}
	defer tool.stop()
	if err := master.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	if err := awaitText(master, "operational"); err != nil {
		return nil, err
	}
	s, err := typist{master}.echoes(ctx, keys)
	if err != nil {
		return nil, err
	}
	// Its way to leave, at the start of a line. What it has not acknowledged by
	// then, ipmi_sim sends to the next one, whose first key waits for it.
	if _, err := master.WriteString("\r"); err != nil {
		return nil, err
	}
	if err := errors.Join(awaitText(master, "\r"), pause(ctx, 100*time.Millisecond)); err != nil {
		return nil, err
	}
	if _, err := master.WriteString("~."); err != nil {
		return nil, err
	}
	go func() { _, _ = io.Copy(io.Discard, master) }() // ends with ipmitool
	select {
	case <-tool.exit:
		return s, nil
	case <-time.After(10 * time.Second):
		return nil, errors.New("it does not end")
	}
}

// awaitText reads until a text has come.
func awaitText(r io.Reader, want string) error {
	var seen []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(seen, []byte(want)) {
		n, err := r.Read(buf)
		if err != nil {
			return fmt.Errorf("wait for %q after %q: %w", want, seen, err)
		}
		seen = append(seen, buf[:n]...)
	}
	return nil
}
