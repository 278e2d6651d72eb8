package server

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"provisioner/lab"
	"provisioner/lab/console"
)

var errLeft = errors.New("left the console")

// keyboard is what a person at a console types on: keys for the machine,
// escapes for us, and answers to our questions.
type keyboard struct {
	in     *invocation
	seat   *lab.Seat
	screen *screen
	name   string // of the machine

	watching atomic.Bool // keys are not for the machine
	inUse    atomic.Bool // another program has the console

	// Of the goroutine that reads what is typed.
	escapes  escapes
	question question // that is open; nil: none
	lost     string   // why keys were lost, as was said last; empty: they were not
}

// question is given the key that answers it, and reports whether that is an
// answer. It may open another.
type question func(ctx context.Context, key byte) bool

func newKeyboard(in *invocation, seat *lab.Seat, s *screen, name string, watch bool) *keyboard {
	k := &keyboard{in: in, seat: seat, screen: s, name: name, escapes: escapes{table: consoleEscapes, lineStart: true}}
	k.watching.Store(watch)
	return k
}

// read heeds what a person types until they leave, which is errLeft, or type no
// more.
func (k *keyboard) read(ctx context.Context) error {
	buffer := make([]byte, 4<<10)
	for {
		n, end := k.in.stdin.Read(buffer)
		for typed := buffer[:n]; len(typed) > 0; {
			var err error
			if typed, err = k.typed(ctx, typed); err != nil {
				return err
			}
		}
		if end != nil {
			if k.question != nil {
				k.screen.answered("nothing done")
			}
			return end
		}
	}
}

// typed heeds what was typed up to an answer or an escape, and returns the rest.
func (k *keyboard) typed(ctx context.Context, typed []byte) (rest []byte, err error) {
	if k.question != nil {
		return k.answer(ctx, typed), nil
	}
	keys, found, rest := k.escapes.next(typed)
	if err := k.send(ctx, keys); err != nil {
		return nil, err
	}
	if found != nil {
		return rest, found.do(k, ctx)
	}
	return rest, nil
}

// answer gives the open question its answer. A key that is none closes it, and
// is not for the machine; but `~` may begin an escape.
func (k *keyboard) answer(ctx context.Context, typed []byte) (rest []byte) {
	key := typed[0]
	if key == '\n' {
		return typed[1:] // it ends each answer of who has no terminal
	}
	answered := k.question
	k.question = nil
	if !answered(ctx, key) {
		k.screen.answered("nothing done")
		if key == '~' {
			return typed
		}
	}
	return typed[1:]
}

// send types keys into the machine. Why they do not arrive is said once, not
// for each key.
func (k *keyboard) send(ctx context.Context, keys []byte) error {
	if len(keys) == 0 {
		return nil
	}
	if k.watching.Load() {
		k.lose("you only watch; ~a asks for the keyboard")
		return nil
	}
	err := k.seat.Send(ctx, keys)
	var occupied *console.OccupiedError
	switch {
	case err == nil:
		k.lost = ""
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &occupied):
		k.lose(occupied.Error() + "; ~a asks for the keyboard, ~t takes it")
	case errors.Is(err, console.ErrNotConnected):
		k.lose("not connected")
	default:
		k.lose(err.Error())
	}
	return nil
}

func (k *keyboard) lose(why string) {
	if why != k.lost {
		k.lost = why
		k.screen.note("what you type is lost: " + why)
	}
}

func (k *keyboard) leave(context.Context) error { return errLeft }

func (k *keyboard) help(context.Context) error {
	k.screen.print(escapeHelp(k.escapes.table))
	return nil
}

// greet tells a person who has come, and now does what mode says, who else is
// here.
func (k *keyboard) greet(mode console.Mode) {
	guests := k.seat.Guests()
	if len(guests) < 2 {
		return
	}
	for _, g := range guests {
		k.screen.note(guestText(g))
	}
	if mode == console.Asking {
		k.asked()
	}
}

func (k *keyboard) who(context.Context) error {
	for _, g := range k.seat.Guests() {
		k.screen.note(guestText(g))
	}
	return nil
}

func (k *keyboard) ask(context.Context) error {
	k.watching.Store(false)
	switch {
	case k.seat.Mode() == console.Writing:
		k.screen.note("you type already")
	case k.seat.Ask() == console.Asking:
		k.asked()
	}
	return nil
}

// asked tells a person whom they have asked for the keyboard.
func (k *keyboard) asked() {
	for _, g := range k.seat.Guests() {
		if g.Mode == console.Writing {
			k.screen.note(g.Name + " types here and was told that you would like to; ~t takes the keyboard")
		}
	}
}

func (k *keyboard) take(ctx context.Context) error {
	before := k.seat.Mode()
	if err := k.seat.Take(ctx); err != nil {
		k.screen.note(err.Error())
		return nil
	}
	k.watching.Store(false)
	if before == console.Writing && !k.inUse.Load() {
		k.screen.note("you type already")
	}
	return nil
}

func (k *keyboard) give(context.Context) error {
	switch k.seat.Mode() {
	case console.Writing:
		k.screen.note("you watch; ~a asks for the keyboard again")
	case console.Asking:
		k.screen.note("you ask for the keyboard no more")
	case console.Watching:
		k.screen.note("you do not type here")
	}
	k.watching.Store(true)
	k.seat.Yield()
	return nil
}

// sendBreak may be called beside the other methods: an ssh client can ask for
// it, too.
func (k *keyboard) sendBreak(ctx context.Context) error {
	if k.watching.Load() {
		k.screen.note("BREAK is not sent: you only watch; ~a asks for the keyboard")
		return nil
	}
	if err := k.seat.SendBreak(ctx); err == nil {
		k.screen.note("BREAK sent")
	} else if ctx.Err() == nil {
		k.screen.note(err.Error())
	}
	return nil
}

// heedBreaks sends BREAK when an ssh client asks for it (RFC 4335; ~B of
// OpenSSH), until the returned function is called. That waits for one that is
// being sent: ctx is to have ended.
func (k *keyboard) heedBreaks(ctx context.Context) (stop func()) {
	if k.in.breaks == nil {
		return func() {}
	}
	breaks := make(chan bool)
	go func() { // ends with stop; the session's other requests wait for who does not receive
		for range breaks {
			_ = k.sendBreak(ctx)
		}
	}()
	k.in.breaks(breaks)
	return func() {
		k.in.breaks(nil) // nothing is sent to breaks any more when it returns
		close(breaks)
	}
}

// powerKeys are the answers to the question of [keyboard.power].
var powerKeys = map[byte]lab.PowerAction{
	'o': lab.TurnOn, 'f': lab.TurnOff, 'r': lab.Reset, 'c': lab.Cycle, 's': lab.Shutdown, 'd': lab.Interrupt,
}

func (k *keyboard) power(context.Context) error {
	k.screen.ask("power: o on, f off, r reset, c cycle, s soft, d diag, ? status:")
	k.question = func(ctx context.Context, key byte) bool {
		action, known := powerKeys[key]
		switch {
		case key == '?':
			k.screen.answered("status")
			k.powerStatus(ctx)
		case !known:
			return false
		case action == lab.TurnOn:
			k.screen.answered(string(action))
			k.setPower(ctx, action)
		default: // a slip would cost what runs there
			k.screen.answered(string(action))
			k.confirm(fmt.Sprintf("power %s %s?", action, k.name), action)
		}
		return true
	}
	return nil
}

// netboot has the machine boot from the network next, and offers to begin.
func (k *keyboard) netboot(ctx context.Context) error {
	if err := k.in.lab.SetBootDevice(ctx, k.in.actor, k.name, lab.BootPXE, lab.BootOptions{}); err != nil {
		k.screen.note(err.Error())
		return nil
	}
	action := lab.Reset
	if power, err := k.in.lab.PowerOf(ctx, k.in.actor, k.name); err == nil && power.State == lab.PowerOff {
		action = lab.TurnOn
	}
	k.confirm(fmt.Sprintf("%s: next boot from the network; power %s now?", k.name, action), action)
	return nil
}

// confirm does something to the power when the person says y.
func (k *keyboard) confirm(text string, action lab.PowerAction) {
	k.screen.ask(text + " y or n:")
	k.question = func(ctx context.Context, key byte) bool {
		if key != 'y' && key != 'Y' {
			return false
		}
		k.screen.answered("yes")
		k.setPower(ctx, action)
		return true
	}
}

func (k *keyboard) setPower(ctx context.Context, action lab.PowerAction) {
	if err := k.in.lab.SetPower(ctx, k.in.actor, k.name, action); err != nil {
		k.screen.note(err.Error())
		return
	}
	k.screen.note(powerDone(k.name, action))
}

func (k *keyboard) powerStatus(ctx context.Context) {
	power, err := k.in.lab.PowerOf(ctx, k.in.actor, k.name)
	if err != nil {
		k.screen.note(err.Error())
		return
	}
	k.screen.note(k.name + ": power " + string(power.State))
}
