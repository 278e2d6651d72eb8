package lab

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"

	"provisioner/ipmi"
	"provisioner/lab/console"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

// Seat is an actor's place at the console of a machine.
type Seat struct {
	*console.Viewer
	lab     *Lab
	actor   Actor
	machine string
}

func (l *Lab) newConsole(m store.Machine, bmc BMC) *console.Console {
	guard := &shellGuard{bmc: bmc}
	return console.New(console.Config{
		Open: func(ctx context.Context, takeOver bool) (io.ReadWriteCloser, error) {
			stream, err := l.openStream(ctx, m, bmc, takeOver)
			if err != nil {
				return nil, err
			}
			l.answered(m)
			return &guardedStream{ReadWriteCloser: stream, ctx: ctx, guard: guard}, nil
		},
		InUse:   func(err error) bool { return errors.Is(err, ipmi.ErrSOLActive) },
		Insist:  l.consolesInsist.Load,
		Log:     l.consoleLog(m),
		Now:     l.now,
		Printed: l.newPatternScanner(m.Name),
	})
}

// openStream opens a machine's console, and keeps in its history that another
// program has lost it by that.
func (l *Lab) openStream(ctx context.Context, m store.Machine, bmc BMC, takeOver bool) (io.ReadWriteCloser, error) {
	stream, free := bmc.OpenSOL(ctx, false)
	if free == nil || !takeOver || !errors.Is(free, ipmi.ErrSOLActive) {
		return stream, free
	}
	stream, err := bmc.OpenSOL(ctx, true)
	if err != nil {
		return nil, err
	}
	e := store.Event{At: l.now(), Kind: EventConsoleTaken, Machine: m.Name, Detail: "from another program"}
	if who := ConsoleHolder(free); who != "" {
		e.Detail += ": " + who
	}
	if err := l.write(ctx, func(tx *store.Tx) error { return tx.AddEvent(ctx, e) }); err != nil && ctx.Err() == nil {
		l.log.Error("that a console was taken is not kept", "machine", m.Name, "error", err)
	}
	return stream, nil
}

// ConsoleHolder says which other program has a console, as far as its BMC has
// said it in the error of a [console.Status] that is InUse: "root from
// 10.0.0.5:41234". It is empty where it has not.
func ConsoleHolder(err error) string {
	var inUse *ipmi.SOLActiveError
	if !errors.As(err, &inUse) || inUse.Holder == (ipmi.Holder{}) {
		return ""
	}
	return inUse.Holder.String()
}

func (l *Lab) consoleLog(m store.Machine) *transcript.Log {
	return l.consoleLogs.Log(logName(m), l.log.With("machine", m.Name))
}

// logName is where below consoles/ the log of a machine's console is.
func logName(m store.Machine) string { return strconv.FormatInt(m.ID, 10) }

// OpenConsole takes a seat at the console of a machine, to watch and, as
// [console.Viewer.Ask] has it, to type. Its holders and admins may, and a
// holder only as long: the seat is closed when the machine is released. It
// first reads what was printed lately, to holders since the machine is theirs.
// The caller must close it, too.
func (l *Lab) OpenConsole(ctx context.Context, actor Actor, name string) (*Seat, error) {
	return l.joinConsole(ctx, actor, name, &transcript.From{Bytes: console.TailSize})
}

// ReplayConsole is OpenConsole for somebody who first reads that many of the
// last lines; 0: none.
func (l *Lab) ReplayConsole(ctx context.Context, actor Actor, name string, lines int) (*Seat, error) {
	switch {
	case lines < 0:
		return nil, fail(Invalid, "replay %d lines of %s: a number of lines is 0 or more", lines, name)
	case lines == 0:
		return l.joinConsole(ctx, actor, name, nil)
	}
	return l.joinConsole(ctx, actor, name, &transcript.From{Lines: lines})
}

func (l *Lab) joinConsole(ctx context.Context, actor Actor, name string, from *transcript.From) (*Seat, error) {
	m, a, err := l.operate(ctx, actor, name, "open the console of")
	if err != nil {
		return nil, err
	}
	err = l.write(ctx, func(tx *store.Tx) error {
		return l.record(ctx, tx, actor, store.Event{Kind: EventConsole, Machine: m.Name})
	})
	if err != nil {
		return nil, wrap(err, "open the console of %s", name)
	}
	if from != nil {
		from.Since = actor.shownSince(m)
	}
	seat := &Seat{a.console.View(actor.User.Name, from), l, actor, m.Name}
	l.mu.Lock()
	defer l.mu.Unlock()
	a.seats = append(slices.DeleteFunc(a.seats, (*Seat).Ended), seat)
	return seat, nil
}

// Take gives the actor the keyboard, whoever types, and takes the machine's
// console from another program that has it. Both are told, and it is kept.
func (s *Seat) Take(ctx context.Context) error {
	from := ""
	for _, g := range s.Guests() {
		if g.Mode == console.Writing && g.Name != s.actor.User.Name {
			from = "from " + g.Name
		}
	}
	if from != "" {
		err := s.lab.write(ctx, func(tx *store.Tx) error {
			return s.lab.record(ctx, tx, s.actor, store.Event{Kind: EventConsoleTaken, Machine: s.machine, Detail: from})
		})
		if err != nil {
			return wrap(err, "take the console of %s", s.machine)
		}
	}
	s.Viewer.Take()
	s.TakeOver()
	return nil
}

// SendBreak sends a BREAK to the machine, which Linux takes for SysRq. It
// blocks until the BMC has taken it.
func (s *Seat) SendBreak(ctx context.Context) error {
	if err := s.Viewer.SendBreak(ctx); err != nil {
		return wrap(fail(Unavailable, "%w", err), "send BREAK to %s", s.machine)
	}
	err := s.lab.write(ctx, func(tx *store.Tx) error {
		return s.lab.record(ctx, tx, s.actor, store.Event{Kind: EventBreak, Machine: s.machine})
	})
	return wrap(err, "send BREAK to %s", s.machine)
}

// closeConsoles ends the view of those who hold the machine no more.
func (l *Lab) closeConsoles(ctx context.Context, machine string) error {
	m, err := l.machine(ctx, clockActor, machine)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.machines[m.ID]
	if a == nil {
		return nil
	}
	for _, s := range a.seats {
		if s.actor.MayOperate(m) != nil {
			s.Close()
		}
	}
	a.seats = slices.DeleteFunc(a.seats, (*Seat).Ended)
	return nil
}

// ConsoleGuests returns who is at the console of a machine. Whoever may log in
// may see it.
func (l *Lab) ConsoleGuests(ctx context.Context, actor Actor, name string) ([]console.Guest, error) {
	m, err := l.machine(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	a, err := l.attachmentOf(m)
	if err != nil {
		return nil, wrap(err, "who is at the console of %s", name)
	}
	return a.console.Guests(), nil
}
