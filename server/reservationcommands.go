package server

import (
	"fmt"
	"strconv"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

// lasting is a time in a flag: 90m, 4h, 3d.
type lasting time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *lasting) UnmarshalText(text []byte) error {
	d, err := lab.ParseTerm(string(text))
	*t = lasting(d)
	return err
}

// jsonReservation is a reservation as scripts see it. Its keys stay as they are.
type jsonReservation struct {
	ID       int64      `json:"id"`
	Machine  string     `json:"machine"`
	User     string     `json:"user"`
	Reason   string     `json:"reason"`
	Since    time.Time  `json:"since"`
	Until    *time.Time `json:"until"`               // when its term ends; null: it has none
	LentBy   string     `json:"lent_by,omitempty"`   // who gets the machine back
	Ended    *time.Time `json:"ended,omitempty"`     // left out: it has not
	EndedBy  string     `json:"ended_by,omitempty"`  // a name
	EndedWhy string     `json:"ended_why,omitempty"` // released, term, idle, lent, returned, missed
}

// optional is a time as JSON has it: null for none.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type reserveCommand struct {
	Name     string  `arg:"" optional:"" complete:"machines" help:"Name of the machine. Left out: the first that matches the query."`
	Query    string  `short:"q" help:"What it must match, such as '(= arch \"arm64\")'."`
	For      lasting `placeholder:"TIME" help:"For how long: 90m, 4h, 3d. Left out: what the site has."`
	Reason   string  `help:"What for."`
	Wait     bool    `help:"Wait in the queue where nothing is free. The place is kept for 5 minutes if the connection ends: the same command goes on there."`
	Keep     bool    `help:"With --wait: the place is kept for as long as it takes. The machine is yours, then, whether you are there or not."`
	Priority int     `help:"With --wait: from -10 to 10; who has a lower one waits longer. Above 0 is for admins."`
	JSON     bool    `help:"The machine as JSON."`
}

func (c reserveCommand) Run(in *invocation) error {
	request := lab.ReserveRequest{
		Machine: c.Name, Query: c.Query, Reason: c.Reason, For: time.Duration(c.For), Priority: c.Priority, Keep: c.Keep,
	}
	if !c.Wait {
		name, err := in.lab.ReserveAny(in.ctx, in.actor, request)
		if err != nil {
			return err
		}
		return c.print(in, name)
	}
	ctx, done := in.untilInterrupted()
	defer done()
	name, err := in.lab.Wait(ctx, in.actor, request, func(place int64) {
		in.note(fmt.Sprintf("waiting at place %d; `queue` lists who else does", place))
	})
	if err != nil {
		return interrupted(ctx, err, "your place is kept for 5 minutes, or, with --keep, as long as it takes; the same command goes on there, `queue --leave` gives it up")
	}
	return c.print(in, name)
}

func (c reserveCommand) print(in *invocation, name string) error {
	m, err := in.lab.Machine(in.ctx, in.actor, name)
	if err != nil {
		return err
	}
	if c.JSON {
		return in.print(true, toJSON(m.Machine), "")
	}
	sentence := name + " is yours"
	for _, h := range m.Holders {
		if h.UserID == in.actor.User.ID && !h.Until.IsZero() {
			sentence += " until " + moment(h.Until)
		}
	}
	return in.print(false, nil, sentence)
}

// moment is how a time is shown to people.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

type releaseCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	JSON bool   `help:"The machine as JSON."`
}

func (c releaseCommand) Run(in *invocation) error {
	if err := in.lab.Release(in.ctx, in.actor, c.Name); err != nil {
		return err
	}
	return in.printMachine(c.JSON, c.Name, c.Name+" is released")
}

type extendCommand struct {
	Name string  `arg:"" complete:"machines" help:"Name of the machine."`
	By   lasting `name:"for" placeholder:"TIME" help:"By how long: 90m, 4h, 3d. Left out: what the site has as a term."`
	JSON bool    `help:"The machine as JSON."`
}

func (c extendCommand) Run(in *invocation) error {
	until, err := in.lab.Extend(in.ctx, in.actor, c.Name, time.Duration(c.By))
	if err != nil {
		return err
	}
	return in.printMachine(c.JSON, c.Name, c.Name+" is held until "+moment(until))
}

type lendCommand struct {
	Name   string  `arg:"" complete:"machines" help:"Name of the machine."`
	To     string  `arg:"" optional:"" complete:"users" help:"Name of who gets it."`
	For    lasting `placeholder:"TIME" help:"For how long. Left out: as long as it is yours."`
	Reason string  `help:"What for. Left out: what you have it for."`
	Back   bool    `help:"Take back what you have lent."`
	JSON   bool    `help:"The machine as JSON."`
}

func (c lendCommand) Run(in *invocation) error {
	switch {
	case c.Back && c.To == "":
		if err := in.lab.Reclaim(in.ctx, in.actor, c.Name); err != nil {
			return err
		}
		return in.printMachine(c.JSON, c.Name, c.Name+" is yours again")
	case c.Back || c.To == "":
		return &lab.Error{Code: lab.Invalid, Message: "lend: name who gets the machine, or take it --back"}
	}
	until, err := in.lab.Lend(in.ctx, in.actor, c.Name, c.To, time.Duration(c.For), c.Reason)
	if err != nil {
		return err
	}
	sentence := c.Name + " is lent to " + c.To
	if !until.IsZero() {
		sentence += " until " + moment(until)
	}
	return in.printMachine(c.JSON, c.Name, sentence)
}

type queueCommand struct {
	Leave int64 `placeholder:"PLACE" help:"Give up a place: yours, or, for an admin, any."`
	JSON  bool  `help:"As a JSON array; with --leave, the place that was."`
}

// jsonPlace is a place in the queue as scripts see it. Its keys stay as they are.
type jsonPlace struct {
	Place    int64     `json:"place"`
	User     string    `json:"user"`
	Machine  string    `json:"machine"` // empty: any that matches
	Query    string    `json:"query"`
	Reason   string    `json:"reason"`
	Priority int       `json:"priority"`
	Since    time.Time `json:"since"`
	Present  bool      `json:"present"` // somebody waits there now
	Keep     bool      `json:"keep"`
}

func (c queueCommand) Run(in *invocation) error {
	if c.Leave != 0 {
		if err := in.lab.Leave(in.ctx, in.actor, c.Leave); err != nil {
			return err
		}
		return in.print(c.JSON, map[string]int64{"place": c.Leave}, fmt.Sprintf("place %d is given up", c.Leave))
	}
	places, err := in.lab.Queue(in.ctx, in.actor)
	if err != nil {
		return err
	}
	if c.JSON {
		rows := make([]jsonPlace, len(places))
		for i, p := range places {
			rows[i] = jsonPlace{p.ID, p.User, p.Machine, p.Query, p.Reason, p.Priority, p.CreatedAt, p.Present, p.Keep}
		}
		return in.print(true, rows, "")
	}
	table := in.table("PLACE\tUSER\tPRIORITY\tSINCE\tFOR\tREASON")
	for _, p := range places {
		what := "any machine"
		switch {
		case p.Machine != "":
			what = p.Machine
		case p.Query != "":
			what = p.Query
		}
		table.row(strconv.FormatInt(p.ID, 10), p.User, strconv.Itoa(p.Priority), moment(p.CreatedAt), what, p.Reason)
	}
	return table.Flush()
}

type historyCommand struct {
	Name   string `arg:"" optional:"" complete:"machines" help:"Name of the machine. Left out: all."`
	User   string `help:"Only what that user held."`
	Since  string `placeholder:"TIME" help:"Only what had not ended then: 3d (ago), 15:04, 2006-01-02."`
	Limit  int    `default:"100" help:"At most so many, up to 1000."`
	Before int64  `placeholder:"ID" help:"Only older ones than that: the next page."`
	JSON   bool   `help:"As a JSON array."`
}

func (c historyCommand) Run(in *invocation) error {
	since, err := lab.ParseTime(c.Since, time.Now())
	if err != nil {
		return err
	}
	history, err := in.lab.History(in.ctx, in.actor, store.HistoryFilter{
		Machine: c.Name, User: c.User, Since: since, Limit: c.Limit, Before: c.Before,
	})
	if err != nil {
		return err
	}
	rows := make([]jsonReservation, len(history))
	for i, r := range history {
		rows[i] = jsonReservation{
			ID: r.ID, Machine: r.Machine, User: r.User, Reason: r.Reason, Since: r.StartedAt, Until: optional(r.ExpiresAt),
			Ended: optional(r.EndedAt), EndedBy: r.EndedBy, EndedWhy: string(r.EndedWhy),
		}
		if r.Lender != nil {
			rows[i].LentBy = r.Lender.User
		}
	}
	if c.JSON {
		return in.print(true, rows, "")
	}
	table := in.table("ID\tMACHINE\tUSER\tSINCE\tENDED\tWHY\tREASON")
	for _, r := range rows {
		ended, why := "", ""
		if r.Ended != nil {
			ended, why = moment(*r.Ended), r.EndedWhy+" by "+r.EndedBy
		}
		table.row(strconv.FormatInt(r.ID, 10), r.Machine, r.User, moment(r.Since), ended, why, r.Reason)
	}
	return table.Flush()
}
