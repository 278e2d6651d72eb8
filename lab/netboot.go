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
	maxDiscovered    = 1000 // MAC addresses of no machine that are remembered
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

// DHCP answers the hook in a site's DHCP server.
func (l *Lab) DHCP() boot.DHCPAnswers { return dhcpAnswers{l} }

type dhcpAnswers struct{ lab *Lab }

// Seen notes that an address asked for a boot, and whether it is a machine's.
func (d dhcpAnswers) Seen(ctx context.Context, request boot.SeenRequest) (known bool, err error) {
	l, mac := d.lab, request.MAC.String()
	err = l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.MachineByMAC(ctx, mac)
		if errors.Is(err, store.ErrNotFound) {
			err := tx.Discovered(ctx, store.DiscoveredMAC{
				MAC: mac, Hostname: request.Hostname, ClientArch: request.Arch, SeenAt: l.now(),
			})
			if err != nil {
				return err
			}
			return tx.KeepDiscovered(ctx, maxDiscovered)
		}
		if err != nil {
			return err
		}
		known = true
		if err := tx.InterfaceSeen(ctx, mac, l.now()); err != nil || !request.Discover {
			return err
		}
		if err := l.stage(ctx, tx, m, StageDHCP); err != nil {
			return err
		}
		return tx.AddEvent(ctx, store.Event{At: l.now(), Kind: EventDHCP, Machine: m.Name, Detail: mac})
	})
	return known, wrap(err, "note DHCP request of %s", mac)
}

// Answer says what a machine is to boot, and which address it has.
func (d dhcpAnswers) Answer(ctx context.Context, mac net.HardwareAddr) (boot.DHCPAnswer, error) {
	l := d.lab
	var answer boot.DHCPAnswer
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		m, err := tx.MachineByMAC(ctx, mac.String())
		if err != nil {
			return err
		}
		interfaces, err := tx.Interfaces(ctx, m.ID)
		if err != nil {
			return err
		}
		for _, i := range interfaces {
			if i.MAC == mac.String() && i.ConfigType == "dynamic-reserved" {
				answer.IPv4, _ = netip.ParseAddr(i.ConfiguredIPv4) // not an address: none is reserved
			}
		}
		if !m.NetbootEnabled || m.BootloaderID == 0 {
			return nil
		}
		image, err := tx.Image(ctx, m.BootloaderID)
		answer.BootFile = path.Join(bootloaderFolder, m.Arch, m.Subarch, image.Filename)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return boot.DHCPAnswer{}, boot.ErrUnknownMAC
	}
	if err == nil && answer.BootFile != "" {
		answer.NextServer, err = l.tftpAddress(ctx)
	}
	return answer, wrap(err, "answer DHCP request of %s", mac)
}

// Lease notes which address a machine was lent.
func (d dhcpAnswers) Lease(ctx context.Context, request boot.LeaseRequest) error {
	l := d.lab
	err := l.write(ctx, func(tx *store.Tx) error {
		if _, err := tx.MachineByMAC(ctx, request.MAC.String()); err != nil {
			return err
		}
		now := l.now()
		return tx.KeepLease(ctx, store.Lease{
			MAC: request.MAC.String(), IPv4: request.IPv4.String(), StartedAt: now, ExpiresAt: now.Add(request.Duration),
		})
	})
	if errors.Is(err, store.ErrNotFound) {
		return boot.ErrUnknownMAC
	}
	return wrap(err, "note lease of %s", request.MAC)
}

// tftpAddress is where machines find the TFTP server, as DHCP can say it.
func (l *Lab) tftpAddress(ctx context.Context) (netip.Addr, error) {
	host := l.publicURL.Hostname()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addresses) == 0 {
		return netip.Addr{}, fail(Unavailable, "public URL %s: %s has no IPv4 address that machines could be sent to (%w)", l.publicURL, host, err)
	}
	return addresses[0].Unmap(), nil
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
	return l.openImage(image)
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
	return l.openImage(image)
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
	run, err := tx.RunningRun(ctx, m.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && run.Stage == stage {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.SetRunStage(ctx, run.ID, stage); err != nil {
		return err
	}
	return tx.AddEvent(ctx, store.Event{At: l.now(), Kind: EventStage, Machine: m.Name, RunID: run.ID, Detail: stage})
}

// Preseed renders the answers for an installer that shows its run's token.
func (l *Lab) Preseed(ctx context.Context, token, remote string) ([]byte, error) {
	var vars boot.PreseedVars
	var run store.Run
	var m store.Machine
	var preseed store.Preseed
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		if run, m, err = l.currentRun(ctx, tx, token); err != nil {
			return err
		}
		if preseed, err = tx.Preseed(ctx, run.PreseedID); err != nil {
			return err
		}
		vars, err = l.preseedVars(ctx, tx, m, run)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fail(NotFound, "this address is of no run that is going on")
	}
	if err != nil {
		return nil, wrap(err, "preseed")
	}
	text, renderErr := l.preseeds.Render(ctx, preseed.Content, vars)
	e := store.Event{At: l.now(), Kind: EventPreseedFetched, Machine: m.Name, RunID: run.ID, Detail: preseed.Name + " by " + remote}
	if renderErr != nil {
		e.Kind, e.Detail = EventPreseedError, preseed.Name+": "+renderErr.Error()
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		if renderErr == nil {
			if err := l.stage(ctx, tx, m, StageSeed); err != nil {
				return err
			}
		}
		return tx.AddEvent(ctx, e)
	})
	if renderErr != nil {
		return nil, fail(Invalid, "%w", renderErr)
	}
	return text, wrap(err, "preseed of %s", m.Name)
}

// preseedVars is what a template may name.
func (l *Lab) preseedVars(ctx context.Context, tx *store.Tx, m store.Machine, run store.Run) (boot.PreseedVars, error) {
	vars := boot.PreseedVars{
		Hostname: hostname(m.Name), KernelOptions: run.KernelOptions,
		PreseedURL: l.runURL(run, "preseed"), PhoneHomeURL: l.runURL(run, "phone-home"),
	}
	for id, image := range map[int64]**boot.PreseedImage{run.KernelID: &vars.Kernel, run.InitrdID: &vars.Initrd} {
		if id == 0 {
			continue
		}
		row, err := tx.Image(ctx, id)
		if err != nil {
			return vars, err
		}
		*image = &boot.PreseedImage{Filename: row.Filename, Description: row.Description, KnownGood: row.KnownGood}
	}
	for _, h := range m.Holders {
		keys, err := tx.SSHKeys(ctx, h.UserID)
		if err != nil {
			return vars, err
		}
		for _, k := range keys {
			vars.SSHKeys = append(vars.SSHKeys, strings.TrimSpace(k.PublicKey+" "+k.Comment))
		}
	}
	if len(vars.SSHKeys) > 0 {
		vars.SSHKey = vars.SSHKeys[0]
	}
	interfaces, err := tx.Interfaces(ctx, m.ID)
	for _, i := range interfaces {
		prefix, prefixErr := netip.ParsePrefix(i.Subnet)
		if i.ConfigType != "static" || prefixErr != nil {
			continue
		}
		vars.Interfaces = append(vars.Interfaces, boot.PreseedInterface{
			Name: i.Identifier, StaticIPv4: i.ConfiguredIPv4, Prefix: prefix.Bits(),
			Netmask: net.IP(net.CIDRMask(prefix.Bits(), 32)).String(), MAC: i.MAC,
		})
	}
	return vars, err
}

// hostname is a machine's name as a host may have it.
func hostname(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
}

// PhoneHome ends the run of the token: its machine boots from disk from now
// on. A second call is harmless.
func (l *Lab) PhoneHome(ctx context.Context, token, remote string) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		run, err := tx.RunByToken(ctx, token)
		if err != nil {
			return err
		}
		if run.State == store.RunDone {
			return nil
		}
		run, m, err := l.currentRun(ctx, tx, token)
		if err != nil {
			return err
		}
		if err := l.stage(ctx, tx, m, StagePhoned); err != nil {
			return err
		}
		e := store.Event{At: l.now(), Kind: EventPhoneHome, Machine: m.Name, RunID: run.ID, Detail: remote}
		if err := tx.AddEvent(ctx, e); err != nil {
			return err
		}
		return l.endRun(ctx, tx, machineActor(m.Name, remote), m, run, store.RunDone, "")
	})
	if errors.Is(err, store.ErrNotFound) {
		return fail(NotFound, "this address is of no run that is going on")
	}
	return wrap(err, "phone home")
}

// textFile is a file that was made for one request.
func textFile(text []byte) boot.TFTPFile { return &renderedFile{strings.NewReader(string(text))} }

type renderedFile struct{ *strings.Reader }

func (f *renderedFile) Size() int64  { return f.Reader.Size() }
func (f *renderedFile) Close() error { return nil }
