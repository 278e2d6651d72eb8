package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

// jsonRun is a run as scripts see it. Its keys stay as they are.
type jsonRun struct {
	ID            int64       `json:"id"`
	Machine       string      `json:"machine"`
	User          string      `json:"user"`  // who asked for it; empty: nobody who still is
	State         string      `json:"state"` // running, done, failed, cancelled
	Stage         string      `json:"stage"` // how far it has come
	Stages        []jsonStage `json:"stages"`
	Error         string      `json:"error"` // why it ended, where it is not done
	Kernel        string      `json:"kernel"`
	Initrd        string      `json:"initrd"`
	Preseed       string      `json:"preseed"`
	KernelOptions string      `json:"kernel_options"`
	StartedAt     time.Time   `json:"started_at"`
	EndedAt       *time.Time  `json:"ended_at"` // null: it goes on
}

type jsonStage struct {
	Stage string    `json:"stage"`
	At    time.Time `json:"at"`
}

func toJSONRun(r store.RunRecord) jsonRun {
	j := jsonRun{
		ID: r.ID, Machine: r.Machine, User: r.User, State: string(r.State), Stage: r.Stage, Stages: make([]jsonStage, len(r.Stages)),
		Error: r.Error, Kernel: r.Kernel, Initrd: r.Initrd, Preseed: r.Preseed, KernelOptions: r.KernelOptions,
		StartedAt: r.StartedAt, EndedAt: optional(r.EndedAt),
	}
	for i, s := range r.Stages {
		j.Stages[i] = jsonStage(s)
	}
	return j
}

// text is a run in a line.
func (j jsonRun) text() string {
	text := fmt.Sprintf("%d, %s", j.ID, j.State)
	if j.EndedAt == nil {
		return text + ": " + j.Stage + ", since " + moment(j.StartedAt)
	}
	text += " at " + moment(*j.EndedAt)
	if j.Error != "" {
		text += ": " + j.Error
	}
	return text
}

type provisionCommand struct {
	Name    string `arg:"" complete:"machines" help:"Name of the machine."`
	Kernel  string `required:"" complete:"kernels" help:"Name of the kernel: image list has them."`
	Initrd  string `complete:"initrds" help:"Name of the initrd."`
	Preseed string `complete:"preseeds" help:"Name of the preseed: preseed list has them."`
	Options string `help:"Kernel options, beside those that the preseed implies."`
	Wait    bool   `help:"Until it has ended. The exit code is 7 where it was in vain."`
	JSON    bool   `help:"The run as JSON."`
}

func (c provisionCommand) Run(in *invocation) error {
	id, err := in.lab.StartRun(in.ctx, in.actor, c.Name, lab.ProvisionRequest{
		Kernel: c.Kernel, Initrd: c.Initrd, Preseed: c.Preseed, Options: c.Options,
	})
	if err != nil {
		return err
	}
	if c.Wait {
		return in.awaitRun(id, c.JSON)
	}
	if !c.JSON {
		return in.print(false, nil, fmt.Sprintf("%s is being installed; `run wait %d` waits for it", c.Name, id))
	}
	return in.printRun(id)
}

func (in *invocation) printRun(id int64) error {
	run, err := in.lab.ProvisionRun(in.ctx, in.actor, id)
	if err != nil {
		return err
	}
	return in.print(true, toJSONRun(run), "")
}

// runFailed is the error of a run that was waited for, and was in vain.
type runFailed struct{ run store.RunRecord }

// Error is a sentence for people.
func (f runFailed) Error() string {
	text := fmt.Sprintf("run %d of %s: %s", f.run.ID, f.run.Machine, f.run.State)
	if f.run.Error != "" {
		text += ": " + printable(f.run.Error)
	}
	return text
}

// awaitRun waits for the end of a run, and says meanwhile how far it is.
func (in *invocation) awaitRun(id int64, asJSON bool) error {
	ctx, done := in.untilInterrupted()
	defer done()
	run, err := in.lab.AwaitRun(ctx, in.actor, id, func(r store.RunRecord) {
		if r.State == store.RunRunning {
			in.note(fmt.Sprintf("run %d of %s: %s", r.ID, r.Machine, r.Stage))
		}
	})
	if err != nil {
		return interrupted(ctx, err, fmt.Sprintf("the run goes on; `run wait %d` waits for it, `run cancel %d` ends it", id, id))
	}
	if asJSON {
		err = in.print(true, toJSONRun(run), "")
	} else if run.State == store.RunDone {
		err = in.print(false, nil, fmt.Sprintf("%s is installed, after %s", run.Machine, run.EndedAt.Sub(run.StartedAt).Round(time.Second)))
	}
	if run.State != store.RunDone {
		return runFailed{run}
	}
	return err
}

type runCommand struct {
	List   runListCommand   `cmd:"" default:"withargs" help:"The newest runs first."`
	Show   runShowCommand   `cmd:"" help:"All about a run, stage by stage."`
	Wait   runWaitCommand   `cmd:"" help:"Wait until a run has ended. The exit code is 7 where it was in vain."`
	Cancel runCancelCommand `cmd:"" help:"End a run that goes on: its machine boots from the network no more."`
	Done   runDoneCommand   `cmd:"" help:"End a run as its phone-home would, of a system that cannot."`
}

// runRef is a run as people name it.
type runRef struct {
	Run string `arg:"" complete:"machines" help:"Number of the run, or name of a machine: its newest."`
}

// id looks up which run is meant.
func (r runRef) id(in *invocation) (int64, error) {
	if id, err := strconv.ParseInt(r.Run, 10, 64); err == nil {
		return id, nil
	}
	m, err := in.lab.Machine(in.ctx, in.actor, r.Run)
	if err == nil && m.Run == nil {
		err = &lab.Error{Code: lab.NotFound, Message: m.Name + " was never installed from here"}
	}
	if err != nil {
		return 0, err
	}
	return m.Run.ID, nil
}

type runListCommand struct {
	Machine string `complete:"machines" placeholder:"NAME" help:"Only those of that machine."`
	User    string `complete:"users" placeholder:"NAME" help:"Only those that this user asked for."`
	State   string `enum:"running,done,failed,cancelled," default:"" help:"Only those that are running, done, failed or cancelled."`
	Limit   int    `default:"100" help:"At most so many, up to 1000."`
	Before  int64  `placeholder:"RUN" help:"Only older ones than that: the next page."`
	JSON    bool   `help:"As a JSON array."`
}

func (c runListCommand) Run(in *invocation) error {
	runs, err := in.lab.Runs(in.ctx, in.actor, lab.RunFilter{
		Machine: c.Machine, User: c.User, State: store.RunState(c.State), Before: c.Before, Limit: c.Limit,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		rows := make([]jsonRun, len(runs))
		for i, r := range runs {
			rows[i] = toJSONRun(r)
		}
		return in.print(true, rows, "")
	}
	table := in.table("RUN\tMACHINE\tUSER\tSTATE\tSTAGE\tSTARTED\tTOOK\tKERNEL")
	for _, r := range runs {
		took := ""
		if !r.EndedAt.IsZero() {
			took = r.EndedAt.Sub(r.StartedAt).Round(time.Second).String()
		}
		table.row(strconv.FormatInt(r.ID, 10), r.Machine, r.User, string(r.State), r.Stage, moment(r.StartedAt), took, r.Kernel)
	}
	return table.Flush()
}

type runShowCommand struct {
	runRef
	JSON bool `help:"As JSON."`
}

func (c runShowCommand) Run(in *invocation) error {
	id, err := c.id(in)
	if err != nil {
		return err
	}
	if c.JSON {
		return in.printRun(id)
	}
	run, err := in.lab.ProvisionRun(in.ctx, in.actor, id)
	if err != nil {
		return err
	}
	table := in.table("")
	for _, row := range [][2]string{
		{"Run", strconv.FormatInt(run.ID, 10)}, {"Machine", run.Machine}, {"User", run.User},
		{"State", strings.TrimSuffix(string(run.State)+": "+run.Error, ": ")},
		{"Kernel", run.Kernel}, {"Initrd", run.Initrd}, {"Preseed", run.Preseed}, {"Kernel options", run.KernelOptions},
	} {
		table.row(row[0], row[1])
	}
	for _, s := range run.Stages {
		table.row(s.At.UTC().Format(time.DateTime+" MST"), s.Stage)
	}
	if !run.EndedAt.IsZero() {
		table.row(run.EndedAt.UTC().Format(time.DateTime+" MST"), string(run.State))
	}
	return table.Flush()
}

type runWaitCommand struct {
	runRef
	JSON bool `help:"The run as JSON, when it has ended."`
}

func (c runWaitCommand) Run(in *invocation) error {
	id, err := c.id(in)
	if err != nil {
		return err
	}
	return in.awaitRun(id, c.JSON)
}

type runCancelCommand struct {
	runRef
	JSON bool `help:"The run as JSON."`
}

func (c runCancelCommand) Run(in *invocation) error {
	id, err := c.id(in)
	if err == nil {
		err = in.lab.CancelRun(in.ctx, in.actor, id)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return in.printRun(id)
	}
	return in.print(false, nil, fmt.Sprintf("run %d is cancelled", id))
}

type runDoneCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	JSON bool   `help:"The machine as JSON."`
}

func (c runDoneCommand) Run(in *invocation) error {
	if err := in.lab.EndRun(in.ctx, in.actor, c.Name); err != nil {
		return err
	}
	return in.printMachine(c.JSON, c.Name, c.Name+" is installed, and boots from its disk")
}
