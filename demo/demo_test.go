package demo_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"provisioner/demo"
	"provisioner/lab"
	"provisioner/server"
	"provisioner/sim"
	"provisioner/store"
	"provisioner/store/storetest"
)

// start runs the product with a simulated lab, as `provisioner demo` does.
func start(t *testing.T) *lab.Lab {
	t.Helper()
	dir := t.TempDir()
	db, err := storetest.Open(t.Context(), filepath.Join(dir, "provisioner.db"))
	if err != nil {
		t.Fatal(err)
	}
	publicURL := &url.URL{Scheme: "http", Path: "/"}
	l, err := lab.New(lab.Config{Store: db, DataDir: dir, PublicURL: publicURL})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Listen(t.Context(), server.Config{
		Lab: l, SSHAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", TFTPAddr: "127.0.0.1:0",
		HostKey: filepath.Join(dir, "host_key"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	publicURL.Host = s.HTTPAddr().String()
	_, port, err := net.SplitHostPort(s.TFTPAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	tftpPort, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	world, endWorld := context.WithCancel(context.WithoutCancel(t.Context()))
	machines, err := sim.StartLab(world, sim.LabConfig{
		Machines: 12, Installed: 4, Dead: []int{demo.Dead}, BMCUsername: demo.BMCUsername, BMCPassword: demo.BMCPassword,
		Network: sim.Network{DHCPHook: publicURL.JoinPath("dhcp").String(), TFTPPort: tftpPort},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second start on the same data folder finds everything there
		if err := demo.Fill(t.Context(), l, machines.Machines()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	served, watched := make(chan error, 1), make(chan error, 1)
	go func() { served <- s.Serve(ctx) }() // ends with cancel, below
	go func() { watched <- l.Run(ctx) }()  // likewise
	t.Cleanup(func() {
		cancel()
		err := errors.Join(<-served, <-watched)
		endWorld()
		if err := errors.Join(err, machines.Wait(), l.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestDemoLabIsAsPromised(t *testing.T) {
	l := start(t)
	archs, held, dead := map[string]int{}, 0, 0
	deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	subscription := l.Subscribe()
	defer subscription.Close()
	var machines []lab.Machine
	for polled := 0; polled < 12; { // until every BMC has answered or has failed to
		if _, _, err := subscription.Next(deadline); err != nil {
			t.Fatalf("%d of 12 BMCs were asked: %v", polled, err)
		}
		var err error
		if machines, err = l.Machines(t.Context(), lab.Local); err != nil {
			t.Fatal(err)
		}
		polled = 0
		for _, m := range machines {
			if !m.Power.At.IsZero() {
				polled++
			}
		}
	}
	for _, m := range machines {
		archs[m.Arch]++
		if len(m.Holders) == 1 && m.Holders[0].User == demo.Colleague {
			held++
		}
		if m.Power.State == lab.PowerUnknown {
			dead++
		}
	}
	if len(archs) != 2 || held != 2 || dead != 1 {
		t.Errorf("architectures %v, %d machines held by a colleague, %d dead BMCs", archs, held, dead)
	}
}

func TestMachineIsInstalledOverTheNetworkAndBootsFromDiskThen(t *testing.T) {
	l := start(t)
	for _, test := range []struct{ machine, arch string }{{"amd-milan-02", "amd64"}, {"kunpeng-01", "arm64"}} {
		t.Run(test.arch, func(t *testing.T) {
			if err := l.Assign(t.Context(), lab.Local, test.machine, demo.Colleague, "test"); err != nil {
				t.Fatal(err)
			}
			viewer, err := l.OpenConsole(t.Context(), lab.Local, test.machine)
			for lab.CodeOf(err) == lab.Unavailable { // its BMC is not attached yet
				viewer, err = l.OpenConsole(t.Context(), lab.Local, test.machine)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer viewer.Close()
			err = l.Provision(t.Context(), lab.Local, test.machine, lab.ProvisionRequest{
				Kernel: "debian-12-kernel-" + test.arch, Initrd: "debian-12-initrd-" + test.arch,
				Options: "console=ttyS0", Preseed: "debian-12",
			})
			if err != nil {
				t.Fatal(err)
			}
			seen := until(t, viewer, test.machine+" login: ")
			for _, line := range []string{"bootloaders/" + test.arch + "/uefi/grubnet.efi", "GNU GRUB", "console=ttyS0", "phone-home"} {
				if !strings.Contains(seen, line) {
					t.Errorf("the console never showed %q:\n%s", line, seen)
				}
			}
			m, err := l.Machine(t.Context(), lab.Local, test.machine)
			if err != nil || m.State != store.StateReady || m.NetbootEnabled {
				t.Errorf("machine: %+v, %v", m.Machine, err)
			}
			if err := l.SetPower(t.Context(), lab.Local, test.machine, lab.Reset); err != nil {
				t.Fatal(err)
			}
			if seen := until(t, viewer, test.machine+" login: "); strings.Contains(seen, "Downloading") {
				t.Errorf("after the install it booted from the network:\n%s", seen)
			}
			if err := viewer.Send(t.Context(), []byte("root\r")); err != nil {
				t.Fatal(err)
			}
			until(t, viewer, "Password:")
		})
	}
}

// until reads a console until it has shown what is wanted.
func until(t *testing.T, viewer *lab.Seat, want string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var seen strings.Builder
	for !strings.Contains(seen.String(), want) {
		out, err := viewer.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for %q: %v; seen:\n%s", want, err, seen.String())
		}
		seen.Write(out.Data)
	}
	return seen.String()
}
