package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
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

// noon is when everything happens in a world.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// world is a lab that answers over HTTP: the admin root, the users ada and
// grace, and eve, whose token is for reading only; web-01 (1), which ada holds,
// web-02.lab (2) and arm-01 (3), which has no BMC; kernels, initrds, preseeds.
type world struct {
	t   *testing.T
	lab *lab.Lab
	db  *store.DB
	bmc *fakeBMC // of web-01
	api *api
	url string

	stop context.CancelFunc // tells those who stay that the server ends
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
		t.Fatal(err)
	}
	return openWorld(t, dir)
}

// template is a data folder with what there is in every world.
var template string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is in the folder for what is temporary
	template = dir
	if err := populate(context.Background(), dir); err != nil {
		log.Print("populate a world: ", err)
		return 1
	}
	return m.Run()
}

func openWorld(t *testing.T, dir string) *world {
	t.Helper()
	db, err := storetest.Open(t.Context(), filepath.Join(dir, "provisioner.db"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, bmc: &fakeBMC{opened: make(chan net.Conn, 10)}}
	stopping, stop := context.WithCancel(t.Context())
	w.stop = stop
	if w.lab, err = newLab(db, dir, w.bmc); err != nil {
		t.Fatal(err)
	}
	w.api, err = newAPI(stopping, w.lab, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	w.api.now = func() time.Time { return noon }
	server := httptest.NewServer(http.StripPrefix(Prefix, w.api.router))
	w.url = server.URL + Prefix

	events := w.lab.Subscribe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.lab.Run(ctx) }() // ends with cancel, below
	t.Cleanup(func() {
		stop()
		server.Close()
		cancel()
		if err := errors.Join(<-ended, w.lab.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	defer events.Close()
	for known := 0; known < 2; { // the BMCs have said that the machines are off
		news, _, err := events.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range news {
			if e.Kind == lab.EventPowerSeen {
				known++
			}
		}
	}
	return w
}

// newLab makes a lab in which time stands still. The BMC is that of web-01.
func newLab(db *store.DB, dir string, bmc *fakeBMC) (*lab.Lab, error) {
	return lab.New(lab.Config{
		Store: db, DataDir: dir, PublicURL: &url.URL{Scheme: "http", Host: "127.0.0.1:8080"},
		Now: func() time.Time { return noon }, PollEvery: time.Hour,
		NewBMC: func(b store.BMC) (lab.BMC, error) {
			if b.Address == "web-01" {
				return bmc, nil
			}
			return &fakeBMC{}, nil
		},
	})
}

// populate puts into a data folder what there is in every world.
func populate(ctx context.Context, dir string) error {
	db, err := storetest.Open(ctx, filepath.Join(dir, "provisioner.db"))
	if err != nil {
		return err
	}
	l, err := newLab(db, dir, &fakeBMC{})
	if err == nil {
		err = errors.Join(addPeople(ctx, db, l), addMachines(ctx, l), addImages(ctx, l), l.Close())
	}
	return errors.Join(err, db.Close())
}

func addPeople(ctx context.Context, db *store.DB, l *lab.Lab) error {
	var errs []error
	for _, p := range []struct {
		name  string
		scope store.TokenScope
	}{
		{"root", store.ScopeAdmin}, {"ada", store.ScopeOperate}, {"grace", store.ScopeOperate}, {"eve", store.ScopeRead},
	} {
		errs = append(errs, l.AddUser(ctx, lab.Local, p.name, p.name == "root", nil), db.Write(ctx, func(tx *store.Tx) error {
			user, err := tx.User(ctx, p.name)
			if err != nil {
				return err
			}
			hash := sha256.Sum256([]byte(tokenOf(p.name)))
			_, err = tx.AddToken(ctx, store.Token{UserID: user.ID, Hash: hash[:], Scope: p.scope, CreatedAt: noon})
			return err
		}))
	}
	return errors.Join(errs...)
}

func addMachines(ctx context.Context, l *lab.Lab) error {
	errs := []error{l.AddNetwork(ctx, lab.Local, store.Network{
		Name: "lab", Subnet: "10.0.0.0/24", StaticPool: "10.0.0.128/25", ReservedPool: "10.0.0.64/31", Gateway: "10.0.0.1",
	})}
	network := "lab"
	for _, m := range []lab.NewMachine{
		{Name: "web-01", Arch: "amd64", MACs: []string{"52:54:00:00:00:01"}, BMC: &store.BMC{Address: "web-01"}},
		{Name: "web-02.lab", Arch: "amd64", MACs: []string{"52:54:00:00:00:02"}, BMC: &store.BMC{Address: "web-02"}},
		{Name: "arm-01", Arch: "arm64"},
	} {
		m.Subarch = "uefi"
		errs = append(errs, l.AddMachine(ctx, lab.Local, m))
		if m.BMC != nil {
			_, err := l.SetInterface(ctx, lab.Local, m.Name, "", lab.InterfaceChange{Network: &network})
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, l.Assign(ctx, lab.Local, "web-01", "ada", "kernel tests"))...)
}

func addImages(ctx context.Context, l *lab.Lab) error {
	var errs []error
	for _, image := range []lab.NewImage{
		{Name: "grub", Type: store.ImageBootloader, Arch: "amd64", Subarch: "uefi", Filename: "grubx64.efi", Public: true},
		{Name: "linux", Type: store.ImageKernel, Arch: "amd64", Filename: "vmlinuz", Public: true, KnownGood: true},
		{Name: "initrd", Type: store.ImageInitrd, Arch: "amd64", Filename: "initrd.gz", Public: true},
		{Name: "linux-arm", Type: store.ImageKernel, Arch: "arm64", Filename: "vmlinuz", Public: true},
	} {
		errs = append(errs, l.AddImage(ctx, lab.Local, image, strings.NewReader("content of "+image.Name)))
	}
	return errors.Join(append(errs, l.AddPreseed(ctx, lab.Local, lab.NewPreseed{
		Name: "debian", Type: "preseed", Content: "d-i hostname {{ hostname }}\n", Public: true,
	}))...)
}

// fakeBMC is a BMC that a test plays: that of a machine which is off at first.
type fakeBMC struct {
	mu    sync.Mutex
	on    bool
	err   error    // what it answers
	asked []string // what it was told to do

	opened chan net.Conn // the machine's ends of the consoles that were opened; nil: nothing happens on them
}

func (b *fakeBMC) do(what string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, what)
	return b.err
}

func (b *fakeBMC) Power(context.Context) (ipmi.PowerState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on {
		return ipmi.PowerOn, b.err
	}
	return ipmi.PowerOff, b.err
}

func (b *fakeBMC) SetPower(_ context.Context, action ipmi.PowerAction) error {
	err := b.do("power " + action.String())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on = err == nil && action != ipmi.PowerDown
	return err
}

func (b *fakeBMC) SetBootDevice(_ context.Context, device ipmi.BootDevice, _ ipmi.BootOptions) error {
	return b.do("boot " + device.String())
}

func (b *fakeBMC) Identify(context.Context, ipmi.Light) error { return b.err }
func (b *fakeBMC) DeviceInfo(context.Context) (ipmi.DeviceInfo, error) {
	return ipmi.DeviceInfo{Firmware: "2.81"}, b.err
}
func (b *fakeBMC) SEL(context.Context, int) ([]ipmi.SELEntry, error)           { return nil, b.err }
func (b *fakeBMC) FRU(context.Context) (f ipmi.FRU, err error)                 { return f, b.err }
func (b *fakeBMC) SOLSettings(context.Context) (s ipmi.SOLSettings, err error) { return s, b.err }
func (b *fakeBMC) Close(context.Context) error                                 { return nil }

func (b *fakeBMC) Sensors(context.Context) ([]ipmi.Sensor, error) {
	return []ipmi.Sensor{{Name: "CPU1 Temp", HasValue: true, Value: 41, Unit: "°C"}}, b.err
}

// OpenSOL opens a console.
func (b *fakeBMC) OpenSOL(ctx context.Context, _ bool) (io.ReadWriteCloser, error) {
	ours, theirs := net.Pipe()
	if b.opened != nil {
		select {
		case b.opened <- theirs:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return ours, nil
}
