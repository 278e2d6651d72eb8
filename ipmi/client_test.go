package ipmi_test

import (
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"provisioner/ipmi"
	"provisioner/ipmi/sim"
)

func TestPowerFollowsTheMachine(t *testing.T) {
	hw := &machine{}
	c := connect(t, ipmi.Config{Addr: onLoopback(t, sim.New(user, password, hw))})
	expect := func(want ipmi.PowerState) {
		t.Helper()
		if got, err := c.Power(t.Context()); err != nil || got != want {
			t.Fatalf("power %v, %v; want %v", got, err, want)
		}
	}
	expect(ipmi.PowerOff)
	for _, a := range []ipmi.PowerAction{ipmi.PowerUp, ipmi.PowerReset, ipmi.PowerCycle, ipmi.PowerDiag} {
		if err := c.SetPower(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	expect(ipmi.PowerOn)
	for _, a := range []ipmi.PowerAction{ipmi.PowerDown, ipmi.PowerUp, ipmi.PowerSoft} {
		if err := c.SetPower(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	expect(ipmi.PowerOff)
	want := []string{"on", "reset", "off", "on", "diag", "off", "on", "off"}
	if got := hw.did(); !reflect.DeepEqual(got, want) {
		t.Errorf("the machine saw %v, want %v", got, want)
	}
}

func TestLightOfTheMachine(t *testing.T) {
	hw := &machine{}
	c := connect(t, ipmi.Config{Addr: onLoopback(t, sim.New(user, password, hw))})
	for _, light := range []ipmi.Light{ipmi.LightBrief, ipmi.LightOn, ipmi.LightOff} {
		if err := c.Identify(t.Context(), light); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"light on for 15 s", "light on", "light off"}
	if got := hw.did(); !reflect.DeepEqual(got, want) {
		t.Errorf("the machine saw %v, want %v", got, want)
	}
}

func TestBootDeviceReachesTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{}
		_, c := onWire(t, hw)
		var want []string
		for _, dev := range []ipmi.BootDevice{ipmi.BootPXE, ipmi.BootDisk, ipmi.BootCDROM, ipmi.BootBIOS, ipmi.BootNone} {
			for _, opt := range []ipmi.BootOptions{{}, {EFI: true}, {Persistent: true}, {EFI: true, Persistent: true}} {
				if err := c.SetBootDevice(t.Context(), dev, opt); err != nil {
					t.Fatal(err)
				}
				e := "boot " + dev.String()
				if opt.Persistent {
					e += " persistent"
				}
				if opt.EFI {
					e += " efi"
				}
				want = append(want, e)
			}
		}
		if got := hw.did(); !reflect.DeepEqual(got, want) {
			t.Errorf("the machine saw %v, want %v", got, want)
		}
	})
}

func TestBMCOverIPv6(t *testing.T) {
	conn, err := net.ListenPacket("udp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	hw := &machine{}
	start(t, sim.New(user, password, hw), conn)
	addr := conn.LocalAddr().String() // [::1]:port
	c := connect(t, ipmi.Config{Addr: addr})
	if err := c.SetPower(t.Context(), ipmi.PowerUp); err != nil {
		t.Fatal(err)
	}
	sol := openSOL(t, c)
	hw.print([]byte("login: "))
	got := make([]byte, 7)
	if _, err := io.ReadFull(sol, got); err != nil || string(got) != "login: " {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := sol.Write([]byte("root")); err != nil || hw.wasTyped() != "root" {
		t.Errorf("typed %q, %v", hw.wasTyped(), err)
	}
	// The interface of a link-local address goes with it.
	iface, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	scoped := connect(t, ipmi.Config{Addr: net.JoinHostPort("::1%"+iface.Name, port)})
	if _, err := scoped.Power(t.Context()); err != nil {
		t.Errorf("an address with its interface: %v", err)
	}
}

func TestSessionsOpenWithEachSuiteAndKey(t *testing.T) {
	kg := []byte("the key of the BMC")
	tests := []struct {
		name     string
		opts     []sim.Option
		cfg      ipmi.Config
		want     error
		contains string
	}{
		{name: "suite 17"},
		{name: "suite 3 where 17 is refused", opts: []sim.Option{sim.WithoutSuite17()}},
		{name: "K_g", opts: []sim.Option{sim.WithKG(kg)}, cfg: ipmi.Config{KG: kg}},
		{
			name: "K_g missing", opts: []sim.Option{sim.WithKG(kg)},
			want: ipmi.ErrBadCredentials, contains: "K_g is not the one given",
		},
		{
			name: "wrong password", cfg: ipmi.Config{Username: user, Password: "incorrect donkey"},
			want: ipmi.ErrBadCredentials, contains: "unknown user name or wrong password",
		},
		{
			name: "unknown user", cfg: ipmi.Config{Username: "nobody", Password: password},
			want: ipmi.ErrBadCredentials, contains: "unknown user name or wrong password",
		},
		{
			name: "unknown user without a password", cfg: ipmi.Config{Username: "nobody"},
			want: ipmi.ErrBadCredentials, contains: "unknown user name or wrong password",
		},
		{
			name: "long user name", cfg: ipmi.Config{Username: "seventeen letters"},
			want: ipmi.ErrBadCredentials, contains: "the user name has 17 bytes, IPMI allows 16",
		},
		{
			name: "long password", cfg: ipmi.Config{Username: user, Password: "this one has 21 bytes"},
			want: ipmi.ErrBadCredentials, contains: "the password has 21 bytes, IPMI allows 20",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Addr = onLoopback(t, sim.New(user, password, &machine{}, tt.opts...))
			c := connect(t, tt.cfg)
			for range 2 { // the second time with what the first has learned
				_, err := c.Power(t.Context())
				if !errors.Is(err, tt.want) {
					t.Fatalf("error %v, want %v", err, tt.want)
				}
				if tt.want == nil {
					continue
				}
				text := err.Error()
				if !strings.HasPrefix(text, "BMC "+tt.cfg.Addr+": chassis status: ") || !strings.Contains(text, tt.contains) {
					t.Errorf("error %q, want it to contain %q", text, tt.contains)
				}
				if tt.cfg.Password != "" && strings.Contains(text, tt.cfg.Password) {
					t.Errorf("error %q shows the password", text)
				}
			}
		})
	}
}

func TestAddressesGetPort623(t *testing.T) {
	for addr, want := range map[string]string{
		"bmc7":          "bmc7:623",
		"bmc7:":         "bmc7:623",
		"10.0.3.7":      "10.0.3.7:623",
		"10.0.3.7:9001": "10.0.3.7:9001",
		"fd00::7":       "[fd00::7]:623",
		"[fd00::7]":     "[fd00::7]:623",
		"[fd00::7]:9":   "[fd00::7]:9",
		"::1":           "[::1]:623",
		"[::1]":         "[::1]:623",
		"[::1]:9001":    "[::1]:9001",
		"fe80::1%eth0":  "[fe80::1%eth0]:623",
		"[fe80::1%2]:9": "[fe80::1%2]:9",
	} {
		var got string
		c := ipmi.NewClient(ipmi.Config{Addr: addr, Dial: func(_ context.Context, addr string) (net.Conn, error) {
			got = addr
			return nil, errors.New("no network")
		}})
		_, err := c.Power(t.Context())
		var e *ipmi.Error
		if got != want || !errors.As(err, &e) || e.Addr != want || !errors.Is(err, ipmi.ErrNoAnswer) {
			t.Errorf("%s dials %s with error %v, want %s", addr, got, err, want)
		}
	}
}

func TestDeadBMCIsGivenUpAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire() // nobody serves
		c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial})
		began := time.Now()
		_, err := c.Power(t.Context())
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v, want 5s", took)
		}
		if !errors.Is(err, ipmi.ErrNoAnswer) || err.Error() != "BMC bmc:623: chassis status: no answer in 5s" {
			t.Errorf("error %v", err)
		}
		var at []time.Duration
		for _, s := range w.sentTimes() {
			at = append(at, s.Sub(began))
		}
		if want := []time.Duration{0, time.Second, 3 * time.Second}; !reflect.DeepEqual(at, want) {
			t.Errorf("sent at %v, want %v", at, want)
		}
	})
}

func TestErrorTellsWhatTheNetworkSaid(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := conn.LocalAddr().String()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	c := connect(t, ipmi.Config{Addr: addr, Timeout: 200 * time.Millisecond})
	_, err = c.Power(t.Context())
	if !errors.Is(err, ipmi.ErrNoAnswer) || !strings.HasSuffix(err.Error(), "no answer in 200ms (connection refused)") {
		t.Errorf("error %v", err)
	}
}

func TestCallersShareOneHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial})
		began := time.Now()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := c.Power(t.Context()); !errors.Is(err, ipmi.ErrNoAnswer) {
					t.Errorf("error %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took != 5*time.Second || len(w.sentTimes()) != 3 {
			t.Errorf("8 callers took %v and %d packets, want 5s and 3", took, len(w.sentTimes()))
		}
	})
}

func TestContextEndsACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.Power(ctx)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %v, want 2s", took)
		}
		if !errors.Is(err, ipmi.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// A BMC that was restarted knows nothing of our session and keeps silent.
func TestForgottenSessionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hw := &machine{}
		w := newWire()
		serve := func() (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = sim.New(user, password, hw).Serve(ctx, unclosed{w.bmc})
			}()
			return func() {
				cancel()
				w.bmc.put(datagram{from: "nobody"}) // wake its reader
				<-done
			}
		}
		stop := serve()
		c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial})
		if err := c.SetPower(t.Context(), ipmi.PowerUp); err != nil {
			t.Fatal(err)
		}
		stop()
		stop = serve()

		began := time.Now()
		if s, err := c.Power(t.Context()); err != nil || s != ipmi.PowerOn {
			t.Errorf("status across a restart of the BMC: %v, %v", s, err)
		}
		if took := time.Since(began); took > 3100*time.Millisecond {
			t.Errorf("status took %v, want little more than 3s", took)
		}

		stop()
		stop = serve()
		if err := c.SetPower(t.Context(), ipmi.PowerReset); !errors.Is(err, ipmi.ErrNoAnswer) {
			t.Errorf("reset across a restart of the BMC: %v, want no answer", err)
		}
		if err := c.SetPower(t.Context(), ipmi.PowerReset); err != nil {
			t.Errorf("reset after that: %v", err)
		}
		if got := hw.did(); !reflect.DeepEqual(got, []string{"on", "reset"}) {
			t.Errorf("the machine saw %v", got)
		}
		stop()
		w.setCut(true)

		began = time.Now()
		if _, err := c.Power(t.Context()); !errors.Is(err, ipmi.ErrNoAnswer) {
			t.Errorf("status of a BMC that died: %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v, want 5s", took)
		}
	})
}

// unclosed outlives the BMC that serves on it.
type unclosed struct{ *plug }

func (unclosed) Close() error { return nil }

func (u unclosed) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := u.plug.ReadFrom(b)
	if from == net.Addr(name("nobody")) {
		return 0, nil, net.ErrClosed
	}
	return n, from, err
}

func TestUnusedSessionIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		if _, err := c.Power(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := len(w.sentTimes())
		pass(44 * time.Second)
		if n := len(w.sentTimes()); n != before {
			t.Errorf("%d packets while idle, want none", n-before)
		}
		pass(2 * time.Second)
		if n := len(w.sentTimes()); n != before+1 {
			t.Errorf("%d packets after 45s, want one Close Session", n-before)
		}
		began := time.Now()
		if _, err := c.Power(t.Context()); err != nil || time.Since(began) > time.Second {
			t.Errorf("status after that: %v in %v", err, time.Since(began))
		}
	})
}

func TestCloseLeavesNoSessionBehind(t *testing.T) {
	addr := onLoopback(t, sim.New(user, password, &machine{}))
	for range 3 * 4 { // a BMC has four sessions
		c := ipmi.NewClient(ipmi.Config{Addr: addr, Username: user, Password: password})
		if _, err := c.Power(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Power(t.Context()); !errors.Is(err, ipmi.ErrClosed) {
			t.Fatalf("status of a closed client: %v", err)
		}
	}
}

func TestCloseWithAnEndedContextStillSaysGoodbye(t *testing.T) {
	addr := onLoopback(t, sim.New(user, password, &machine{}))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 8 {
		c := ipmi.NewClient(ipmi.Config{Addr: addr, Username: user, Password: password})
		if _, err := c.OpenSOL(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(over); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseEndsCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		c := connect(t, ipmi.Config{Addr: bmcName.String(), Dial: w.Dial})
		failed := make(chan error)
		go func() {
			_, err := c.Power(t.Context())
			failed <- err
		}()
		synctest.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-failed; !errors.Is(err, ipmi.ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
}

func TestCommandsSurviveABadNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := onWire(t, &machine{})
		w.loss, w.double, w.late = 0.05, 0.05, 0.05
		for range 200 {
			if _, err := c.Power(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if s := c.Stats(); s.Retransmitted == 0 || s.Replayed == 0 {
			t.Errorf("the network was not bad: %+v", s)
		}
	})
}
