package lab

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"provisioner/boot"
	"provisioner/store"
)

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
