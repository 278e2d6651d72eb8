package lab

import (
	"context"
	"errors"
	"time"

	"provisioner/boot"
	"provisioner/ipmi"
	"provisioner/store"
)

const (
	// runTerm is how long a machine may take from the request to its
	// phone-home. Its addresses are worth nothing after that.
	runTerm = 24 * time.Hour

	// bmcTerm bounds what a run asks of the BMC: three commands of 5 s each.
	bmcTerm = 20 * time.Second

	// consoleTerm is how long a run waits for the console before it powers
	// the machine on, so that its first line is seen.
	consoleTerm = 3 * time.Second
)

// ProvisionRequest says what a machine is to boot.
type ProvisionRequest struct {
	Kernel  string // name of an image
	Initrd  string // name of an image; empty: none
	Options string // added to those that the preseed implies; at most 1024 bytes
	Preseed string // name of a preseed; empty: none
}

// Provision boots a machine from the network: its BMC is told to, and what it
// then asks of the boot services is answered until it phones home, after which
// it boots from disk. A run that is going on is ended for it. Holders of the
// machine and admins may. It blocks until the BMC has answered.
//
// Where the BMC fails, the run has failed and the machine does not boot from
// the network later by surprise.
func (l *Lab) Provision(ctx context.Context, actor Actor, name string, request ProvisionRequest) error {
	_, err := l.StartRun(ctx, actor, name, request)
	return err
}

// StartRun is Provision, and returns the id of the run: [Lab.AwaitRun] waits
// for its end. 0: there is none.
func (l *Lab) StartRun(ctx context.Context, actor Actor, name string, request ProvisionRequest) (id int64, err error) {
	m, a, err := l.operate(ctx, actor, name, "provision")
	if err != nil {
		return 0, err
	}
	run, err := l.beginRun(ctx, actor, m, request)
	if err != nil {
		return 0, wrap(err, "provision %s", name)
	}
	// From here on the machine may have begun: a person who leaves changes
	// nothing about it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bmcTerm)
	defer cancel()
	l.holdConsole(m.ID)
	l.awaitConsole(ctx, a)
	if err := restartFrom(ctx, a, m, ipmi.BootPXE); err != nil {
		endErr := l.write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			return l.endRun(ctx, tx, actor, m, run, store.RunFailed, err.Error())
		})
		return run.ID, wrap(errors.Join(err, endErr), "provision %s", name)
	}
	return run.ID, nil
}

func (l *Lab) awaitConsole(ctx context.Context, a *attachment) {
	ctx, cancel := context.WithTimeout(ctx, consoleTerm)
	defer cancel()
	if err := a.console.AwaitConnected(ctx); err != nil {
		l.log.Warn("machine is started without its console", "machine", a.machine)
	}
}

// beginRun checks the request and keeps the run.
func (l *Lab) beginRun(ctx context.Context, actor Actor, m store.Machine, request ProvisionRequest) (run store.Run, err error) {
	if err := boot.CheckKernelOptions(request.Options); err != nil {
		return run, fail(Invalid, "%w", err)
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		// Somebody else may have taken the machine since it was looked at.
		if m, err = tx.MachineByID(ctx, m.ID); err != nil {
			return err
		}
		if err := actor.MayOperate(m); err != nil {
			return err
		}
		run, err = l.newRun(ctx, tx, actor, m, request)
		if err != nil {
			return err
		}
		return l.keepRun(ctx, tx, actor, m, &run, request.Kernel)
	})
	return run, err
}

// keepRun has a run begin, in the place of one that is going on.
func (l *Lab) keepRun(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, run *store.Run, kernel string) error {
	before, err := tx.RunningRun(ctx, m.ID)
	if err == nil {
		err = l.endRun(ctx, tx, actor, m, before, store.RunCancelled, "another run was started")
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if run.ID, err = tx.AddRun(ctx, *run); err != nil {
		return err
	}
	m.State, m.NetbootEnabled = store.StateProvisioning, true
	m.KernelID, m.InitrdID, m.PreseedID, m.KernelOptions = run.KernelID, run.InitrdID, run.PreseedID, run.KernelOptions
	if err := tx.UpdateMachine(ctx, m); err != nil {
		return err
	}
	return l.record(ctx, tx, actor, store.Event{Kind: EventProvision, Machine: m.Name, RunID: run.ID, Detail: kernel})
}

func (l *Lab) newRun(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, request ProvisionRequest) (store.Run, error) {
	run := store.Run{
		MachineID: m.ID, UserID: actor.User.ID, KernelOptions: request.Options, Token: randomToken(),
		State: store.RunRunning, Stage: StageAsked, StartedAt: l.now(),
	}
	if m.BootloaderID == 0 {
		return run, fail(Invalid, "%s/%s has no bootloader: an admin can add one (provisioner image add NAME --type bootloader --arch %s FILE)",
			m.Arch, m.Subarch, m.Arch)
	}
	if request.Kernel == "" {
		return run, fail(Invalid, "a kernel is needed: choose one")
	}
	var err error
	if run.KernelID, err = l.bootImage(ctx, tx, actor, m, store.ImageKernel, request.Kernel); err != nil {
		return run, err
	}
	if request.Initrd != "" {
		if run.InitrdID, err = l.bootImage(ctx, tx, actor, m, store.ImageInitrd, request.Initrd); err != nil {
			return run, err
		}
	}
	if request.Preseed != "" {
		preseed, err := usablePreseed(ctx, tx, actor, request.Preseed)
		if err != nil {
			return run, err
		}
		run.PreseedID = preseed.ID
	}
	return run, nil
}

// bootImage finds an image that the actor may boot this machine with.
func (l *Lab) bootImage(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, kind store.ImageType, name string) (int64, error) {
	image, err := tx.ImageByName(ctx, name)
	if err != nil {
		return 0, notFound(err, string(kind), name)
	}
	if err := actor.mayUse(string(kind), image.Name, image.UserID, image.Public); err != nil {
		return 0, err
	}
	if image.Type != kind {
		return 0, fail(Invalid, "%s is a %s, not a %s", image.Name, image.Type, kind)
	}
	if image.Arch != m.Arch {
		return 0, fail(Invalid, "%s %s is for %s, and %s is %s", kind, image.Name, image.Arch, m.Name, m.Arch)
	}
	return image.ID, l.checkImageFile(image)
}

// EndRun ends a machine's run by hand, as its phone-home would: it boots from
// disk from now on. Holders and admins may.
func (l *Lab) EndRun(ctx context.Context, actor Actor, name string) error {
	err := l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(ctx, name)
		if err != nil {
			return notFound(err, "machine", name)
		}
		if err := actor.MayOperate(m); err != nil {
			return err
		}
		run, err := tx.RunningRun(ctx, m.ID)
		if errors.Is(err, store.ErrNotFound) {
			return fail(Conflict, "no run is going on")
		}
		if err != nil {
			return err
		}
		return l.endRun(ctx, tx, actor, m, run, store.RunDone, "")
	})
	return wrap(err, "end the run of %s", name)
}

// stateAfter is what a machine is in once its run has ended.
var stateAfter = map[store.RunState]store.MachineState{
	store.RunDone:      store.StateReady,
	store.RunFailed:    store.StateError,
	store.RunCancelled: store.StateUnknown,
}

// endRun ends a run and turns netboot off.
func (l *Lab) endRun(ctx context.Context, tx *store.Tx, actor Actor, m store.Machine, run store.Run, state store.RunState, why string) error {
	if err := tx.EndRun(ctx, run.ID, state, why, l.now()); err != nil {
		return err
	}
	m, err := tx.MachineByID(ctx, m.ID) // as this transaction sees it, not as its caller remembers it
	if err != nil {
		return err
	}
	m.State, m.NetbootEnabled = stateAfter[state], false
	if err := tx.UpdateMachine(ctx, m); err != nil {
		return err
	}
	detail := string(state)
	if why != "" {
		detail += ": " + why
	}
	return l.record(ctx, tx, actor, store.Event{Kind: EventProvisionEnded, Machine: m.Name, RunID: run.ID, Detail: detail})
}
