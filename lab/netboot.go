package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path"
	"strings"
	"time"

	"provisioner/boot"
	"provisioner/store"
)

// How far a run has come, as its machine's requests show.
const (
	StageAsked  = "waiting for the machine"
	StageDHCP   = "asked DHCP"
	StageConfig = "configuration loaded"
	StageKernel = "kernel loaded"
	StageInitrd = "initrd loaded"
	StageSeed   = "preseed fetched"
	StagePhoned = "phoned home"
)

// What a run's addresses end in: /boot/TOKEN/kernel/FILENAME over TFTP,
// /boot/TOKEN/preseed over HTTP. The token is the run's, so that nobody can
// guess an address, and an address is worth nothing once the run has ended.
const (
	bootFolder       = "boot"
	bootloaderFolder = "bootloaders"
)

// LogName is the name of a boot request as a log may hold it: without the
// token of its run, which is as good as a password while the run goes on. It is
// taken out of any path, since bootloaders ask below folders of their own, and
// however [boot.CleanPath] lets a path be written.
func LogName(name string) string {
	elements := strings.Split(strings.ReplaceAll(name, `\`, "/"), "/")
	before := ""
	for i, element := range elements {
		if element == "" || element == "." {
			continue
		}
		if before == bootFolder {
			elements[i] = "..."
		}
		before = element
	}
	return strings.Join(elements, "/")
}

// machineActor is a machine that speaks for itself, from an address.
func machineActor(m, remote string) Actor {
	return Actor{User: store.User{Name: m}, Via: "boot request", Remote: remote}
}

// BootRequest asks for a file, over TFTP or HTTP.
type BootRequest struct {
	Name      string
	Client    netip.AddrPort
	UserAgent string // over HTTP
	Peek      bool   // it wants to know of the file, and not yet to have it: nothing is noted
}

// BootContent is the answer to a [BootRequest]. Its caller closes it.
type BootContent struct {
	boot.TFTPFile
	Disk   *os.File // which it is on disk; nil: made for this request
	SHA256 string   // in hexadecimal; empty: not known
}

// BootFile is OpenBootFile as a TFTP server calls it.
func (l *Lab) BootFile(ctx context.Context, name string, client netip.AddrPort) (boot.TFTPFile, error) {
	content, err := l.OpenBootFile(ctx, BootRequest{Name: name, Client: client})
	if err != nil {
		return nil, err
	}
	return content.TFTPFile, nil
}

// OpenBootFile opens what a machine asks for. What an admin has put into the
// tftp folder is served as it is, before anything else. An error that wraps
// [fs.ErrNotExist] says that there is no such file.
func (l *Lab) OpenBootFile(ctx context.Context, r BootRequest) (*BootContent, error) {
	name, err := boot.CleanPath(r.Name)
	if err != nil {
		return nil, fail(Invalid, "%w", err)
	}
	r.Name = name
	file, err := boot.OpenInRoot(l.tftpRoot, r.Name)
	if err == nil {
		return &BootContent{TFTPFile: file, Disk: boot.OnDisk(file)}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fail(Unavailable, "%w", err)
	}
	if loader, mac, ok := boot.ConfigRequest(r.Name); ok {
		return l.bootConfig(ctx, loader, mac, r)
	}
	if config, ok := boot.Redirect(r.Name); ok {
		return textFile(config), nil
	}
	elements := strings.Split(r.Name, "/")
	switch {
	case len(elements) == 4 && elements[0] == bootloaderFolder:
		return l.bootloader(ctx, elements[1], elements[2], elements[3])
	case len(elements) == 4 && elements[0] == bootFolder:
		return l.runFile(ctx, elements[1], elements[2], elements[3], r.Peek)
	case len(elements) == 1:
		return l.bareBootloader(ctx, r.Name)
	}
	return nil, fs.ErrNotExist
}

// bootConfig renders what a bootloader does next.
func (l *Lab) bootConfig(ctx context.Context, loader boot.Bootloader, mac net.HardwareAddr, r BootRequest) (*BootContent, error) {
	var config []byte
	transaction := l.write
	if r.Peek || mac == nil {
		transaction = l.store.Read
	}
	err := transaction(ctx, func(tx *store.Tx) error {
		var m store.Machine
		err := store.ErrNotFound
		if mac != nil {
			m, err = tx.MachineByMAC(ctx, mac.String())
		}
		if errors.Is(err, store.ErrNotFound) {
			config, err = l.render(ctx, tx, loader, boot.Disk, boot.Netboot{MAC: mac, HTTP: l.publicURL})
			return err
		}
		if err != nil {
			return err
		}
		next, err := l.nextBoot(ctx, tx, loader, m, mac)
		if err != nil {
			return err
		}
		config = next.Config
		if next.loader == boot.IPXE && loader == boot.IPXE && next.Netboot && boot.OutdatedIPXE(r.UserAgent) {
			config = boot.ChainScript(l.publicURL.JoinPath(next.Bootloader).String())
		}
		if r.Peek {
			return nil
		}
		if next.Netboot {
			if err := l.stage(ctx, tx, m, StageConfig); err != nil {
				return err
			}
		}
		if !l.bootEvents.due(m.ID, l.now()) {
			return nil
		}
		return tx.AddEvent(ctx, store.Event{
			At: l.now(), Kind: EventBootConfig, Machine: m.Name, Detail: r.Name + " to " + r.Client.Addr().String(),
		})
	})
	if err != nil {
		l.log.Error("no boot configuration", "mac", mac.String(), "error", err)
		return nil, wrap(err, "boot configuration of %s", mac)
	}
	return textFile(config), nil
}

// netboot is what a machine's run boots; [store.ErrNotFound] where it has none
// or boots from disk.
func (l *Lab) netboot(ctx context.Context, tx *store.Tx, m store.Machine, mac net.HardwareAddr) (boot.Netboot, error) {
	run, err := tx.RunningRun(ctx, m.ID)
	if err != nil {
		return boot.Netboot{}, err
	}
	if !m.NetbootEnabled {
		return boot.Netboot{}, store.ErrNotFound
	}
	netboot := boot.Netboot{Options: run.KernelOptions, MAC: mac, HTTP: l.publicURL, Machine: m.Name, Arch: m.Arch, Subarch: m.Subarch}
	kernel, err := tx.Image(ctx, run.KernelID)
	if err != nil {
		return boot.Netboot{}, fmt.Errorf("kernel of run %d: %w", run.ID, err)
	}
	netboot.Kernel = path.Join(bootFolder, run.Token, string(store.ImageKernel), kernel.Filename)
	if run.InitrdID != 0 {
		initrd, err := tx.Image(ctx, run.InitrdID)
		if err != nil {
			return boot.Netboot{}, fmt.Errorf("initrd of run %d: %w", run.ID, err)
		}
		netboot.Initrd = path.Join(bootFolder, run.Token, string(store.ImageInitrd), initrd.Filename)
	}
	if run.PreseedID != 0 {
		preseed, err := tx.Preseed(ctx, run.PreseedID)
		if err != nil {
			return boot.Netboot{}, fmt.Errorf("preseed of run %d: %w", run.ID, err)
		}
		interfaces, err := tx.Interfaces(ctx, m.ID)
		if err != nil {
			return boot.Netboot{}, err
		}
		implied := l.impliedOptions(boot.PreseedType(preseed.Type), run, interfaces, mac)
		netboot.Options = strings.TrimSpace(implied + " " + run.KernelOptions)
	}
	return netboot, nil
}

func (l *Lab) runURL(run store.Run, what string) string {
	return l.publicURL.JoinPath(bootFolder, run.Token, what).String()
}

// bootloader opens the bootloader of a subarchitecture, or what lies beside it.
// They are no secret.
func (l *Lab) bootloader(ctx context.Context, arch, subarch, filename string) (*BootContent, error) {
	var image store.Image
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		image, err = tx.BootloaderFile(ctx, arch, subarch, filename)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, wrap(err, "bootloader of %s/%s", arch, subarch)
	}
	return l.imageContent(ctx, image)
}

// bareBootloader opens what a UEFI shim asks for without a folder: it takes the
// folder from the BOOTP field of the DHCP answer, which is empty where the
// server has put the boot file into option 67 alone, as dnsmasq does.
func (l *Lab) bareBootloader(ctx context.Context, filename string) (*BootContent, error) {
	arch := boot.EFIFileArch(filename)
	if arch == "" {
		return nil, fs.ErrNotExist
	}
	var subarch string
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		subarch, _, err = tx.ArchBootloader(ctx, arch, true)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, wrap(err, "bootloader of %s", arch)
	}
	return l.bootloader(ctx, arch, subarch, filename)
}

// runFile opens the kernel or the initrd of a run that is going on.
func (l *Lab) runFile(ctx context.Context, token, what, filename string, peek bool) (*BootContent, error) {
	var image store.Image
	transaction := l.write
	if peek {
		transaction = l.store.Read
	}
	err := transaction(ctx, func(tx *store.Tx) error {
		run, m, err := l.currentRun(ctx, tx, token)
		if err != nil {
			return err
		}
		id, stage := run.KernelID, StageKernel
		switch store.ImageType(what) {
		case store.ImageKernel:
		case store.ImageInitrd:
			id, stage = run.InitrdID, StageInitrd
		default:
			return store.ErrNotFound
		}
		if image, err = tx.Image(ctx, id); err != nil {
			return err
		}
		if image.Filename != filename {
			return store.ErrNotFound
		}
		if peek {
			return nil
		}
		return l.stage(ctx, tx, m, stage)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, wrap(err, "open %s", filename)
	}
	return l.imageContent(ctx, image)
}

// currentRun finds the run of a token, as long as it is going on.
func (l *Lab) currentRun(ctx context.Context, tx *store.Tx, token string) (run store.Run, m store.Machine, err error) {
	if run, err = tx.RunByToken(ctx, token); err != nil {
		return run, m, err
	}
	if run.State != store.RunRunning || l.now().Sub(run.StartedAt) > runTerm {
		return run, m, store.ErrNotFound
	}
	m, err = tx.MachineByID(ctx, run.MachineID)
	return run, m, err
}

// stage notes how far a machine's run has come. Without a run there is nothing
// to note.
func (l *Lab) stage(ctx context.Context, tx *store.Tx, m store.Machine, stage string) error {
	return l.stageAt(ctx, tx, m, stage, l.now())
}

// stageAt is stage for something that happened then. It does not set back a
// run that has begun, or come further, since.
func (l *Lab) stageAt(ctx context.Context, tx *store.Tx, m store.Machine, stage string, at time.Time) error {
	run, err := tx.RunningRun(ctx, m.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (run.Stage == stage || at.Before(run.StageAt)) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.SetRunStage(ctx, run.ID, stage, at); err != nil {
		return err
	}
	return tx.AddEvent(ctx, store.Event{At: at, Kind: EventStage, Machine: m.Name, RunID: run.ID, Detail: stage})
}

func (l *Lab) imageContent(ctx context.Context, image store.Image) (*BootContent, error) {
	file, err := l.openImage(ctx, image)
	if err != nil {
		return nil, err
	}
	content := &BootContent{TFTPFile: file, SHA256: image.SHA256}
	if onDisk, ok := file.(imageFile); ok {
		content.Disk = onDisk.File
	}
	return content, nil
}

// textFile is a file that was made for one request.
func textFile(text []byte) *BootContent {
	return &BootContent{TFTPFile: &renderedFile{strings.NewReader(string(text))}}
}

type renderedFile struct{ *strings.Reader }

func (f *renderedFile) Size() int64  { return f.Reader.Size() }
func (f *renderedFile) Close() error { return nil }
