package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"provisioner/boot"
	"provisioner/store"
)

// Answers are what an installer is given: a preseed, rendered.
type Answers struct {
	Type boot.PreseedType
	Text []byte
}

// errNoRun is what strangers are told, and those who come late.
var errNoRun = &Error{Code: NotFound, Message: "this address is of no run that is going on"}

// RunPreseed renders the answers for an installer that shows its run's token.
func (l *Lab) RunPreseed(ctx context.Context, token, remote string) (Answers, error) {
	return l.answers(ctx, remote, func(tx *store.Tx) (store.Run, store.Machine, error) {
		return l.currentRun(ctx, tx, token)
	})
}

// AddressPreseed renders the answers for an installer that asks as those of
// mr-provisioner do: for a preseed by its id, without a token. It gets them
// only if client is the address of a machine whose run that goes on installs
// with this preseed.
func (l *Lab) AddressPreseed(ctx context.Context, preseedID int64, client netip.AddrPort) (Answers, error) {
	return l.answers(ctx, client.String(), func(tx *store.Tx) (run store.Run, m store.Machine, err error) {
		machines, err := tx.MachinesByAddress(ctx, client.Addr().Unmap().String(), l.now())
		if err != nil {
			return run, m, err
		}
		if len(machines) != 1 { // of two that claim an address, one is not who asks
			return run, m, store.ErrNotFound
		}
		if run, err = tx.RunningRun(ctx, machines[0]); err != nil {
			return run, m, err
		}
		if run.PreseedID != preseedID {
			return run, m, store.ErrNotFound
		}
		return l.currentRun(ctx, tx, run.Token)
	})
}

// answers renders the preseed of the run that find finds, and notes that it
// was fetched.
func (l *Lab) answers(ctx context.Context, remote string, find func(*store.Tx) (store.Run, store.Machine, error)) (Answers, error) {
	var vars boot.PreseedVars
	var run store.Run
	var m store.Machine
	var preseed store.Preseed
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		if run, m, err = find(tx); err != nil {
			return err
		}
		if preseed, err = tx.Preseed(ctx, run.PreseedID); err != nil {
			return err
		}
		vars, err = l.preseedVars(ctx, tx, m, run, boot.PreseedType(preseed.Type))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return Answers{}, errNoRun
	}
	if err != nil {
		return Answers{}, wrap(err, "preseed")
	}
	rendered, renderErr := l.preseeds.Render(ctx, preseed.Content, vars)
	events := []store.Event{{Kind: EventPreseedFetched, Detail: preseed.Name + " by " + remote}}
	if renderErr != nil {
		events[0] = store.Event{Kind: EventPreseedError, Detail: preseed.Name + ": " + renderErr.Error()}
	}
	if len(rendered.Undefined) > 0 {
		events = append(events, store.Event{Kind: EventPreseedUndefined, Detail: preseed.Name + ": " + UndefinedNames(rendered.Undefined)})
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		if renderErr == nil {
			if err := l.stage(ctx, tx, m, StageSeed); err != nil {
				return err
			}
		}
		for _, e := range events {
			e.At, e.Machine, e.RunID = l.now(), m.Name, run.ID
			if err := tx.AddEvent(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if renderErr != nil {
		return Answers{}, templateError(renderErr)
	}
	return Answers{Type: boot.PreseedType(preseed.Type), Text: rendered.Text}, wrap(err, "preseed of %s", m.Name)
}

// templateError is an error of rendering as people are told of it: what is
// wrong with a template is said to its author, in the words that
// mr-provisioner's clients know.
func templateError(err error) error {
	if errors.As(err, new(*boot.PreseedError)) {
		return fail(Invalid, "%w", err)
	}
	return err
}

// UndefinedNames lists what a template used and nobody has defined, for a
// sentence: hostnam (line 3), kernel.filenam (line 7).
func UndefinedNames(undefined []boot.Undefined) string {
	names := make([]string, len(undefined))
	for i, u := range undefined {
		names[i] = u.Name
		if u.Line > 0 {
			names[i] += fmt.Sprintf(" (line %d)", u.Line)
		}
	}
	return strings.Join(names, ", ")
}

// CloudMetaData gives the meta-data that cloud-init wants beside its
// user-data, to a machine that shows its run's token. The instance is the run:
// cloud-init configures a system again when the instance is another one.
func (l *Lab) CloudMetaData(ctx context.Context, token string) (text []byte, err error) {
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		run, m, err := l.currentRun(ctx, tx, token)
		text = fmt.Appendf(nil, "instance-id: provisioner-run-%d\nlocal-hostname: %s\n", run.ID, hostname(m.Name))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoRun
	}
	return text, wrap(err, "meta-data")
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
		return errNoRun
	}
	return wrap(err, "phone home")
}
