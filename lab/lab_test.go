package lab_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"provisioner/ipmi"
	"provisioner/lab"
	"provisioner/store"
	"provisioner/store/storetest"
)

// fixture is a lab with a few people in it and BMCs that the test plays.
type fixture struct {
	*lab.Lab
	t    *testing.T
	db   *store.DB
	dir  string
	bmcs map[string]*fakeBMC // by address

	admin, ada, grace lab.Actor

	mu  sync.Mutex
	now time.Time
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// newFixture makes a lab that runs until the test ends, with the machines
// web-01 and web-02 (amd64) and arm-01 (arm64), which all have BMCs.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureOf(t, func(*fakeBMC) {})
}

// newFixtureOf is newFixture with BMCs that prepare has changed.
func newFixtureOf(t *testing.T, prepare func(*fakeBMC)) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), bmcs: make(map[string]*fakeBMC)}
	var err error
	if f.db, err = storetest.Open(t.Context(), filepath.Join(f.dir, "provisioner.db")); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"bmc-web-01", "bmc-web-02", "bmc-arm-01"} {
		f.bmcs[address] = &fakeBMC{polled: make(chan struct{}, 100), opened: make(chan net.Conn, 100)}
		prepare(f.bmcs[address])
	}
	f.Lab, err = lab.New(lab.Config{
		Store: f.db, DataDir: f.dir, Now: f.clock, PollEvery: time.Hour,
		PublicURL: &url.URL{Scheme: "http", Host: "127.0.0.1:8080", Path: "/"},
		NewBMC: func(b store.BMC) (lab.BMC, error) {
			if bmc, ok := f.bmcs[b.Address]; ok {
				return bmc, nil
			}
			return nil, fmt.Errorf("no BMC %s in this test", b.Address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"web-01", "web-02", "arm-01"} {
		arch := "amd64"
		if strings.HasPrefix(name, "arm") {
			arch = "arm64"
		}
		f.must(f.AddMachine(t.Context(), lab.Local, lab.NewMachine{
			Name: name, Arch: arch, Subarch: "uefi", MACs: []string{fmt.Sprintf("52:54:00:00:00:%02x", i+1)},
			BMC: &store.BMC{Address: "bmc-" + name, Username: "u", Password: "p"},
		}))
	}
	f.admin = f.login("root", true)
	f.ada, f.grace = f.login("ada", false), f.login("grace", false)
	f.addImages()

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }() // ends with cancel, below
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		f.must(f.Close())
		f.must(f.db.Close())
	})
	for _, bmc := range f.bmcs {
		<-bmc.polled
	}
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) login(name string, admin bool) lab.Actor {
	f.t.Helper()
	key := lab.PublicKey{Fingerprint: "SHA256:" + name, Authorized: "ssh-ed25519 AAAA" + name, Comment: name + "@laptop"}
	f.must(f.AddUser(f.t.Context(), lab.Local, name, admin, &key))
	actor, err := f.Login(f.t.Context(), name, key.Fingerprint, "192.0.2.1:1")
	f.must(err)
	return actor
}

func (f *fixture) addImages() {
	f.t.Helper()
	for _, image := range []lab.NewImage{
		{Name: "grub", Type: store.ImageBootloader, Arch: "amd64", Subarch: "uefi", Filename: "grubx64.efi", Public: true},
		{Name: "linux", Type: store.ImageKernel, Arch: "amd64", Filename: "vmlinuz", Public: true},
		{Name: "linux-arm", Type: store.ImageKernel, Arch: "arm64", Filename: "vmlinuz", Public: true},
		{Name: "initrd", Type: store.ImageInitrd, Arch: "amd64", Filename: "initrd.gz", Public: true},
	} {
		f.must(f.AddImage(f.t.Context(), lab.Local, image, strings.NewReader("content of "+image.Name)))
	}
}

func (f *fixture) machine(name string) lab.MachineDetail {
	f.t.Helper()
	m, err := f.Machine(f.t.Context(), f.admin, name)
	f.must(err)
	return m
}

// runToken is what the newest run of a machine has in its addresses, which the
// lab tells nobody but the machine.
func (f *fixture) runToken(name string) (token string) {
	f.t.Helper()
	f.must(f.db.Read(f.t.Context(), func(tx *store.Tx) error {
		run, err := tx.LatestRun(f.t.Context(), f.machine(name).ID)
		token = run.Token
		return err
	}))
	return token
}

// refused checks that err is a refusal of that kind, in words that say why.
func (f *fixture) refused(err error, code lab.Code, words ...string) {
	f.t.Helper()
	if err == nil {
		f.t.Errorf("it was done; want it refused as %s", code)
		return
	}
	if lab.CodeOf(err) != code {
		f.t.Errorf("refused as %q (%v); want %q", lab.CodeOf(err), err, code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			f.t.Errorf("%q does not say %q", err, w)
		}
	}
}

// fakeBMC is a BMC that a test plays.
type fakeBMC struct {
	mu     sync.Mutex
	on     bool
	err    error // what every command answers
	asked  []string
	inUse  bool          // somebody else has its console open
	port   net.Conn      // the machine's end of its console
	opened chan net.Conn // likewise, each that was opened
	polled chan struct{}

	fruErr  error         // what FRU answers
	reading chan struct{} // gets a token when sensors are read, and is waited for until it gives one back; nil: at once
}

func (b *fakeBMC) do(what string, effect func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, what)
	if b.err == nil {
		effect()
	}
	return b.err
}

func (b *fakeBMC) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// orders returns what was asked since the last call, but for questions.
func (b *fakeBMC) orders() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	orders := b.asked
	b.asked = nil
	return orders
}

func (b *fakeBMC) Power(context.Context) (ipmi.PowerState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.polled <- struct{}{}:
	default:
	}
	if b.on {
		return ipmi.PowerOn, b.err
	}
	return ipmi.PowerOff, b.err
}

func (b *fakeBMC) SetPower(_ context.Context, action ipmi.PowerAction) error {
	return b.do("power "+action.String(), func() { b.on = action != ipmi.PowerDown && action != ipmi.PowerSoft })
}

func (b *fakeBMC) Identify(_ context.Context, light ipmi.Light) error {
	return b.do("light "+light.String(), func() {})
}

func (b *fakeBMC) SetBootDevice(_ context.Context, device ipmi.BootDevice, options ipmi.BootOptions) error {
	return b.do(fmt.Sprintf("boot %s efi=%t persistent=%t", device, options.EFI, options.Persistent), func() {})
}

// DeviceInfo, Sensors, SEL, FRU and SOLSettings are what inventory says, and are asked for
// in the order of orders.
func (b *fakeBMC) DeviceInfo(context.Context) (info ipmi.DeviceInfo, err error) {
	return info, b.do("device", func() { info = ipmi.DeviceInfo{Manufacturer: 674} })
}

func (b *fakeBMC) Sensors(ctx context.Context) (sensors []ipmi.Sensor, err error) {
	if b.reading != nil {
		b.reading <- struct{}{}
		select {
		case <-b.reading:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return sensors, b.do("sensors", func() { sensors = []ipmi.Sensor{{Name: "Inlet Temp", HasValue: true, Value: 23, Unit: "°C"}} })
}

func (b *fakeBMC) SEL(_ context.Context, limit int) (entries []ipmi.SELEntry, err error) {
	return entries, b.do(fmt.Sprintf("events %d", limit), func() { entries = []ipmi.SELEntry{{ID: 1, Event: "power up"}} })
}

func (b *fakeBMC) FRU(context.Context) (fru ipmi.FRU, err error) {
	err = b.do("fru", func() { fru.Product.Serial = "SVCTAG7" })
	b.mu.Lock()
	defer b.mu.Unlock()
	return fru, errors.Join(err, b.fruErr)
}

func (b *fakeBMC) SOLSettings(context.Context) (settings ipmi.SOLSettings, err error) {
	return settings, b.do("console settings", func() { settings = ipmi.SOLSettings{Enabled: true, BitRate: 115200} })
}

func (b *fakeBMC) OpenSOL(_ context.Context, takeOver bool) (io.ReadWriteCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	if b.inUse && !takeOver {
		return nil, &ipmi.Error{Op: "open console", Addr: "10.0.0.1:623", Err: &ipmi.SOLActiveError{
			Holder: ipmi.Holder{User: "root", Addr: netip.MustParseAddrPort("10.0.0.9:40000")},
		}}
	}
	b.inUse = false
	ours, theirs := net.Pipe()
	b.port = theirs
	select {
	case b.opened <- theirs:
	default:
	}
	return ours, nil
}

// Retry ends the pause of a BMC that is left alone.
func (b *fakeBMC) Retry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	var paused *ipmi.PausedError
	if errors.As(b.err, &paused) {
		b.err = nil
	}
}

func (b *fakeBMC) Close(context.Context) error { return nil }
