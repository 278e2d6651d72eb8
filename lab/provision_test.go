package lab_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"provisioner/boot"
	"provisioner/ipmi"
	"provisioner/lab"
	"provisioner/store"
)

var (
	webMAC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	client = netip.MustParseAddrPort("10.0.0.9:1234")
)

const webConfig = "grub/grub.cfg-01-52-54-00-00-00-01"

// fetch reads a file as a machine does.
func (f *fixture) fetch(name string) (string, error) {
	file, err := f.BootFile(f.t.Context(), name, client)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(file)
	f.must(err)
	if file.Size() != int64(len(text)) {
		f.t.Errorf("%s has %d bytes, and said %d", name, len(text), file.Size())
	}
	return string(text), nil
}

// word returns the first word of a configuration that begins so.
func word(t *testing.T, config, prefix string) string {
	t.Helper()
	for field := range strings.FieldsFuncSeq(config, func(r rune) bool { return strings.ContainsRune(" \n'\"", r) }) {
		if strings.HasPrefix(field, prefix) {
			return field
		}
	}
	t.Fatalf("no %s in:\n%s", prefix, config)
	return ""
}

// provision starts a run on web-01 without a preseed.
func (f *fixture) provision() {
	f.t.Helper()
	f.must(f.Provision(f.t.Context(), f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux", Initrd: "initrd"}))
}

func TestProvisionedMachineIsServedUntilItPhonesHome(t *testing.T) {
	f := newFixture(t)
	f.must(f.AddPreseed(t.Context(), lab.Local, lab.NewPreseed{
		Name: "debian", Type: "preseed", Public: true,
		Content: "{{ hostname }} {{ ssh_key }} {{ kernel.filename }} {{ phone_home_url }}",
	}))
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	disk, err := f.fetch(webConfig)
	f.must(err)

	f.must(f.Provision(t.Context(), f.ada, "web-01", lab.ProvisionRequest{
		Kernel: "linux", Initrd: "initrd", Options: "console=ttyS0", Preseed: "debian",
	}))
	want := []string{"boot pxe efi=true persistent=false", "power on"}
	if orders := f.bmcs["bmc-web-01"].orders(); !slices.Equal(orders, want) {
		t.Errorf("the BMC was asked for %q, want %q", orders, want)
	}
	if m := f.machine("web-01"); m.State != store.StateProvisioning || m.Kernel != "linux" || m.Preseed != "debian" {
		t.Errorf("machine: %+v", m)
	}

	known, err := f.DHCP().Seen(t.Context(), boot.SeenRequest{Discover: true, MAC: webMAC, Arch: 7})
	if err != nil || !known {
		t.Errorf("seen: %t, %v", known, err)
	}
	answer, err := f.DHCP().Answer(t.Context(), webMAC)
	if err != nil || answer.BootFile != "bootloaders/amd64/uefi/grubx64.efi" || answer.NextServer.String() != "127.0.0.1" {
		t.Errorf("DHCP answer: %+v, %v", answer, err)
	}
	if text, err := f.fetch(answer.BootFile); text != "content of grub" {
		t.Errorf("bootloader: %q, %v", text, err)
	}
	config, err := f.fetch(webConfig)
	f.must(err)
	for prefix, content := range map[string]string{"/boot/": "content of linux"} {
		if text, err := f.fetch(word(t, config, prefix)); text != content {
			t.Errorf("kernel: %q, %v", text, err)
		}
	}
	if !strings.Contains(config, "console=ttyS0") {
		t.Errorf("configuration without the options:\n%s", config)
	}
	token := strings.Split(word(t, config, "/boot/"), "/")[2]
	if url := word(t, config, "url="); url != "url=http://127.0.0.1:8080/boot/"+token+"/preseed" {
		t.Errorf("preseed address %s", url)
	}
	text, err := f.RunPreseed(t.Context(), token, "10.0.0.9")
	if want := "web-01 ssh-ed25519 AAAAada ada@laptop vmlinuz http://127.0.0.1:8080/boot/" + token + "/phone-home"; err != nil || string(text.Text) != want {
		t.Errorf("preseed %q, %v", text.Text, err)
	}
	if m := f.machine("web-01"); m.Run.Stage != lab.StageSeed {
		t.Errorf("stage %q", m.Run.Stage)
	}

	for range 2 { // a second call is harmless
		f.must(f.PhoneHome(t.Context(), token, "10.0.0.9"))
	}
	if m := f.machine("web-01"); m.State != store.StateReady || m.NetbootEnabled || m.Run.State != store.RunDone {
		t.Errorf("after the phone-home: %+v, run %+v", m.Machine, m.Run)
	}
	if text, err := f.fetch(webConfig); err != nil || text != disk {
		t.Errorf("configuration after the phone-home: %q, %v", text, err)
	}
	answer, err = f.DHCP().Answer(t.Context(), webMAC)
	if err != nil || answer.BootFile != "" {
		t.Errorf("DHCP answer after the phone-home: %+v, %v", answer, err)
	}
	_, err = f.RunPreseed(t.Context(), token, "10.0.0.9")
	f.refused(err, lab.NotFound)
	if _, err := f.fetch("boot/" + token + "/kernel/vmlinuz"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("kernel after the phone-home: %v", err)
	}
}

func TestRunThatCannotBeginChangesNothing(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.must(f.Reserve(t.Context(), f.ada, "arm-01", ""))
	f.must(f.AddImage(t.Context(), f.grace, lab.NewImage{Name: "secret", Type: store.ImageKernel, Arch: "amd64", Filename: "k"}, strings.NewReader("k")))
	before := f.machine("web-01")
	for _, test := range []struct {
		machine string
		request lab.ProvisionRequest
		code    lab.Code
		words   string
	}{
		{"web-01", lab.ProvisionRequest{}, lab.Invalid, "a kernel is needed"},
		{"web-01", lab.ProvisionRequest{Kernel: "none"}, lab.NotFound, `no kernel "none"`},
		{"web-01", lab.ProvisionRequest{Kernel: "initrd"}, lab.Invalid, "initrd is a initrd, not a kernel"},
		{"web-01", lab.ProvisionRequest{Kernel: "linux-arm"}, lab.Invalid, "is for arm64"},
		{"web-01", lab.ProvisionRequest{Kernel: "secret"}, lab.Denied, "private"},
		{"web-01", lab.ProvisionRequest{Kernel: "linux", Initrd: "none"}, lab.NotFound, `no initrd "none"`},
		{"web-01", lab.ProvisionRequest{Kernel: "linux", Preseed: "none"}, lab.NotFound, `no preseed "none"`},
		{"web-01", lab.ProvisionRequest{Kernel: "linux", Options: "a\nb"}, lab.Invalid, "control character"},
		{"arm-01", lab.ProvisionRequest{Kernel: "linux-arm"}, lab.Invalid, "has no bootloader"},
	} {
		f.refused(f.Provision(t.Context(), f.ada, test.machine, test.request), test.code, "provision "+test.machine, test.words)
	}
	after := f.machine("web-01")
	if after.State != before.State || after.NetbootEnabled || after.Run != nil || len(f.bmcs["bmc-web-01"].orders()) != 0 {
		t.Errorf("machine: %+v", after)
	}
}

func TestKernelWhoseFileIsGoneIsNamed(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	files, err := filepath.Glob(filepath.Join(f.dir, "images", "*"))
	f.must(err)
	for _, file := range files {
		f.must(os.Remove(file))
	}
	err = f.Provision(t.Context(), f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux"})
	f.refused(err, lab.Unavailable, "kernel linux", "missing on the server")
}

func TestRunWhoseBMCFailsHasFailed(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.bmcs["bmc-web-01"].fail(&ipmi.Error{Op: "set boot device", Addr: "10.0.0.1:623", Err: ipmi.ErrNoAnswer})
	err := f.Provision(t.Context(), f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux"})
	f.refused(err, lab.Unavailable, "provision web-01", "10.0.0.1:623")
	m := f.machine("web-01")
	if m.State != store.StateError || m.NetbootEnabled || m.Run.State != store.RunFailed || m.Run.Error == "" {
		t.Errorf("machine: %+v, run %+v", m.Machine, m.Run)
	}
}

func TestNextRunAndReleaseEndTheRun(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.provision()
	first := f.runToken("web-01")
	f.provision()
	if second := f.runToken("web-01"); second == first {
		t.Fatal("two runs have one token")
	}
	f.refused(f.PhoneHome(t.Context(), first, ""), lab.NotFound)
	if want := "power reset"; f.bmcs["bmc-web-01"].orders()[3] != want {
		t.Errorf("a machine that is on was not %s", want)
	}
	f.must(f.Release(t.Context(), f.ada, "web-01"))
	if m := f.machine("web-01"); m.Run.State != store.RunCancelled || m.NetbootEnabled || m.State != store.StateUnknown {
		t.Errorf("after the release: %+v, run %+v", m.Machine, m.Run)
	}
	f.refused(f.EndRun(t.Context(), f.admin, "web-01"), lab.Conflict, "no run")
}

func TestAddressesOfARunExpire(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.provision()
	token := f.runToken("web-01")
	f.advance(25 * time.Hour)
	_, err := f.RunPreseed(t.Context(), token, "")
	f.refused(err, lab.NotFound)
	f.refused(f.PhoneHome(t.Context(), token, ""), lab.NotFound)
}

func TestRunThatNeverPhonesHomeHasFailedAfterADay(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.provision()
	tomorrow := f.clock().Add(25 * time.Hour)
	later, err := lab.New(lab.Config{ // the server, started again the next day
		Store: f.db, DataDir: f.dir, Now: func() time.Time { return tomorrow },
		NewBMC: func(store.BMC) (lab.BMC, error) { return &fakeBMC{}, nil },
	})
	f.must(err)
	subscription := later.Subscribe()
	defer subscription.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- later.Run(ctx) }() // ends with cancel, below
	for f.machine("web-01").Run.State == store.RunRunning {
		_, _, err := subscription.Next(t.Context())
		f.must(err)
	}
	cancel()
	f.must(errors.Join(<-ended, later.Close()))
	if m := f.machine("web-01"); m.Run.State != store.RunFailed || !strings.Contains(m.Run.Error, "no phone-home") || m.State != store.StateError || m.NetbootEnabled {
		t.Errorf("machine: %+v, run %+v", m.Machine, m.Run)
	}
}

func TestBootFilesStayInsideTheirFolder(t *testing.T) {
	f := newFixture(t)
	tftp := filepath.Join(f.dir, "tftp")
	f.must(os.WriteFile(filepath.Join(tftp, "own.efi"), []byte("own"), 0o600))
	f.must(os.MkdirAll(filepath.Join(tftp, "grub"), 0o750))
	f.must(os.WriteFile(filepath.Join(tftp, webConfig), []byte("by hand"), 0o600))
	f.must(os.Symlink(filepath.Join(f.dir, "provisioner.db"), filepath.Join(tftp, "leak")))
	for name, want := range map[string]string{"own.efi": "own", "/own.efi": "own", webConfig: "by hand"} {
		if text, err := f.fetch(name); text != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for _, name := range []string{
		"../provisioner.db", "/../../etc/passwd", "grub/../../provisioner.db", `..\provisioner.db`, "leak", "grub", "", "no.efi",
		"bootloaders/amd64/uefi/../../x", "bootloaders/amd64/uefi/other", "bootloaders/vax/uefi/grubx64.efi", "boot/x/kernel/vmlinuz",
	} {
		if text, err := f.fetch(name); err == nil {
			t.Errorf("%q was served: %q", name, text)
		}
	}
}

func TestUnknownMachineBootsFromDiskAndIsRemembered(t *testing.T) {
	f := newFixture(t)
	stranger := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	known, err := f.DHCP().Seen(t.Context(), boot.SeenRequest{Discover: true, MAC: stranger, Hostname: "new", Arch: 7})
	if err != nil || known {
		t.Errorf("seen: %t, %v", known, err)
	}
	if _, err := f.DHCP().Answer(t.Context(), stranger); !errors.Is(err, boot.ErrUnknownMAC) {
		t.Errorf("answer: %v", err)
	}
	err = f.DHCP().Lease(t.Context(), boot.LeaseRequest{MAC: stranger, IPv4: client.Addr(), Duration: time.Hour})
	if !errors.Is(err, boot.ErrUnknownMAC) {
		t.Errorf("lease: %v", err)
	}
	f.must(f.DHCP().Lease(t.Context(), boot.LeaseRequest{MAC: webMAC, IPv4: client.Addr(), Duration: time.Hour}))
	text, err := f.fetch("pxelinux.cfg/01-02-00-00-00-00-09")
	if err != nil || !strings.Contains(strings.ToUpper(text), "LOCALBOOT") {
		t.Errorf("configuration: %q, %v", text, err)
	}
}

func TestLogsHoldNoTokens(t *testing.T) {
	for name, want := range map[string]string{
		"/boot/secret/kernel/vmlinuz": "/boot/.../kernel/vmlinuz",
		"boot/secret/preseed":         "boot/.../preseed",
		"boot/secret":                 "boot/...",
		"//boot//secret/kernel":       "//boot//.../kernel",
		"a/b//boot/secret/kernel/x":   "a/b//boot/.../kernel/x",
		"boot/./secret/kernel/x":      "boot/./.../kernel/x",
		`\boot\secret\kernel\x`:       "/boot/.../kernel/x",
		webConfig:                     webConfig,
		"bootloaders/amd64/uefi/x":    "bootloaders/amd64/uefi/x",
	} {
		if got := lab.LogName(name); got != want {
			t.Errorf("%s is logged as %s, want %s", name, got, want)
		}
	}
}

func TestImageIsThereWholeOrNotAtAll(t *testing.T) {
	f := newFixture(t)
	before, err := os.ReadDir(filepath.Join(f.dir, "images"))
	f.must(err)
	add := func(name string, content io.Reader) error {
		return f.AddImage(t.Context(), f.ada, lab.NewImage{Name: name, Type: store.ImageKernel, Arch: "amd64", Filename: "k"}, content)
	}
	f.refused(add("broken", io.MultiReader(strings.NewReader("half"), brokenReader{})), lab.Internal, "add image broken", "torn")
	f.refused(add("empty", strings.NewReader("")), lab.Invalid, "empty")
	f.refused(add("linux", strings.NewReader("another")), lab.Conflict, "already")
	f.refused(f.AddImage(t.Context(), f.ada, lab.NewImage{Name: "vax-k", Type: store.ImageKernel, Arch: "vax", Filename: "k"}, strings.NewReader("v")),
		lab.NotFound, "vax")
	f.refused(f.AddImage(t.Context(), f.ada, lab.NewImage{Name: "evil", Type: store.ImageBootloader, Arch: "amd64", Subarch: "uefi", Filename: "b"}, strings.NewReader("b")),
		lab.Denied, "only an admin")
	f.must(add("same content", strings.NewReader("content of linux")))
	after, err := os.ReadDir(filepath.Join(f.dir, "images"))
	f.must(err)
	if len(after) != len(before) {
		t.Errorf("files before %v, after %v", before, after)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the cable was torn") }
