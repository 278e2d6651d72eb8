package server

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"provisioner/lab"
	"provisioner/store"
)

type preseedCommand struct {
	List    preseedListCommand    `cmd:"" default:"withargs" help:"The preseeds that you may install with."`
	Show    preseedShowCommand    `cmd:"" help:"Print a preseed as it is kept, and say beside it what is known of it."`
	Preview preseedPreviewCommand `cmd:"" help:"What a machine would be given by a preseed now: its variables filled in, what is undefined, and its kernel options."`
	Put     preseedPutCommand     `cmd:"" help:"Keep what comes on standard input as a preseed: a new one, or one of yours as it is from now on."`
	Edit    preseedEditCommand    `cmd:"" help:"Edit a preseed in this terminal (ssh -t), or look at one that is not yours to change."`
	Set     preseedSetCommand     `cmd:"" help:"Change what is said of a preseed (its owner, admins)."`
	Rm      preseedRmCommand      `cmd:"" help:"Remove a preseed that nothing uses (its owner, admins)."`
}

// jsonPreseed is a preseed as scripts see it. Its keys stay as they are.
type jsonPreseed struct {
	Name        string          `json:"name"`
	Type        string          `json:"type"` // preseed, kickstart, autoyast, cloud-init, ignition
	Description string          `json:"description"`
	Owner       string          `json:"owner"` // empty: nobody who still is
	KnownGood   bool            `json:"known_good"`
	Public      bool            `json:"public"`
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
	Content     *string         `json:"content,omitempty"`
	Use         *jsonPreseedUse `json:"use,omitempty"`
}

// jsonPreseedUse is what uses a preseed, by name.
type jsonPreseedUse struct {
	Running  []string `json:"running"`  // machines that are being installed with it
	Machines []string `json:"machines"` // machines that were last
}

func toJSONPreseed(p store.Preseed) jsonPreseed {
	return jsonPreseed{
		Name: p.Name, Type: p.Type, Description: p.Description, Owner: p.Owner, KnownGood: p.KnownGood, Public: p.Public,
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
}

type preseedListCommand struct {
	JSON bool `help:"As a JSON array."`
}

func (c preseedListCommand) Run(in *invocation) error {
	preseeds, err := in.lab.Preseeds(in.ctx, in.actor)
	if err != nil {
		return err
	}
	if c.JSON {
		rows := make([]jsonPreseed, len(preseeds))
		for i, p := range preseeds {
			rows[i] = toJSONPreseed(p)
		}
		return in.print(true, rows, "")
	}
	table := in.table("NAME\tTYPE\tOWNER\tCHANGED\tMARKS")
	for _, p := range preseeds {
		table.row(p.Name, p.Type, p.Owner, p.UpdatedAt.Format(time.DateOnly), preseedMarks(p))
	}
	return table.Flush()
}

func preseedMarks(p store.Preseed) string {
	return imageMarks(store.Image{KnownGood: p.KnownGood, Public: p.Public})
}

type preseedShowCommand struct {
	Name string `arg:"" complete:"preseeds" help:"Name of the preseed."`
	JSON bool   `help:"As JSON."`
}

func (c preseedShowCommand) Run(in *invocation) error {
	p, err := in.lab.Preseed(in.ctx, in.actor, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		j := toJSONPreseed(p.Preseed)
		j.Content = &p.Content
		j.Use = &jsonPreseedUse{Running: append([]string{}, p.Use.Running...), Machines: append([]string{}, p.Use.Machines...)}
		return in.print(true, j, "")
	}
	in.note(fmt.Sprintf("%s: %s of %s, changed %s", p.Name, p.Type, orDash(p.Owner), p.UpdatedAt.Format(time.DateTime+" MST")))
	for _, line := range []struct{ what, text string }{
		{"description", printable(p.Description)}, {"marks", preseedMarks(p.Preseed)},
		{"is being installed on", strings.Join(p.Use.Running, ", ")}, {"was last installed on", strings.Join(p.Use.Machines, ", ")},
	} {
		if line.text != "" {
			in.note(line.what + ": " + line.text)
		}
	}
	return in.printContent(p.Content)
}

// printContent writes a text that somebody else may have written: to a program
// as it is, to a terminal without what could command it.
func (in *invocation) printContent(content string) error {
	if in.terminal != nil {
		content = strings.Map(func(r rune) rune {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				return '\ufffd'
			}
			return r
		}, strings.ReplaceAll(content, "\r\n", "\n"))
	}
	_, err := io.WriteString(in.out, content)
	return err
}

type preseedPreviewCommand struct {
	Name    string `arg:"" complete:"preseeds" help:"Name of the preseed."`
	Machine string `arg:"" complete:"machines" help:"Name of the machine."`
	JSON    bool   `help:"As JSON."`
}

func (c preseedPreviewCommand) Run(in *invocation) error {
	preview, err := in.lab.PreviewPreseed(in.ctx, in.actor, c.Name, c.Machine)
	if len(preview.Undefined) > 0 && !c.JSON {
		in.note("undefined, and empty here: " + lab.UndefinedNames(preview.Undefined))
	}
	if err != nil {
		return err
	}
	if !c.JSON {
		in.note("kernel options: " + printable(preview.Options))
		return in.printContent(string(preview.Text))
	}
	type undefined struct {
		Name string `json:"name"`
		Line int    `json:"line"` // from 1; 0: not known
	}
	missing := []undefined{}
	for _, u := range preview.Undefined {
		missing = append(missing, undefined(u))
	}
	return in.print(true, map[string]any{
		"preseed": preview.Preseed, "type": preview.Type, "machine": preview.Machine, "text": string(preview.Text),
		"undefined": missing, "kernel_options": preview.Options,
	}, "")
}

type preseedPutCommand struct {
	Name        string  `arg:"" complete:"preseeds" help:"Name of the preseed."`
	Type        *string `help:"preseed, kickstart, autoyast, cloud-init or ignition. A new one is a preseed unless you say so."`
	Description *string `help:"What people should know of it."`
	KnownGood   *bool   `negatable:"" help:"It has installed well."`
	Public      *bool   `negatable:"" help:"Everybody may read it and install with it."`
	JSON        bool    `help:"As JSON."`
}

func (c preseedPutCommand) Run(in *invocation) error {
	if in.terminal != nil {
		return &lab.Error{Code: lab.Invalid, Message: "send the preseed on standard input: ssh HOST preseed put " + printable(c.Name) + " <FILE"}
	}
	content, err := io.ReadAll(io.LimitReader(in.input(), lab.MaxPreseed+1)) // one more is refused by name
	if err != nil {
		return &lab.Error{Code: lab.Unavailable, Message: "read the preseed: " + err.Error(), Err: err}
	}
	if len(content) == 0 {
		return &lab.Error{Code: lab.Invalid, Message: "nothing came on standard input"}
	}
	text := string(content)
	err = in.lab.ChangePreseed(in.ctx, in.actor, c.Name, lab.PreseedChange{
		Type: c.Type, Description: c.Description, Content: &text, KnownGood: c.KnownGood, Public: c.Public,
	})
	if lab.CodeOf(err) == lab.NotFound {
		kind := "preseed"
		err = in.lab.AddPreseed(in.ctx, in.actor, lab.NewPreseed{
			Name: c.Name, Type: *or(c.Type, &kind), Description: *or(c.Description, new(string)), Content: text,
			KnownGood: *or(c.KnownGood, new(bool)), Public: *or(c.Public, new(bool)),
		})
	}
	if err != nil {
		return err
	}
	return in.printPreseed(c.JSON, c.Name, c.Name+" is kept")
}

// or is what was said, or else what is usual.
func or[T any](said, usual *T) *T {
	if said != nil {
		return said
	}
	return usual
}

func (in *invocation) printPreseed(asJSON bool, name, sentence string) error {
	if !asJSON {
		return in.print(false, nil, sentence)
	}
	p, err := in.lab.Preseed(in.ctx, in.actor, name)
	if err != nil {
		return err
	}
	return in.print(true, toJSONPreseed(p.Preseed), "")
}

type preseedSetCommand struct {
	Name        string  `arg:"" complete:"preseeds" help:"Name of the preseed."`
	Rename      *string `help:"Another name."`
	Type        *string `help:"preseed, kickstart, autoyast, cloud-init or ignition, while no run installs with it."`
	Description *string `help:"What people should know of it."`
	KnownGood   *bool   `negatable:"" help:"It has installed well."`
	Public      *bool   `negatable:"" help:"Everybody may read it and install with it."`
	JSON        bool    `help:"As JSON."`
}

func (c preseedSetCommand) Run(in *invocation) error {
	change := lab.PreseedChange{Name: c.Rename, Type: c.Type, Description: c.Description, KnownGood: c.KnownGood, Public: c.Public}
	if change == (lab.PreseedChange{}) {
		return &lab.Error{Code: lab.Invalid, Message: "say what is to be different: preseed set --help lists it"}
	}
	if err := in.lab.ChangePreseed(in.ctx, in.actor, c.Name, change); err != nil {
		return err
	}
	name := *or(c.Rename, &c.Name)
	return in.printPreseed(c.JSON, name, name+" is changed")
}

type preseedRmCommand struct {
	Name   string `arg:"" complete:"preseeds" help:"Name of the preseed."`
	Forget bool   `help:"Have machines forget that they were last installed with it (admins)."`
	JSON   bool   `help:"As JSON."`
}

func (c preseedRmCommand) Run(in *invocation) error {
	if err := in.lab.RemovePreseed(in.ctx, in.actor, c.Name, c.Forget); err != nil {
		return err
	}
	return in.print(c.JSON, map[string]string{"name": c.Name}, c.Name+" removed")
}

type disksCommand struct {
	Name    string   `arg:"" complete:"machines" help:"Name of the machine."`
	Devices []string `arg:"" optional:"" help:"Paths such as /dev/sda, the one for the system first. Left out: those that are known are printed."`
	None    bool     `help:"Forget those that are known."`
	JSON    bool     `help:"As a JSON array."`
}

func (c disksCommand) Run(in *invocation) error {
	if c.None && len(c.Devices) > 0 {
		return &lab.Error{Code: lab.Invalid, Message: "say either which disks there are, or --none"}
	}
	if c.None || len(c.Devices) > 0 {
		if err := in.lab.SetDisks(in.ctx, in.actor, c.Name, c.Devices); err != nil {
			return err
		}
	}
	devices, err := in.lab.Disks(in.ctx, in.actor, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return in.print(true, append([]string{}, devices...), "")
	}
	for _, device := range devices {
		if err := in.print(false, nil, device); err != nil {
			return err
		}
	}
	if len(devices) == 0 {
		in.note("no disk of " + c.Name + " is known: name it, and preseeds can (disks " + c.Name + " /dev/sda)")
	}
	return nil
}
