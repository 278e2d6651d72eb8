package server

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

type eventsCommand struct {
	Follow  bool     `short:"f" help:"Go on with what happens, until the connection ends. Alone: only that."`
	Machine string   `complete:"machines" placeholder:"NAME" help:"Only of that machine."`
	User    string   `complete:"users" placeholder:"NAME" help:"Only what that user did."`
	Kind    []string `complete:"kinds" placeholder:"KIND" help:"Only of that kind, such as power or console-pattern. More than one: with commas, or said again."`
	Since   string   `placeholder:"TIME" help:"Only what happened since: 90s, 15m, 2h, 3d ago, 15:04 or 2006-01-02T15:04, by the server's clock."`
	Until   string   `placeholder:"TIME" help:"Only what happened before; likewise."`
	Limit   int      `placeholder:"N" help:"At most so many of what has happened, the newest: up to 1000, or 100 where left out."`
	Before  int64    `placeholder:"ID" help:"Only older ones than that: the page before."`
	After   int64    `placeholder:"ID" default:"-1" help:"With --follow: go on behind the event of that id, which was the last one seen."`
	JSON    bool     `help:"As a JSON array, the oldest first; with --follow, each as a line of JSON."`
}

// jsonHappening is an event of the lab as scripts see it. Its keys stay as they
// are.
type jsonHappening struct {
	ID      int64     `json:"id"` // grows; 0: it is told and not kept
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Machine string    `json:"machine"` // empty: of none
	User    string    `json:"user"`    // empty: of nobody
	Run     int64     `json:"run"`     // 0: of none
	Detail  string    `json:"detail"`
}

func toJSONHappening(e store.Event) jsonHappening {
	return jsonHappening{e.ID, e.At, e.Kind, e.Machine, e.User, e.RunID, e.Detail}
}

// Run lists what has happened. It follows from before that on, so that nothing
// is between the two.
func (c eventsCommand) Run(in *invocation) error {
	filter, err := c.filter(in)
	if err != nil {
		return err
	}
	if !c.Follow {
		events, err := c.past(in, filter)
		if err != nil {
			return err
		}
		return c.list(in, events)
	}
	ctx, done := in.untilInterrupted()
	defer done()
	stream, err := in.lab.Follow(ctx, in.actor, c.After)
	if err != nil {
		return err
	}
	defer stream.Close()
	last := int64(0)
	if c.Since != "" || c.Limit > 0 {
		events, err := c.past(in, filter)
		if err != nil {
			return err
		}
		for _, e := range events {
			last = e.ID
			if err := c.line(in, e); err != nil {
				return nil // the client has gone
			}
		}
	}
	for {
		batch, err := stream.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil // they have seen enough or gone, or are told why the session ends
		case err != nil:
			return err
		}
		if batch.Skipped > 0 {
			in.note(fmt.Sprintf("%d events are left out: they came too fast, or are kept no more", batch.Skipped))
		}
		for _, e := range batch.Events {
			if e.ID != 0 && e.ID <= last || !filter.Wants(e) {
				continue
			}
			if err := c.line(in, e); err != nil {
				return nil // the client has gone
			}
		}
	}
}

// eventKinds are the kinds of events as a shell takes them without quotes.
func eventKinds() []string {
	kinds := lab.EventKinds()
	for i, kind := range kinds {
		kinds[i] = strings.ReplaceAll(kind, " ", "-")
	}
	return kinds
}

// filter checks what is asked for.
func (c eventsCommand) filter(in *invocation) (f lab.EventFilter, err error) {
	switch {
	case c.After >= 0 && !c.Follow:
		return f, &lab.Error{Code: lab.Invalid, Message: "events: --after goes with --follow; --before is for pages"}
	case c.After >= 0 && (c.Since != "" || c.Limit > 0):
		return f, &lab.Error{Code: lab.Invalid, Message: "events: say either --after, or --since and --limit"}
	case c.Follow && (c.Until != "" || c.Before != 0):
		return f, &lab.Error{Code: lab.Invalid, Message: "events: --until and --before are for what has happened, not to --follow"}
	case c.Limit < 0:
		return f, &lab.Error{Code: lab.Invalid, Message: "events: --limit is above 0"}
	}
	now := time.Now()
	f = lab.EventFilter{Machine: c.Machine, User: c.User, Before: c.Before, Limit: c.Limit}
	for _, kind := range c.Kind {
		if !slices.Contains(eventKinds(), strings.ReplaceAll(kind, " ", "-")) {
			return f, &lab.Error{Code: lab.Invalid, Message: fmt.Sprintf("events: there is no kind %.40q; there are: %s", kind, strings.Join(eventKinds(), ", "))}
		}
		f.Kinds = append(f.Kinds, strings.ReplaceAll(kind, "-", " "))
	}
	if f.Since, err = parseTime("--since", c.Since, now); err != nil {
		return f, err
	}
	if f.Until, err = parseTime("--until", c.Until, now); err != nil {
		return f, err
	}
	if c.Machine != "" && c.Follow { // one that is gone has a past, and no future
		if m, err := in.lab.Machine(in.ctx, in.actor, c.Machine); err == nil {
			f.Machine = m.Name
		} else {
			return f, err
		}
	}
	return f, nil
}

// past is what has happened, the oldest first.
func (c eventsCommand) past(in *invocation, filter lab.EventFilter) ([]store.Event, error) {
	events, err := in.lab.Events(in.ctx, in.actor, filter)
	slices.Reverse(events)
	if n := cmp.Or(min(c.Limit, 1000), 100); c.Since != "" && len(events) == n {
		in.note(fmt.Sprintf("these are the newest %d; --before %d has those before them", n, events[0].ID))
	}
	return events, err
}

func (c eventsCommand) list(in *invocation, events []store.Event) error {
	if c.JSON {
		rows := make([]jsonHappening, len(events))
		for i, e := range events {
			rows[i] = toJSONHappening(e)
		}
		return in.print(true, rows, "")
	}
	table := in.table("ID\tTIME\tKIND\tMACHINE\tUSER\tDETAIL")
	for _, e := range events {
		table.row(fmt.Sprint(e.ID), e.At.UTC().Format(time.DateTime), e.Kind, e.Machine, e.User, e.Detail)
	}
	return table.Flush()
}

// line writes an event of a stream. Its columns are as wide as is usual, since
// nobody knows what comes.
func (c eventsCommand) line(in *invocation, e store.Event) error {
	if c.JSON {
		line, err := json.Marshal(toJSONHappening(e))
		if err != nil {
			return err
		}
		_, err = in.out.Write(append(line, '\n'))
		return err
	}
	text := fmt.Sprintf("%s  %-16s  %-16s  %-8s  %s", e.At.UTC().Format(time.DateTime), e.Kind, orDash(e.Machine), orDash(e.User), printable(e.Detail))
	_, err := fmt.Fprintln(in.out, strings.TrimRight(text, " "))
	return err
}
