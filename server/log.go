package server

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
)

// logSpan is which part of a console's log a person means.
type logSpan struct {
	Since string `placeholder:"TIME" help:"Only what was printed since: 90s, 15m, 2h, 3d ago, 15:04 or 2006-01-02T15:04, by the server's clock."`
	Until string `placeholder:"TIME" help:"Only what was printed until then; likewise."`
	Event string `placeholder:"KIND" help:"Only what was printed since the last such event, as the machine's history has it: power, provision-ended, kernel-panic."`
}

// open opens a machine's log, and finds where in it the span begins.
func (s logSpan) open(in *invocation, name string) (*lab.ConsoleLog, transcript.Position, error) {
	now := time.Now()
	since, err := parseTime("--since", s.Since, now)
	if err != nil {
		return nil, 0, err
	}
	until, err := parseTime("--until", s.Until, now)
	if err != nil {
		return nil, 0, err
	}
	log, err := in.lab.ConsoleLog(in.ctx, in.actor, name, transcript.Window{Since: since, Until: until})
	if err != nil {
		return nil, 0, err
	}
	from := log.Start()
	if s.Event != "" {
		event, err := log.LastEvent(in.ctx, s.Event)
		if err != nil {
			return nil, 0, err
		}
		if from, err = log.PositionOf(event); err != nil {
			return nil, 0, err
		}
	}
	if from >= log.End() {
		in.note(log.Machine + " printed nothing in that time")
	}
	return log, from, nil
}

type logCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	logSpan
	Last       int           `placeholder:"N" help:"Only the last N lines of that."`
	Grep       string        `placeholder:"REGEXP" help:"Only lines of that which match (RE2), as text."`
	IgnoreCase bool          `short:"i" help:"Capitals do not matter to --grep."`
	Context    int           `placeholder:"N" help:"N lines more before and behind each that matches."`
	Times      bool          `help:"As text, each line behind its time."`
	JSON       bool          `help:"Each line as a line of JSON, with its time."`
	Format     string        `enum:"raw,text,asciicast," default:"" help:"raw (as it came, unless other flags want text), text (lines without control sequences) or asciicast (a version 2 file, for asciinema)."`
	Idle       time.Duration `default:"2s" help:"In an asciicast, players cut longer pauses to this; 0: they do not."`
}

// Run writes what a machine has printed to standard output.
func (c logCommand) Run(in *invocation) error {
	query, err := c.check()
	if err != nil {
		return err
	}
	log, from, err := c.open(in, c.Name)
	if err != nil {
		return err
	}
	if c.Last > 0 {
		last, err := log.LinesBefore(log.End(), c.Last)
		if err != nil {
			return err
		}
		from = max(from, last)
	}
	switch {
	case c.Grep != "":
		err = c.writeMatches(in, log, from, query)
	case c.Format == "text" || c.Times || c.JSON:
		err = c.writeLines(in, log, from)
	case c.Format == "asciicast":
		err = writeAsciicast(in.stdout, log.Machine, c.Idle, log.Chunks(in.ctx, from))
	default:
		_, err = io.Copy(output{in.ctx, in.stdout}, log.Reader(from))
	}
	if errors.Is(err, io.EOF) {
		return nil // the client has gone
	}
	return err
}

// check refuses what does not go together.
func (c logCommand) check() (query transcript.Query, err error) {
	refuse := func(format string, args ...any) (transcript.Query, error) {
		return query, &lab.Error{Code: lab.Invalid, Message: "log: " + fmt.Sprintf(format, args...)}
	}
	switch {
	case c.Last < 0:
		return refuse("--last: a number of lines is 1 or more")
	case c.Context < 0 || c.Context > maxContext:
		return refuse("--context: a number of lines from 0 to %d", maxContext)
	case c.Idle < 0:
		return refuse("--idle: a duration is 0 or more, such as 2s")
	case c.Grep == "" && (c.IgnoreCase || c.Context > 0):
		return refuse("-i and --context go with --grep")
	case c.JSON && c.Times:
		return refuse("--json has the times already")
	case (c.Grep != "" || c.Times || c.JSON) && c.Format != "" && c.Format != "text":
		return refuse("--grep, --times and --json write text, not %s", c.Format)
	}
	if query, err = transcript.Expression(c.Grep, c.IgnoreCase); err != nil {
		return refuse("--grep: %v", err)
	}
	return query, nil
}

// writeLine writes a line as text.
func (c logCommand) writeLine(w io.Writer, line transcript.Line) error {
	var err error
	switch {
	case c.JSON:
		err = json.NewEncoder(w).Encode(jsonLine{optional(line.At), line.Text})
	case !c.Times:
		_, err = fmt.Fprintf(w, "%s\n", line.Text)
	case line.At.IsZero():
		_, err = fmt.Fprintf(w, "%-*s  %s\n", len(logTime), "-", line.Text)
	default:
		_, err = fmt.Fprintf(w, "%s  %s\n", line.At.Local().Format(logTime), line.Text)
	}
	return err
}

// jsonLine is a line of a log as scripts see it. Its keys stay as they are.
type jsonLine struct {
	At   *time.Time `json:"at"` // null: not known
	Text string     `json:"text"`
}

// logTime is how times in a log are written: as exactly as they are known.
const logTime = "2006-01-02 15:04:05.0"

func (c logCommand) writeLines(in *invocation, log *lab.ConsoleLog, from transcript.Position) error {
	out := bufio.NewWriter(in.out)
	for line, err := range log.Lines(in.ctx, from) {
		if err == nil {
			err = c.writeLine(out, line)
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// maxContext bounds the lines around a match.
const maxContext = 1000

// writeMatches writes lines that match, and those around them. Where lines
// between them are left out, there is a line of two dashes, as grep has it.
func (c logCommand) writeMatches(in *invocation, log *lab.ConsoleLog, from transcript.Position, query transcript.Query) error {
	out := bufio.NewWriter(in.out)
	var before []transcript.Line // not written yet
	behind, found, leftOut := 0, false, false
	for line, err := range log.Lines(in.ctx, from) {
		if err != nil {
			return err
		}
		if _, _, matches := query.Find(line); matches {
			if found && leftOut && c.Context > 0 && !c.JSON {
				_, _ = out.WriteString("--\n") // Flush tells
			}
			found, leftOut, behind = true, false, c.Context+1
			for _, l := range before {
				_ = c.writeLine(out, l)
			}
			before = before[:0]
		}
		if behind > 0 {
			behind--
			_ = c.writeLine(out, line)
			continue
		}
		if before = append(before, line); len(before) > c.Context {
			before, leftOut = before[1:], true
		}
	}
	if err := out.Flush(); err != nil || found {
		return err
	}
	return &lab.Error{Code: lab.NotFound, Message: fmt.Sprintf("no line of %s matches %s", log.Machine, printable(c.Grep))}
}
