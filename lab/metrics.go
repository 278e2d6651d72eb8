package lab

import (
	"context"
	"errors"
	"io"
	"time"

	"provisioner/ipmi"
	"provisioner/lab/console"
	"provisioner/store"
)

// Observer is told what is worth counting. Its methods may be called
// concurrently, and must not block.
type Observer interface {
	// Happened is told each event, once.
	Happened(kind string)
	// RunStage is told how long a provisioning run has stayed at a stage, when
	// it leaves it.
	RunStage(stage string, took time.Duration)
	// RunEnded is told how a run has ended, and how long it took in all.
	RunEnded(state store.RunState, took time.Duration)
	// AskedBMC is told of each question and order to a BMC: what it was, how
	// long the answer took, and its error. See [BMCFailure].
	AskedBMC(what string, took time.Duration, err error)
}

// observe tells the observer of events that were published.
func (l *Lab) observe(ctx context.Context, events []store.Event) {
	if l.observer == nil {
		return
	}
	for _, e := range events {
		l.observer.Happened(e.Kind)
		if e.Kind != EventStage && e.Kind != EventProvisionEnded || e.RunID == 0 {
			continue
		}
		run, err := l.ProvisionRun(ctx, clockActor, e.RunID)
		if err != nil {
			if ctx.Err() == nil {
				l.log.Error("a run is not counted", "run", e.RunID, "error", err)
			}
			continue
		}
		l.observeRun(e, run)
	}
}

// observeRun tells of the stage that a run has left, at an event, and of its end.
func (l *Lab) observeRun(e store.Event, run store.RunRecord) {
	if e.Kind == EventStage {
		for i, s := range run.Stages {
			if i > 0 && s.Stage == e.Detail && s.At.Equal(e.At) { // it may come twice
				l.observer.RunStage(run.Stages[i-1].Stage, s.At.Sub(run.Stages[i-1].At))
			}
		}
		return
	}
	if run.EndedAt.IsZero() {
		return // it is not what the event was about
	}
	if n := len(run.Stages); n > 0 {
		l.observer.RunStage(run.Stages[n-1].Stage, run.EndedAt.Sub(run.Stages[n-1].At))
	}
	l.observer.RunEnded(run.State, run.EndedAt.Sub(run.StartedAt))
}

// Statistics are how many there are of what a lab has, now.
type Statistics struct {
	store.Statistics
	Power    map[PowerState]int64 // of machines with a BMC
	Failing  int64                // machines whose BMC did not answer when it was asked last
	Consoles map[console.State]int64
	Guests   int64 // people and programs at consoles
	Sessions int64 // of people and programs who stay: dashboards, commands, streams
}

// MayObserve says why the actor may not see [Lab.Statistics]; nil where they
// may: whoever sees all machines. A face asks it beforehand.
func (a Actor) MayObserve() error {
	if !a.seesAll() {
		return fail(Denied, "the token is for the machines that match %s, and statistics are of all: make one without a filter", a.token.filter)
	}
	return nil
}

// Statistics counts what there is.
func (l *Lab) Statistics(ctx context.Context, actor Actor) (s Statistics, err error) {
	if err := actor.MayObserve(); err != nil {
		return s, err
	}
	err = l.store.Read(ctx, func(tx *store.Tx) error {
		s.Statistics, err = tx.Statistics(ctx)
		return err
	})
	if err != nil {
		return s, wrap(err, "count what there is")
	}
	s.Power, s.Consoles = make(map[PowerState]int64), make(map[console.State]int64)
	l.mu.Lock()
	consoles := make([]*console.Console, 0, len(l.machines))
	for _, a := range l.machines {
		s.Power[a.power.State]++
		if a.power.Problem != "" {
			s.Failing++
		}
		consoles = append(consoles, a.console)
	}
	s.Sessions = int64(len(l.sessions))
	l.mu.Unlock()
	for _, c := range consoles {
		state, guests := c.Stats()
		s.Consoles[state]++
		s.Guests += int64(guests)
	}
	return s, nil
}

// feedLate is how long the feed may be silent before something is wrong with
// it. It says something every [watchEvery].
const feedLate = 15 * time.Second

// Ready says what of the lab does not work: the database does not answer, or
// what happens is not published. It blocks for 2 s at most.
func (l *Lab) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		_, err := tx.LastEventID(ctx)
		return err
	})
	if err != nil {
		return wrap(err, "the database does not answer")
	}
	switch fed := l.fed.Load(); {
	case fed == 0:
		return fail(Unavailable, "the lab does not run yet, or any more")
	case time.Since(time.Unix(0, fed)) > feedLate:
		return fail(Unavailable, "events have not been published for %s", time.Since(time.Unix(0, fed)).Round(time.Second))
	}
	return nil
}

// bmcFailures are the words for why a BMC did not do what it was asked.
var bmcFailures = []struct {
	err  error
	word string
}{
	{ipmi.ErrBadCredentials, "credentials"},
	{ipmi.ErrRefused, "refused"},
	{ipmi.ErrSOLActive, "console in use"},
	{ipmi.ErrProtocol, "protocol"},
	{ipmi.ErrNoAnswer, "no answer"},
	{context.DeadlineExceeded, "no answer"},
	{context.Canceled, "cancelled"},
}

// BMCFailure is a word for why a BMC did not do what it was asked: credentials,
// refused, console in use, protocol, no answer, paused (it was not even asked),
// cancelled, other.
func BMCFailure(err error) string {
	if errors.As(err, new(*ipmi.PausedError)) {
		return "paused"
	}
	for _, f := range bmcFailures {
		if errors.Is(err, f.err) {
			return f.word
		}
	}
	return "other"
}

// observed is a BMC that the observer is told of.
type observed struct {
	BMC
	observer Observer
}

// observed has an observer told of a BMC, where there is one.
func (l *Lab) observed(bmc BMC) BMC {
	if l.observer == nil {
		return bmc
	}
	return observed{bmc, l.observer}
}

// asked is to be deferred: err is what was answered.
func (o observed) asked(what string, began time.Time, err *error) {
	o.observer.AskedBMC(what, time.Since(began), *err)
}

// Retry has the BMC asked though it is left alone, see [attachment.insist].
func (o observed) Retry() {
	if b, ok := o.BMC.(interface{ Retry() }); ok {
		b.Retry()
	}
}

func (o observed) Power(ctx context.Context) (state ipmi.PowerState, err error) {
	defer o.asked("power state", time.Now(), &err)
	return o.BMC.Power(ctx)
}

func (o observed) SetPower(ctx context.Context, action ipmi.PowerAction) (err error) {
	defer o.asked("power order", time.Now(), &err)
	return o.BMC.SetPower(ctx, action)
}

func (o observed) Identify(ctx context.Context, light ipmi.Light) (err error) {
	defer o.asked("identify", time.Now(), &err)
	return o.BMC.Identify(ctx, light)
}

func (o observed) SetBootDevice(ctx context.Context, device ipmi.BootDevice, options ipmi.BootOptions) (err error) {
	defer o.asked("boot device", time.Now(), &err)
	return o.BMC.SetBootDevice(ctx, device, options)
}

func (o observed) OpenSOL(ctx context.Context, takeOver bool) (stream io.ReadWriteCloser, err error) {
	defer o.asked("console", time.Now(), &err)
	return o.BMC.OpenSOL(ctx, takeOver)
}

func (o observed) DeviceInfo(ctx context.Context) (info ipmi.DeviceInfo, err error) {
	defer o.asked("device", time.Now(), &err)
	return o.BMC.DeviceInfo(ctx)
}

func (o observed) Sensors(ctx context.Context) (sensors []ipmi.Sensor, err error) {
	defer o.asked("sensors", time.Now(), &err)
	return o.BMC.Sensors(ctx)
}

func (o observed) SEL(ctx context.Context, limit int) (entries []ipmi.SELEntry, err error) {
	defer o.asked("event log", time.Now(), &err)
	return o.BMC.SEL(ctx, limit)
}

func (o observed) FRU(ctx context.Context) (fru ipmi.FRU, err error) {
	defer o.asked("inventory", time.Now(), &err)
	return o.BMC.FRU(ctx)
}

func (o observed) SOLSettings(ctx context.Context) (settings ipmi.SOLSettings, err error) {
	defer o.asked("console settings", time.Now(), &err)
	return o.BMC.SOLSettings(ctx)
}
