package tui

import (
	"context"
	"fmt"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// field is one question of the form, in the order in which they are asked.
type field int

const (
	kernelField field = iota
	initrdField
	optionsField
	preseedField
	confirmField
	fields
)

func (f field) String() string {
	return [...]string{"Kernel", "Initrd", "Options", "Preseed", ""}[f]
}

// maxOptions is what the lab takes, in bytes.
const maxOptions = 1024

// provisionForm asks what a machine is to boot, beginning with what it booted
// last.
type provisionForm struct {
	*app
	ctx     context.Context //nolint:containedctx // of the screen
	cancel  context.CancelFunc
	machine lab.Machine

	at      field
	pickers map[field]*picker
	options textinput.Model
	loaded  bool
	problem string // why it cannot begin, or did not
	sending bool
}

func newProvisionForm(a *app, d lab.MachineDetail) *provisionForm {
	f := &provisionForm{app: a, machine: d.Machine, options: newInput(""), pickers: make(map[field]*picker)}
	f.ctx, f.cancel = context.WithCancel(a.ctx)
	for field, chosen := range map[field]string{kernelField: d.Kernel, initrdField: d.Initrd, preseedField: d.Preseed} {
		p := newPicker(chosen)
		f.pickers[field] = &p
	}
	f.options.CharLimit = maxOptions
	f.options.SetValue(clean(d.KernelOptions))
	return f
}

type (
	choicesMsg struct {
		images   []store.Image
		preseeds []store.Preseed
		err      error
	}
	provisionedMsg struct{ err error }
)

func (f *provisionForm) start() tea.Cmd { return tea.Batch(f.pickers[kernelField].focus(), f.reload()) }

func (f *provisionForm) close() { f.cancel() }

func (f *provisionForm) reload() tea.Cmd {
	return func() tea.Msg {
		var msg choicesMsg
		if msg.images, msg.err = f.lab.Images(f.ctx, f.actor); msg.err == nil {
			msg.preseeds, msg.err = f.lab.Preseeds(f.ctx, f.actor)
		}
		return reply{f, msg}
	}
}

func (f *provisionForm) happened(events []store.Event, lost bool) tea.Cmd {
	for _, e := range events {
		lost = lost || e.Kind == lab.EventImageAdded || e.Kind == lab.EventPreseedAdded
	}
	if lost {
		return f.reload()
	}
	return nil
}

func (f *provisionForm) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case choicesMsg:
		f.loaded = true
		if msg.err != nil {
			f.problem = msg.err.Error()
			return nil
		}
		f.offer(msg)
	case provisionedMsg:
		f.sending = false
		if msg.err != nil {
			f.problem = msg.err.Error()
			return nil
		}
		f.pop()
		f.say(f.machine.Name + " boots from the network")
	case tea.KeyPressMsg:
		return f.press(msg)
	case tea.PasteMsg:
		return f.edit(msg)
	}
	return nil
}

// offer fills the lists with what this machine can boot.
func (f *provisionForm) offer(msg choicesMsg) {
	none := choice{label: "none"}
	kernels, initrds, preseeds := []choice{}, []choice{none}, []choice{none}
	for _, i := range msg.images {
		if i.Arch != f.machine.Arch {
			continue
		}
		c := choice{i.Name, i.Name, sizeNote(i)}
		switch i.Type {
		case store.ImageKernel:
			kernels = append(kernels, c)
		case store.ImageInitrd:
			initrds = append(initrds, c)
		case store.ImageBootloader: // of the architecture, not of a run
		}
	}
	for _, p := range msg.preseeds {
		preseeds = append(preseeds, choice{p.Name, p.Name, p.Type})
	}
	f.pickers[kernelField].set(kernels)
	f.pickers[initrdField].set(initrds)
	f.pickers[preseedField].set(preseeds)
}

func sizeNote(i store.Image) string {
	note := fmt.Sprintf("%.1f MB", float64(i.Size)/1e6)
	if i.KnownGood {
		note += ", known good"
	}
	return note
}

func (f *provisionForm) press(msg tea.KeyPressMsg) tea.Cmd {
	k := formKeys
	switch {
	case key.Matches(msg, k.Quit):
		return tea.Quit
	case f.sending:
		return nil // the lab is asked; its answer comes
	case key.Matches(msg, k.Cancel):
		if p := f.pickers[f.at]; p != nil && p.filter.Value() != "" {
			p.filter.Reset()
			p.list()
			return nil
		}
		f.pop()
	case key.Matches(msg, k.Next):
		if f.at == confirmField && msg.Code != tea.KeyTab {
			return f.send()
		}
		return f.next()
	case key.Matches(msg, k.Previous):
		if f.at > 0 {
			return f.focus(f.at - 1)
		}
	case key.Matches(msg, k.Up, k.Down):
		by := 1
		if key.Matches(msg, k.Up) {
			by = -1
		}
		if p := f.pickers[f.at]; p != nil {
			p.move(by)
			return nil
		}
		if to := f.at + field(by); to < fields {
			return f.focus(to)
		}
	default:
		return f.edit(msg)
	}
	return nil
}

// edit gives what is typed or pasted to the field that has the keyboard.
func (f *provisionForm) edit(msg tea.Msg) tea.Cmd {
	if p := f.pickers[f.at]; p != nil {
		return p.update(msg)
	}
	var cmd tea.Cmd
	if f.at == optionsField {
		f.options, cmd = f.options.Update(msg)
	}
	return cmd
}

func (f *provisionForm) next() tea.Cmd {
	p := f.pickers[f.at]
	switch {
	case !f.loaded:
		return nil
	case f.at == kernelField && len(p.choices) == 0:
		f.refuse("there is no kernel to boot")
		return nil
	case p != nil && p.none():
		f.refuse("nothing matches " + p.filter.Value())
		return nil
	}
	return f.focus(min(f.at+1, confirmField))
}

func (f *provisionForm) focus(to field) tea.Cmd {
	if p := f.pickers[f.at]; p != nil {
		p.leave()
	}
	f.options.Blur()
	f.at, f.problem = to, ""
	if p := f.pickers[to]; p != nil {
		return p.focus()
	}
	if to == optionsField {
		return f.options.Focus()
	}
	return nil
}

func (f *provisionForm) send() tea.Cmd {
	f.sending, f.problem = true, ""
	request := lab.ProvisionRequest{
		Kernel:  f.pickers[kernelField].chosen,
		Initrd:  f.pickers[initrdField].chosen,
		Options: strings.TrimSpace(f.options.Value()),
		Preseed: f.pickers[preseedField].chosen,
	}
	return func() tea.Msg {
		return reply{f, provisionedMsg{f.lab.Provision(f.ctx, f.actor, f.machine.Name, request)}}
	}
}

func (f *provisionForm) help() keySection { return formHelp() }

func (f *provisionForm) full() bool { return false }

func (f *provisionForm) status() string { return f.theme.strong.Render(clean(f.machine.Name)) }

func (f *provisionForm) view(width, height int) ([]string, cursor) {
	t := f.theme
	width = min(width, 100)
	inner := width - 4
	var lines []string
	var c cursor

	// What is left for the open list: the fields' lines, two of the border, and
	// some of the problem.
	problem := wrapped(clean(f.problem), inner-2, 4)
	room := max(2, height-2-int(fields)-2-len(problem)-2)
	for i := range confirmField {
		mark, value := "  ", f.value(i)
		if i == f.at {
			mark = t.active.Render("› ")
		}
		lines = append(lines, mark+t.dim.Render(fit(i.String(), labelWidth))+value)
		if i != f.at {
			continue
		}
		list, at := f.openField(inner, room)
		if at.visible {
			c = cursor{x: 2 + 2 + labelWidth + at.x, y: len(lines), visible: true}
		}
		lines = append(lines, list...)
	}
	lines = append(lines, "")
	button := "  " + t.dim.Render("enter through the fields to start")
	switch {
	case f.sending:
		button = "  " + t.warn.Render("Telling the BMC of "+clean(f.machine.Name)+" ...")
	case f.at == confirmField:
		button = t.active.Render("› ") + t.selected.Render(" enter: boot "+clean(f.machine.Name)+" from the network now ")
	}
	lines = append(lines, button)
	for _, line := range problem {
		lines = append(lines, "  "+t.bad.Render(line))
	}
	title := t.strong.Render("Provision " + clean(f.machine.Name))
	return box(t.border, title, t.dim.Render(f.machine.Arch+" "+f.machine.Subarch), lines, width, min(height, len(lines)+2)), c
}

// value is what a field says. The one that has the keyboard is typed into.
func (f *provisionForm) value(i field) string {
	if i == optionsField {
		if i == f.at {
			return f.options.View()
		}
		return f.theme.orNone(clean(f.options.Value()))
	}
	p := f.pickers[i]
	if i == f.at && p.filter.Value() != "" {
		return p.filter.View()
	}
	return f.theme.orNone(clean(p.chosen))
}

// openField is the list below the field that has the keyboard, and the place
// of the cursor in the field itself.
func (f *provisionForm) openField(width, room int) ([]string, cursor) {
	t := f.theme
	p := f.pickers[f.at]
	if p == nil {
		f.options.SetWidth(max(1, width-labelWidth-4))
		return []string{"  " + spaces(labelWidth) + t.dim.Render("added to those that the preseed implies")},
			inputCursor(f.options)
	}
	p.filter.SetWidth(max(1, width-labelWidth-4))
	at := inputCursor(p.filter)
	var list []string
	switch {
	case !f.loaded:
		list = []string{t.dim.Render("Reading ...")}
	case f.at == kernelField && len(p.choices) == 0:
		list = []string{
			t.warn.Render("There is no kernel for " + f.machine.Arch + " yet. Add one on the server:"),
			t.key.Render("provisioner image add NAME --type kernel --arch " + f.machine.Arch + " FILE"),
		}
	case p.none():
		list = []string{t.dim.Render("nothing matches")}
	default:
		list = p.rows(t, width-labelWidth-2, room)
	}
	for i := range list {
		list[i] = "  " + spaces(labelWidth) + cut(list[i], width-labelWidth-2)
	}
	return list, at
}

func inputCursor(in textinput.Model) cursor {
	if c := in.Cursor(); c != nil {
		return cursor{x: c.X, visible: true}
	}
	return cursor{}
}
