package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
)

// EditConfig says what is edited.
type EditConfig struct {
	Title string // what it is, such as "preseed debian-12"
	Text  string // valid UTF-8
	Limit int    // how many bytes it may have

	// ReadOnly is why it can only be looked at; empty: it can be changed.
	ReadOnly string

	// Save keeps a text. Its error is shown, and the cursor put into the line
	// that it names, from 1; 0: none. An error of the code [lab.Conflict] says
	// that somebody else has saved meanwhile: the person is asked whether to
	// save anyway, which Save is told by over. Its context does not end.
	Save func(ctx context.Context, text string, over bool) (line int, err error)
}

// editKeys are those of the editor. All others are typed.
var editKeys = struct{ Save, Leave, Find, Again, Undo, Redo, Cut, Paste key.Binding }{
	Save:  bind("ctrl+s", "save", "ctrl+s"),
	Leave: bind("ctrl+x", "leave", "ctrl+x", "ctrl+c", "ctrl+q"),
	Find:  bind("ctrl+f", "find", "ctrl+f"),
	Again: bind("ctrl+n", "find next", "ctrl+n", "f3"),
	Undo:  bind("ctrl+z", "undo", "ctrl+z", "ctrl+_"),
	Redo:  bind("ctrl+y", "redo", "ctrl+y"),
	Cut:   bind("ctrl+k", "cut the line", "ctrl+k"),
	Paste: bind("ctrl+u", "put it back", "ctrl+u"),
}

// Edit shows a text on the whole terminal until the person leaves, or their
// input ends, and reports whether they saved it. It blocks, as [Run] does.
func Edit(ctx context.Context, cfg EditConfig, term Terminal) (saved bool, err error) {
	var e *editor
	err = show(ctx, term, func(ctx context.Context, paint *painter) tea.Model {
		e = newEditor(ctx, cfg, paint)
		return e
	})
	e.underway.Wait()
	return e.saves.Load() > 0, err
}

// editor is the model of [Edit].
type editor struct {
	ctx   context.Context //nolint:containedctx // of the terminal, as Bubble Tea has no other way
	cfg   EditConfig
	theme *theme
	paint *painter

	width, height int
	text          editText
	top, left     int    // the line and column in the upper left corner
	kept          string // as it was saved last
	cut           string // lines that were cut last
	cutting       bool   // the next that is cut is added to it

	saving   bool
	waiting  []tea.Msg      // what is typed meanwhile
	underway sync.WaitGroup // of saves
	saves    atomic.Int32   // that came to an end
	asking   *question
	find     textinput.Model
	finding  bool
	message  string
	bad      bool
}

// savedMsg is how saving a text has ended.
type savedMsg struct {
	text string
	line int
	err  error
}

func newEditor(ctx context.Context, cfg EditConfig, paint *painter) *editor {
	return &editor{
		ctx: ctx, cfg: cfg, theme: newTheme(), paint: paint, text: newEditText(cfg.Text, cfg.Limit), kept: cfg.Text,
		find: newInput("find: "), message: cfg.ReadOnly,
	}
}

// Init implements [tea.Model].
func (e *editor) Init() tea.Cmd { return nil }

// Update implements [tea.Model].
func (e *editor) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		e.width, e.height = min(max(msg.Width, 0), maxWidth), min(max(msg.Height, 0), maxHeight)
		if e.width == 0 || e.height == 0 {
			e.width, e.height = 80, 24
		}
	case savedMsg:
		return e, e.saved(msg)
	case tea.KeyPressMsg, tea.PasteMsg:
		if e.saving {
			e.waiting = append(e.waiting, msg) // bounded by how fast a text is saved
			return e, nil
		}
		return e, e.typed(msg)
	}
	return e, nil
}

func (e *editor) typed(msg tea.Msg) tea.Cmd {
	press, isKey := msg.(tea.KeyPressMsg)
	switch {
	case e.asking != nil:
		return e.answer(press)
	case e.finding:
		return e.typeSearch(msg)
	}
	e.message, e.bad = "", false
	if paste, ok := msg.(tea.PasteMsg); ok {
		e.insert(strings.ReplaceAll(strings.ReplaceAll(paste.Content, "\r\n", "\n"), "\r", "\n"))
		return nil
	}
	if !isKey {
		return nil
	}
	return e.press(press)
}

func (e *editor) press(msg tea.KeyPressMsg) tea.Cmd {
	k, wasCutting := editKeys, e.cutting
	e.cutting = false
	switch {
	case key.Matches(msg, k.Leave):
		return e.leave()
	case key.Matches(msg, k.Find):
		e.finding = true
		return e.find.Focus()
	case key.Matches(msg, k.Again):
		e.search()
	case e.move(msg):
	case e.cfg.ReadOnly != "":
		e.refuse(e.cfg.ReadOnly)
	case key.Matches(msg, k.Save):
		return e.save(false)
	case key.Matches(msg, k.Undo):
		if !e.text.undo() {
			e.refuse("there is nothing to undo")
		}
	case key.Matches(msg, k.Redo):
		if !e.text.redo() {
			e.refuse("there is nothing to redo")
		}
	case key.Matches(msg, k.Cut):
		e.cutLine(wasCutting)
	case key.Matches(msg, k.Paste):
		e.insert(e.cut)
	default:
		e.change(msg)
	}
	return nil
}

// move takes the keys that move the cursor; false: it was none.
func (e *editor) move(msg tea.KeyPressMsg) bool {
	t := &e.text
	switch msg.String() {
	case "left", "ctrl+b":
		t.move(t.previous(t.cursor))
	case "right":
		t.move(t.next(t.cursor))
	case "ctrl+left", "alt+b":
		t.move(t.previousWord())
	case "ctrl+right", "alt+f":
		t.move(t.nextWord())
	case "up", "ctrl+p":
		t.moveLines(-1)
	case "down":
		t.moveLines(1)
	case "pgup":
		t.moveLines(-max(1, e.room()-1))
	case "pgdown":
		t.moveLines(max(1, e.room()-1))
	case "home", "ctrl+a":
		t.move(place{t.cursor.line, 0})
	case "end", "ctrl+e":
		t.move(place{t.cursor.line, len(t.line())})
	case "ctrl+home", "alt+<":
		t.move(place{})
	case "ctrl+end", "alt+>":
		last := len(t.lines) - 1
		t.move(place{last, len(t.lines[last])})
	default:
		return false
	}
	return true
}

// change takes the keys that change the text.
func (e *editor) change(msg tea.KeyPressMsg) {
	t := &e.text
	switch msg.String() {
	case "backspace", "ctrl+h":
		t.remove(t.previous(t.cursor))
	case "delete", "ctrl+d":
		t.remove(t.next(t.cursor))
	case "ctrl+w", "alt+backspace":
		t.remove(t.previousWord())
	case "enter", "ctrl+j":
		e.insert("\n")
	case "tab":
		e.insert("\t")
	default:
		e.insert(msg.Text)
	}
}

func (e *editor) insert(text string) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		e.refuse("this is no text")
		return
	}
	if !e.text.insert(text) {
		e.refuse(fmt.Sprintf("there is no room for more: it may have %d bytes", e.cfg.Limit))
	}
}

// cutLine takes the cursor's line away. Lines that are cut one after the other
// are put back together.
func (e *editor) cutLine(more bool) {
	t := &e.text
	from, to := place{t.cursor.line, 0}, place{t.cursor.line + 1, 0}
	if t.cursor.line == len(t.lines)-1 {
		to = place{t.cursor.line, len(t.line())}
	}
	if !more {
		e.cut = ""
	}
	e.cut += t.between(from, to)
	e.cutting = true
	t.move(from)
	t.remove(to)
}

func (e *editor) refuse(why string) { e.message, e.bad = clean(why), true }

func (e *editor) modified() bool { return e.text.size != len(e.kept) || e.text.String() != e.kept }

// save has the text kept, and what is typed meanwhile waits.
func (e *editor) save(over bool) tea.Cmd {
	e.saving, e.message = true, "saving ..."
	text := e.text.String()
	ended := make(chan savedMsg, 1)
	ctx := context.WithoutCancel(e.ctx) // what somebody has saved is saved, though their connection ends just then
	e.underway.Go(func() {              // Edit waits for it
		line, err := e.cfg.Save(ctx, text, over)
		if err == nil {
			e.saves.Add(1)
		}
		ended <- savedMsg{text, line, err}
	})
	return func() tea.Msg { return <-ended }
}

func (e *editor) saved(msg savedMsg) tea.Cmd {
	e.saving, e.message, e.bad = false, "saved", false
	switch {
	case lab.CodeOf(msg.err) == lab.Conflict && msg.err != nil:
		e.ask(msg.err.Error()+". Save this text over it?", func() tea.Cmd { return e.save(true) })
	case msg.err != nil:
		e.refuse(msg.err.Error())
		if msg.line > 0 {
			e.text.move(place{min(msg.line, len(e.text.lines)) - 1, 0})
		}
	default:
		e.kept = msg.text
	}
	var cmds []tea.Cmd
	for len(e.waiting) > 0 && !e.saving { // again: the rest waits for that
		typed := e.waiting[0]
		e.waiting = e.waiting[1:]
		cmds = append(cmds, e.typed(typed))
	}
	return tea.Batch(cmds...)
}

// leave ends the editor, or asks first.
func (e *editor) leave() tea.Cmd {
	if !e.modified() {
		return tea.Quit
	}
	e.ask("What you have changed is not saved. Leave without it?", func() tea.Cmd { return tea.Quit })
	return nil
}

func (e *editor) ask(text string, yes func() tea.Cmd) { e.asking = &question{clean(text), yes} }

func (e *editor) answer(msg tea.KeyPressMsg) tea.Cmd {
	q := e.asking
	switch {
	case key.Matches(msg, questionKeys.Yes):
		e.asking, e.message = nil, ""
		return q.yes()
	case key.Matches(msg, questionKeys.No):
		e.asking, e.message, e.bad = nil, "not saved", true
	}
	return nil
}

// typeSearch takes what is typed into the line that says what to find.
func (e *editor) typeSearch(msg tea.Msg) (cmd tea.Cmd) {
	if press, ok := msg.(tea.KeyPressMsg); ok {
		switch press.String() {
		case "enter":
			e.finding = false
			e.find.Blur()
			e.search()
			return nil
		case "esc", "ctrl+c", "ctrl+x":
			e.finding = false
			e.find.Blur()
			return nil
		}
	}
	e.find, cmd = e.find.Update(msg)
	return cmd
}

func (e *editor) search() {
	text := e.find.Value()
	if text == "" {
		e.refuse("ctrl+f asks what to find")
		return
	}
	found, ok := e.text.find(text)
	if !ok {
		e.refuse("not found: " + text)
		return
	}
	e.text.move(found)
}

// View implements [tea.Model], as that of the dashboard does.
func (e *editor) View() tea.View {
	if e.width > 0 && e.paint.wants() {
		e.paint.show(e.frame())
	}
	return tea.View{}
}

// room is how many lines of the text are shown.
func (e *editor) room() int { return max(1, e.height-2-len(e.messageLines())) }

func (e *editor) messageLines() []string {
	text, style := e.message, e.theme.dim
	if e.bad {
		style = e.theme.bad
	}
	switch {
	case e.asking != nil:
		text, style = e.asking.text+"  y yes · n no", e.theme.warn
	case e.finding:
		return []string{" " + e.find.View()}
	case e.cfg.ReadOnly != "" && text == e.cfg.ReadOnly:
		style = e.theme.warn
	}
	var lines []string
	for _, line := range wrapped(text, e.width-2, maxMessageLines) {
		lines = append(lines, " "+style.Render(line))
	}
	return lines
}

func (e *editor) frame() frame {
	f := frame{width: e.width, height: e.height}
	below := append(e.messageLines(), e.footer())
	room := e.room()
	gutter := len(fmt.Sprint(len(e.text.lines))) + 2
	width := max(1, e.width-gutter)
	column := e.scroll(width, room)

	lines := make([]string, 0, e.height)
	lines = append(lines, e.header())
	for n := e.top; n < min(e.top+room, len(e.text.lines)); n++ {
		number := e.theme.dim.Render(fmt.Sprintf("%*d ", gutter-1, n+1))
		lines = append(lines, number+shownFrom(e.text.lines[n], e.left, width))
	}
	lines = block(lines, e.width, room+1)
	f.content = strings.Join(slices.Concat(lines, block(below, e.width, len(below))), "\n")
	f.cursorX, f.cursorY, f.cursorVisible = gutter+column-e.left, 1+e.text.cursor.line-e.top, e.asking == nil
	if e.finding {
		f.cursorX, f.cursorY = min(e.width-1, 1+widths.StringWidth("find: ")+e.find.Position()), room+1
	}
	return f
}

// scroll has the window show the cursor, and returns its column.
func (e *editor) scroll(width, room int) (column int) {
	line := e.text.cursor.line
	e.top = min(max(e.top, line-room+1), line, max(0, len(e.text.lines)-room))
	column = cells(e.text.line()[:e.text.cursor.at])
	if column < e.left || column >= e.left+width {
		e.left = max(0, column-width/2)
	}
	if column < width {
		e.left = 0
	}
	return column
}

func (e *editor) header() string {
	state := ""
	switch {
	case e.cfg.ReadOnly != "":
		state = "read only"
	case e.modified():
		state = "changed"
	}
	where := fmt.Sprintf("%s  line %d of %d, column %d ", state, e.text.cursor.line+1, len(e.text.lines), cells(e.text.line()[:e.text.cursor.at])+1)
	return apart(" "+e.theme.title.Render("provisioner")+"  "+clean(e.cfg.Title), strings.TrimLeft(where, " "), e.width)
}

// footer is as many keys as fit into a line.
func (e *editor) footer() string {
	k := editKeys
	shown := []key.Binding{k.Save, k.Leave, k.Find, k.Again, k.Undo, k.Redo, k.Cut, k.Paste}
	if e.cfg.ReadOnly != "" {
		shown = []key.Binding{k.Leave, k.Find, k.Again}
	}
	line := ""
	for _, b := range shown {
		hint := " " + e.theme.key.Render(b.Help().Key) + " " + e.theme.dim.Render(b.Help().Desc) + " "
		if widths.StringWidth(line+hint) > e.width {
			break
		}
		line += hint
	}
	return line
}
