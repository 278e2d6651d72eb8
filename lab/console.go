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
	return l.joinConsole(ctx, actor, name, Actor.MayOperate, lately())
}

// MayOpenConsole says why OpenConsole would be refused; nil where it would not.
func (l *Lab) MayOpenConsole(ctx context.Context, actor Actor, name string) error {
	m, err := l.machine(ctx, actor, name)
	if err != nil {
		return err
	}
	if err = actor.MayOperate(m); err == nil {
		_, err = l.attachmentOf(m)
	}
	return wrap(err, "open the console of %s", m.Name)
}

// ReplayConsole is OpenConsole for somebody who first reads that many of the
// last lines; 0: none.
func (l *Lab) ReplayConsole(ctx context.Context, actor Actor, name string, lines int) (*Seat, error) {
	from, err := lastLines(name, lines)
	if err != nil {
		return nil, err
	}
	return l.joinConsole(ctx, actor, name, Actor.MayOperate, from)
}

// WatchConsole is OpenConsole for somebody who comes to watch, for which a token
// for reading is enough: with one, they never type. They first read that many of
// the last lines; less than 0: what was printed lately.
func (l *Lab) WatchConsole(ctx context.Context, actor Actor, name string, lines int) (*Seat, error) {
	from := lately()
	if lines >= 0 {
		var err error
		if from, err = lastLines(name, lines); err != nil {
			return nil, err
		}
	}
	return l.joinConsole(ctx, actor, name, Actor.MayWatch, from)
}

// lately is where somebody begins to read who does not say.
func lately() *transcript.From { return &transcript.From{Bytes: console.TailSize} }

func lastLines(name string, lines int) (*transcript.From, error) {
	switch {
	case lines < 0:
		return nil, fail(Invalid, "replay %d lines of %s: a number of lines is 0 or more", lines, name)
	case lines == 0:
		return nil, nil
	}
	return &transcript.From{Lines: lines}, nil
}

// joinConsole takes a seat for an actor who may do what it is for, and reads
// from there; nil: only what comes.
func (l *Lab) joinConsole(ctx context.Context, actor Actor, name string, may func(Actor, store.Machine) error, from *transcript.From) (*Seat, error) {
	m, err := l.machine(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	opened := "open the console of " + m.Name
	if err := may(actor, m); err != nil {
		return nil, wrap(err, "%s", opened)
	}
	a, err := l.attachmentOf(m)
	if err != nil {
		return nil, wrap(err, "%s", opened)
	}
	a.insist()
	err = l.write(ctx, func(tx *store.Tx) error {
		return l.record(ctx, tx, actor, store.Event{Kind: EventConsole, Machine: m.Name})
	})
	if err != nil {
		return nil, wrap(err, "%s", opened)
	}
	if from != nil {
		from.Since = actor.shownSince(m)
	}
	seat := &Seat{Viewer: a.console.View(actor.User.Name, from), lab: l, actor: actor, machine: m.Name}
	l.mu.Lock()
	a.seats = append(slices.DeleteFunc(a.seats, (*Seat).Ended), seat)
	l.mu.Unlock()
	// It may have been released before closeConsoles could see the seat.
	if m, err = l.machine(ctx, actor, m.Name); err == nil {
		err = may(actor, m)
	}
	if err != nil {
		seat.Close()
		return nil, wrap(err, "%s", opened)
	}
	return seat, nil
}

// MayType says why the actor can never type here; nil where they can: see [Lab.WatchConsole].
func (s *Seat) MayType() error {
	return wrap(s.actor.mayChange(), "type on the console of %s", s.machine)
}

// Ask is that of [console.Viewer]. Who can only watch goes on to.
func (s *Seat) Ask() console.Mode {
	if s.MayType() != nil {
		return console.Watching
	}
	return s.Viewer.Ask()
}

// Send is that of [console.Viewer]; [Denied] for who can only watch.
func (s *Seat) Send(ctx context.Context, keys []byte) error {
	if err := s.MayType(); err != nil {
		return err
	}
	return s.Viewer.Send(ctx, keys)
}

// TakeOver is that of [console.Viewer]. For who can only watch it does nothing.
func (s *Seat) TakeOver() {
	if s.MayType() == nil {
		s.Viewer.TakeOver()
	}
}

// Take gives the actor the keyboard, whoever types, and takes the machine's
// console from another program that has it. Both are told, and it is kept.
func (s *Seat) Take(ctx context.Context) error {
	if err := s.MayType(); err != nil {
		return err
	}
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
	if err := s.MayType(); err != nil {
		return err
	}
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
		if s.actor.MayWatch(m) != nil {
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
