package tui

import (
	"context"
	"slices"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

const (
	// A window that is smaller shows nothing but that it is too small.
	minWidth, minHeight = 40, 10
	// A window is not taken to be larger, whatever a client says.
	maxWidth, maxHeight = 1000, 500

	// reloadPause is the time from one look at the lab to the next when it
	// publishes a lot.
	reloadPause = 40 * time.Millisecond

	maxMessageLines = 3
)

// screen is what fills the window, below the header and above the footer.
type screen interface {
	// start is called once, when the screen is opened.
	start() tea.Cmd
	// update takes a key, a paste, or the screen's own replies.
	update(msg tea.Msg) tea.Cmd
	// happened is told what the lab has published; lost says that there was more.
	happened(events []store.Event, lost bool) tea.Cmd
	// view returns at most height lines of at most width cells, and where the
	// cursor is.
	view(width, height int) ([]string, cursor)
	// help lists the keys that work now; the first ones are in the footer.
	help() keySection
	// status is what the header says at the right.
	status() string
	// full reports whether the screen wants the header's and footer's lines, too.
	full() bool
	// close ends what the screen has begun.
	close()
}

// cursor is a place on a screen.
type cursor struct {
	x, y    int
	visible bool
}

// reply is what a screen's command found out. Where the screen was closed
// meanwhile, it is dropped, but for what somebody asked to be done.
type reply struct {
	to  screen
	msg tea.Msg
}

type (
	repaintMsg struct{} // the painter wants a frame
	minuteMsg  struct{} // a minute has gone by
	eventsMsg  struct {
		events []store.Event
		lost   bool
	}
)

// question is asked before something that cannot be taken back.
type question struct {
	text string
	yes  func() tea.Cmd
}

// app is the root model: a stack of screens, and what they share.
type app struct {
	ctx     context.Context //nolint:containedctx // a session's, as Bubble Tea has no other way
	lab     *lab.Lab
	actor   lab.Actor
	site    string
	sshAddr string
	now     func() time.Time
	theme   *theme
	paint   *painter
	feed    lab.Subscription

	width, height int
	screens       []screen
	helping       bool
	asking        *question
	menu          *menu // over the screen; nil: none
	message       string
	messageBad    bool
	warning       warning        // what the person must know, wherever they are
	awaited       map[int64]bool // places in the queue that were taken here, and wait
}

func newApp(ctx context.Context, cfg Config, paint *painter) *app {
	a := &app{
		ctx: ctx, lab: cfg.Lab, actor: cfg.Actor, site: cfg.Site, sshAddr: cfg.SSHAddr, now: cfg.Now, theme: newTheme(), paint: paint,
		awaited: make(map[int64]bool),
		feed:    cfg.Lab.Subscribe(), // before anything is read, so that no change is missed
	}
	a.screens = []screen{newDashboard(a)}
	return a
}

// Init implements [tea.Model].
func (a *app) Init() tea.Cmd {
	return tea.Batch(a.top().start(), a.follow(0), a.tick())
}

// follow waits for what the lab publishes, after a pause.
func (a *app) follow(pause time.Duration) tea.Cmd {
	return func() tea.Msg {
		if pause > 0 {
			timer := time.NewTimer(pause)
			defer timer.Stop()
			select {
			case <-a.ctx.Done():
				return nil
			case <-timer.C:
			}
		}
		events, lost, err := a.feed.Next(a.ctx)
		if err != nil {
			return nil // the session has ended
		}
		return eventsMsg{events, lost}
	}
}

// tick comes with each minute, since what is left of a term is on the screen.
func (a *app) tick() tea.Cmd {
	return func() tea.Msg {
		timer := time.NewTimer(time.Minute)
		defer timer.Stop()
		select {
		case <-a.ctx.Done():
			return nil
		case <-timer.C:
			return minuteMsg{}
		}
	}
}

func (a *app) top() screen { return a.screens[len(a.screens)-1] }

func (a *app) push(s screen) tea.Cmd {
	a.screens = append(a.screens, s)
	return s.start()
}

// pop leaves the screen at the top. From the first one it does nothing.
func (a *app) pop() {
	if last := len(a.screens) - 1; last > 0 {
		a.screens[last].close()
		a.screens = a.screens[:last]
	}
}

// pressPage takes the keys that every screen above the dashboard has; taken
// says whether it was one.
func (a *app) pressPage(msg tea.KeyPressMsg) (cmd tea.Cmd, taken bool) {
	k := pageKeys
	switch {
	case key.Matches(msg, k.Quit):
		return tea.Quit, true
	case key.Matches(msg, k.Help):
		a.helping = true
	case key.Matches(msg, k.Back):
		a.pop()
	default:
		return nil, false
	}
	return nil, true
}

// leaveGone leaves a screen that was shown, and whose subject is no more.
func (a *app) leaveGone(s screen, err error, shown bool) {
	if shown && lab.CodeOf(err) == lab.NotFound && a.top() == s && a.asking == nil && a.menu == nil {
		a.pop()
		if a.message == "" { // it is not the person themselves who has just removed it
			a.complain(err)
		}
	}
}

func (a *app) close() {
	for _, s := range a.screens {
		s.close()
	}
	a.feed.Close()
}

// say shows a sentence until the next key.
func (a *app) say(text string) { a.message, a.messageBad = clean(text), false }

// complain shows an error, if there is one, until the next key.
func (a *app) complain(err error) {
	if err != nil {
		a.message, a.messageBad = clean(err.Error()), true
	}
}

// refuse says why a key does nothing now.
func (a *app) refuse(text string) { a.message, a.messageBad = clean(text), true }

func (a *app) ask(text string, yes func() tea.Cmd) { a.asking = &question{clean(text), yes} }

// Update implements [tea.Model].
func (a *app) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		a.width, a.height = min(max(msg.Width, 0), maxWidth), min(max(msg.Height, 0), maxHeight)
		if a.width == 0 || a.height == 0 {
			a.width, a.height = 80, 24
		}
	case eventsMsg:
		cmds := []tea.Cmd{a.follow(reloadPause)}
		for _, e := range msg.events {
			if text := notice(e, a.actor.User.Name); text != "" {
				a.warn(text)
			}
		}
		for _, s := range a.screens {
			cmds = append(cmds, s.happened(msg.events, msg.lost))
		}
		return a, tea.Batch(cmds...)
	case minuteMsg:
		return a, a.tick()
	case gotMsg:
		a.got(msg)
	case reply:
		if slices.Contains(a.screens, msg.to) {
			return a, msg.to.update(msg.msg)
		}
		if done, ok := msg.msg.(doneMsg); ok {
			a.done(done) // what was asked for is told, wherever the person is by now
		}
	case tea.KeyPressMsg:
		return a, a.press(msg)
	case tea.PasteMsg:
		if a.asking == nil && a.menu == nil && !a.helping {
			return a, a.top().update(msg)
		}
	}
	return a, nil
}

func (a *app) press(msg tea.KeyPressMsg) tea.Cmd {
	a.message = ""
	a.heed()
	switch {
	case a.asking != nil:
		q := a.asking
		switch {
		case key.Matches(msg, questionKeys.Yes):
			a.asking = nil
			return q.yes()
		case key.Matches(msg, questionKeys.No):
			a.asking = nil
		}
		return nil
	case a.menu != nil:
		open := a.menu
		cmd, done := open.press(a, msg)
		if done && a.menu == open { // else it has opened another one
			a.menu = nil
		}
		return cmd
	case a.helping:
		a.helping = false
		return nil
	}
	return a.top().update(msg)
}

// View implements [tea.Model]. It hands the picture to the painter; what it
// returns is for a renderer that is not there.
func (a *app) View() tea.View {
	if a.width > 0 && a.paint.wants() {
		a.paint.show(a.frame())
	}
	return tea.View{}
}

func (a *app) frame() frame {
	f := frame{width: a.width, height: a.height}
	if a.width < minWidth || a.height < minHeight {
		text := wrapped("This window is too small: "+sizeText(minWidth, minHeight)+" are needed.", a.width, a.height)
		f.content = strings.Join(text, "\n")
		return f
	}
	header, footer := []string{a.header(), ""}, append(a.messageLines(), a.shortHelp())
	if len(footer) == 1 {
		footer = append([]string{""}, footer...)
	}
	if a.top().full() {
		header, footer = nil, a.messageLines()
	}
	room := a.height - len(header) - len(footer)
	body, c := a.top().view(a.width, room)
	lines := slices.Concat(header, block(body, a.width, room), footer)
	f.content = strings.Join(lines, "\n")
	f.cursorX, f.cursorY, f.cursorVisible = c.x, c.y+len(header), c.visible
	switch {
	case a.asking != nil:
		f.overlay, f.cursorVisible = a.questionBox(), false
	case a.menu != nil:
		f.overlay, f.cursorVisible = a.menuBox(), false
	case a.helping:
		f.overlay, f.cursorVisible = a.helpBox(), false
	}
	if !f.cursorVisible {
		f.cursorX, f.cursorY = 0, 0
	}
	return f
}

// header says where one is, and who. The less room there is, the less it says.
func (a *app) header() string {
	user := clean(a.actor.User.Name)
	if a.actor.IsAdmin() {
		user += " (admin)"
	}
	status := a.top().status()
	right := a.theme.strong.Render(user) + " "
	if status != "" {
		right = status + a.theme.dim.Render("  │  ") + right
	}
	left := " " + a.theme.title.Render("provisioner")
	if site := "  " + clean(a.site); widths.StringWidth(left+site+right) < a.width {
		left += site
	}
	if widths.StringWidth(left+right) >= a.width {
		left, right = " "+status, ""
	}
	return apart(left, right, a.width)
}

// messageLines are what there is to say; none most of the time.
func (a *app) messageLines() []string {
	style, mark := a.theme.good, "✓ "
	if a.messageBad {
		style, mark = a.theme.bad, "✗ "
	}
	var lines []string
	for i, line := range wrapped(a.warning.text, a.width-4, maxMessageLines) {
		lines = append(lines, " "+a.theme.warn.Render([...]string{"▲ ", "  "}[min(i, 1)]+line))
	}
	for _, line := range wrapped(a.message, a.width-4, maxMessageLines) {
		lines = append(lines, " "+style.Render(mark+line))
		mark = "  "
	}
	return lines
}

func (a *app) questionBox() string {
	width := min(a.width-2, 64)
	lines := append([]string{""}, wrapped(a.asking.text, width-4, 6)...)
	keys := a.keyHint(questionKeys.Yes) + a.theme.dim.Render("  ·  ") + a.keyHint(questionKeys.No)
	lines = append(lines, "", spaces((width-4-widths.StringWidth(keys))/2)+keys, "")
	return strings.Join(box(a.theme.warn, a.theme.strong.Render("Sure?"), "", lines, width, len(lines)+2), "\n")
}
