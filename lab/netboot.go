package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
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
// token of its run, which is as good as a password while the run goes on.
func LogName(name string) string {
	before, after, found := strings.Cut(name, bootFolder+"/")
	token, rest, _ := strings.Cut(after, "/")
	if !found || token == "" || strings.Trim(before, "/") != "" {
		return name
	}
	return before + bootFolder + "/.../" + rest
}

// machineActor is a machine that speaks for itself, from an address.
func machineActor(m, remote string) Actor {
	return Actor{User: store.User{Name: m}, Via: "boot request", Remote: remote}
}

// BootFile opens what a machine asks for over TFTP. What an admin has put into
// the tftp folder is served as it is, before anything else. An error that
// wraps [fs.ErrNotExist] says that there is no such file.
func (l *Lab) BootFile(ctx context.Context, name string, client netip.AddrPort) (boot.TFTPFile, error) {
	file, err := boot.OpenInRoot(l.tftpRoot, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	name, err = boot.CleanPath(name)
	if err != nil {
		return nil, err
	}
	if loader, mac, ok := boot.ConfigRequest(name); ok {
		return l.bootConfig(ctx, loader, mac, name, client)
	}
	if config, ok := boot.Redirect(name); ok {
		return textFile(config), nil
	}
	elements := strings.Split(name, "/")
	switch {
	case len(elements) == 4 && elements[0] == bootloaderFolder:
		return l.bootloader(ctx, elements[1], elements[2], elements[3])
	case len(elements) == 4 && elements[0] == bootFolder:
		return l.runFile(ctx, elements[1], elements[2], elements[3])
	}
	return nil, fs.ErrNotExist
}

// bootConfig renders what a bootloader does next.
func (l *Lab) bootConfig(ctx context.Context, loader boot.Bootloader, mac net.HardwareAddr, name string, client netip.AddrPort) (boot.TFTPFile, error) {
	if mac == nil {
		return textFile(boot.FromDisk(loader)), nil
	}
	var config []byte
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.MachineByMAC(ctx, mac.String())
		if errors.Is(err, store.ErrNotFound) {
			config = boot.FromDisk(loader)
			return nil
		}
		if err != nil {
			return err
		}
		netboot, err := l.netboot(ctx, tx, m, mac)
		if errors.Is(err, store.ErrNotFound) {
			config = boot.FromDisk(loader)
		} else if err != nil {
			return err
		} else if config, err = netboot.Render(loader); err != nil {
			return err
		} else if err := l.stage(ctx, tx, m, StageConfig); err != nil {
			return err
		}
		return tx.AddEvent(ctx, store.Event{
			At: l.now(), Kind: EventBootConfig, Machine: m.Name, Detail: name + " to " + client.Addr().String(),
		})
	})
	if err != nil {
		l.log.Error("no boot configuration", "mac", mac, "error", err)
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
	netboot := boot.Netboot{Options: run.KernelOptions, MAC: mac}
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
		implied := boot.PreseedOptions(boot.PreseedType(preseed.Type), l.runURL(run, "preseed"), "")
		netboot.Options = strings.TrimSpace(implied + " " + run.KernelOptions)
	}
	return netboot, nil
}

func (l *Lab) runURL(run store.Run, what string) string {
	return l.publicURL.JoinPath(bootFolder, run.Token, what).String()
}

// bootloader opens the bootloader of a subarchitecture. It is no secret.
func (l *Lab) bootloader(ctx context.Context, arch, subarch, filename string) (boot.TFTPFile, error) {
	var image store.Image
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		s, err := tx.Subarch(ctx, arch, subarch)
		if err != nil {
			return err
		}
		image, err = tx.Image(ctx, s.BootloaderID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && image.Filename != filename {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, wrap(err, "bootloader of %s/%s", arch, subarch)
	}
	return l.openImage(ctx, image)
}

// runFile opens the kernel or the initrd of a run that is going on.
func (l *Lab) runFile(ctx context.Context, token, what, filename string) (boot.TFTPFile, error) {
	var image store.Image
	err := l.write(ctx, func(tx *store.Tx) error {
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
		return l.stage(ctx, tx, m, stage)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, wrap(err, "open %s", filename)
	}
	return l.openImage(ctx, image)
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

// textFile is a file that was made for one request.
func textFile(text []byte) boot.TFTPFile { return &renderedFile{strings.NewReader(string(text))} }

type renderedFile struct{ *strings.Reader }

func (f *renderedFile) Size() int64  { return f.Reader.Size() }
func (f *renderedFile) Close() error { return nil }
