package tui

import (
	"slices"

	"charm.land/bubbles/v2/key"
)

// keySection is the keys of a screen, as its help shows them.
type keySection struct {
	title string
	short []key.Binding // in the footer, the most useful first
	all   []key.Binding
}

func bind(shown, does string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(shown, does))
}

var (
	upKey    = bind("↑/k", "up", "up", "k")
	downKey  = bind("↓/j", "down", "down", "j")
	backKey  = bind("esc", "back", "esc", "backspace")
	helpKey  = bind("?", "help", "?")
	quitKey  = bind("q", "quit", "q", "ctrl+c")
	abortKey = bind("ctrl+c", "quit", "ctrl+c")

	refreshKey  = bind("r", "read again", "r")
	actionsKey  = bind("a", "everything that can be done", "a")
	nextBootKey = bind("w", "what would it boot now?", "w")
)

// listKeys are those of every list.
var listKeys = struct{ Up, Down, PageUp, PageDown, Top, Bottom, Open, Filter, Clear key.Binding }{
	Up:       upKey,
	Down:     downKey,
	PageUp:   bind("pgup/ctrl+b", "page up", "pgup", "ctrl+b"),
	PageDown: bind("pgdn/ctrl+f", "page down", "pgdown", "ctrl+f", "space"),
	Top:      bind("home/g", "to the first", "home", "g"),
	Bottom:   bind("end/G", "to the last", "end", "G"),
	Open:     bind("enter", "open", "enter", "right", "l"),
	Filter:   bind("/", "filter", "/"),
	Clear:    bind("esc", "clear the filter", "esc"),
}

// scrollKeys are those of every text that may be longer than the window.
var scrollKeys = struct{ Up, Down, PageUp, PageDown, Top, Bottom key.Binding }{
	Up:       upKey,
	Down:     downKey,
	PageUp:   listKeys.PageUp,
	PageDown: listKeys.PageDown,
	Top:      bind("home/g", "to the beginning", "home", "g"),
	Bottom:   bind("end/G", "to the end", "end", "G"),
}

// pageKeys are those of every screen above the dashboard.
var pageKeys = struct{ Back, Help, Quit key.Binding }{Back: backKey, Help: helpKey, Quit: quitKey}

// listHelp is the keys of a list above the dashboard, with those of its own.
func listHelp(title string, own ...key.Binding) keySection {
	k := listKeys
	all := append([]key.Binding{k.Up, k.Down, k.PageUp, k.PageDown, k.Top, k.Bottom, k.Open, k.Filter, actionsKey}, own...)
	return keySection{
		title: title,
		short: append(append([]key.Binding{k.Open}, own...), k.Filter, named(actionsKey, "actions"), pageKeys.Back, pageKeys.Help),
		all:   append(all, pageKeys.Back, pageKeys.Help, pageKeys.Quit),
	}
}

// textHelp is the keys of a text, with those of its own.
func textHelp(title string, own ...key.Binding) keySection {
	k := scrollKeys
	all := append([]key.Binding{k.Up, k.Down, k.PageUp, k.PageDown, k.Top, k.Bottom}, own...)
	return keySection{
		title: title,
		short: append(append([]key.Binding{bind("↑/↓", "scroll")}, own...), pageKeys.Back, pageKeys.Help),
		all:   append(all, pageKeys.Back, pageKeys.Help, pageKeys.Quit),
	}
}

// holdKeys are those for who has a machine, and for how long.
var holdKeys = struct{ Take, Reserve, Extend, Lend, Release, History key.Binding }{
	Take:    bind("t", "take", "t"),
	Reserve: bind("R", "take for a time, or wait", "R"),
	Extend:  bind("E", "extend the term", "E"),
	Lend:    bind("L", "lend, or take back", "L"),
	Release: bind("r", "release, or give back", "r"),
	History: bind("H", "who had it, and what for", "H"),
}

// all is holdKeys in the order in which help has them.
func holdBindings() []key.Binding {
	k := holdKeys
	return []key.Binding{k.Take, k.Reserve, k.Extend, k.Lend, k.Release, k.History}
}

var dashboardKeys = struct {
	Show, Queue, Pools, NextBoot, Images, Preseeds, Discovered, Help, Quit key.Binding
}{
	Queue:      bind("Q", "who waits for machines", "Q"),
	Pools:      bind("P", "pools of machines", "P"),
	Show:       bind("m", "all, mine, free", "m"),
	NextBoot:   nextBootKey,
	Images:     bind("i", "images to boot", "i"),
	Preseeds:   bind("p", "preseeds to install with", "p"),
	Discovered: bind("d", "addresses of no machine", "d"),
	Help:       helpKey,
	Quit:       quitKey,
}

func dashboardHelp() keySection {
	l, k, h := listKeys, dashboardKeys, holdKeys
	return keySection{
		title: "Machines",
		short: []key.Binding{l.Open, h.Take, named(h.Release, "release"), l.Filter, named(k.Show, "mine"), named(actionsKey, "actions"), k.Help, k.Quit},
		all: slices.Concat(
			[]key.Binding{l.Up, l.Down, l.PageUp, l.PageDown, l.Top, l.Bottom, l.Open, l.Filter, k.Show, l.Clear, actionsKey}, holdBindings(),
			[]key.Binding{k.Queue, k.Pools, k.NextBoot, k.Images, k.Preseeds, k.Discovered, k.Help, k.Quit}),
	}
}

var filterKeys = struct{ Up, Down, Keep, Drop key.Binding }{
	Up:   bind("↑/↓", "select", "up"),
	Down: bind("", "", "down"),
	Keep: bind("enter", "keep the filter", "enter"),
	Drop: bind("esc", "show everything", "esc", "ctrl+c"),
}

func filterHelp() keySection {
	k := filterKeys
	all := []key.Binding{k.Keep, k.Up, k.Drop}
	return keySection{title: "Typing a filter", short: all, all: all}
}

var machineKeys = struct {
	Type, Keyboard, Scroll, Zoom, On, Shutdown, Off, Reset, Cycle, Interrupt, Break, Boot, Light,
	Inventory, NextBoot, Provision, EndRun, Up, Down, Back, Help, Quit key.Binding
}{
	Type:      bind("c", "type into the console", "c", "enter", "tab"),
	Keyboard:  bind("T", "take the console's keyboard", "T"),
	Scroll:    bind("pgup/[", "scroll back, search in the log", "pgup", "[", "ctrl+b"),
	Zoom:      bind("z", "console over the whole window", "z"),
	On:        bind("o", "power on", "o"),
	Shutdown:  bind("s", "shut down: ask its system to", "s"),
	Off:       bind("f", "power off", "f"),
	Reset:     bind("x", "reset", "x"),
	Cycle:     bind("C", "power off and on again", "C"),
	Interrupt: bind("N", "diagnostic interrupt (NMI)", "N"),
	Break:     bind("B", "send BREAK to the console", "B"),
	Boot:      bind("b", "choose what it starts from", "b"),
	Light:     bind("l", "light by which it is found", "l"),
	Inventory: bind("i", "sensors, events and parts", "i"),
	NextBoot:  nextBootKey,
	Provision: bind("p", "provision", "p"),
	EndRun:    bind("e", "end the run: boot from disk", "e"),
	Up:        upKey,
	Down:      downKey,
	Back:      backKey,
	Help:      helpKey,
	Quit:      quitKey,
}

// named is a key with another word for what it does.
func named(b key.Binding, does string) key.Binding {
	b.SetHelp(b.Help().Key, does)
	return b
}

// machineHelp lists in the footer what can be done with a machine as it is.
func machineHelp(mayTake, mayOperate, running bool) keySection {
	k := machineKeys
	var short []key.Binding
	if mayTake {
		short = append(short, holdKeys.Take)
	}
	if mayOperate {
		short = append(short, named(k.Type, "type"), k.Provision)
		if running {
			short = append(short, named(k.EndRun, "end run"))
		}
		scroll := k.Scroll
		scroll.SetHelp("pgup", "log")
		short = append(short, named(actionsKey, "actions"), scroll, named(k.On, "on"), named(k.Off, "off"), named(holdKeys.Release, "release"), named(k.Zoom, "zoom"))
	}
	return keySection{
		title: "A machine",
		short: append(short, k.Back, k.Help),
		all: slices.Concat([]key.Binding{k.Type, k.Keyboard, k.Scroll, k.Zoom, actionsKey, k.On, k.Shutdown, k.Off, k.Reset, k.Cycle, k.Interrupt,
			k.Break, k.Boot, k.Light, k.Inventory, k.NextBoot, k.Provision, k.EndRun}, holdBindings(),
			[]key.Binding{k.Up, k.Down, k.Back, k.Help, k.Quit}),
	}
}

var consoleKeys = struct{ Type, Leave key.Binding }{
	Type:  bind("c", "type", "c"),
	Leave: bind("ctrl+]", "stop typing, and yield the keyboard", "ctrl+]"),
}

func consoleHelp() keySection {
	all := []key.Binding{consoleKeys.Leave}
	return keySection{title: "Typing into a console: every key but this one goes to the machine", short: all, all: all}
}

var logKeys = struct {
	Up, Down, PageUp, PageDown, First, Last, Search, Next, Previous, Time, Event, Type, Zoom, Leave, Help key.Binding
}{
	Up:       upKey,
	Down:     downKey,
	PageUp:   bind("pgup/ctrl+b", "page up", "pgup", "ctrl+b", "["),
	PageDown: bind("pgdn/ctrl+f", "page down", "pgdown", "ctrl+f", "space", "]"),
	First:    bind("home/g", "to the beginning", "home", "g"),
	Last:     bind("end/G", "to the end", "end", "G"),
	Search:   bind("/", "search", "/"),
	Next:     bind("n", "next match", "n"),
	Previous: bind("N", "previous match", "N"),
	Time:     bind("t", "jump to a time", "t"),
	Event:    bind("e", "jump to an event", "e"),
	Type:     bind("c", "type into the console", "c", "enter", "tab"),
	Zoom:     bind("z", "over the whole window", "z"),
	Leave:    bind("esc/q", "back to the live console", "esc", "q", "ctrl+c", "backspace"),
	Help:     helpKey,
}

func logHelp() keySection {
	k := logKeys
	leave := k.Leave
	leave.SetHelp("esc", "live")
	return keySection{
		title: "The log of a console",
		short: []key.Binding{k.Search, bind("n/N", "next, previous"), named(k.Time, "time"), named(k.Event, "event"),
			bind("g/G", "beginning, end"), leave, k.Help},
		all: []key.Binding{k.Up, k.Down, k.PageUp, k.PageDown, k.First, k.Last, k.Search, k.Next, k.Previous,
			k.Time, k.Event, k.Type, k.Zoom, k.Leave, k.Help},
	}
}

var logPromptKeys = struct{ Do, Expression, Up, Down, Cancel key.Binding }{
	Do:         bind("enter", "go", "enter"),
	Expression: bind("tab", "text, or regular expression", "tab"),
	Up:         bind("↑/↓", "choose an event", "up"),
	Down:       bind("", "", "down"),
	Cancel:     bind("esc", "cancel", "esc", "ctrl+c"),
}

// logPromptHelp lists the keys of one prompt; of noPrompt, those of all.
func logPromptHelp(p prompt) keySection {
	k := logPromptKeys
	all := []key.Binding{k.Do}
	if p == searchPrompt || p == noPrompt {
		all = append(all, k.Expression)
	}
	if p == eventPrompt || p == noPrompt {
		all = append(all, k.Up)
	}
	all = append(all, k.Cancel)
	return keySection{title: "Searching in a log, and jumping to a time or an event", short: all, all: all}
}

var inventoryKeys = struct{ Refresh, Back key.Binding }{
	Refresh: refreshKey,
	Back:    bind("esc", "back", "esc", "backspace", "i"),
}

func inventoryHelp() keySection {
	return textHelp("Sensors, events and parts of a machine", inventoryKeys.Refresh)
}

var menuKeys = struct{ Up, Down, Choose, Close key.Binding }{
	Up:     bind("↑/↓", "choose", "up", "k"),
	Down:   bind("", "", "down", "j"),
	Choose: bind("enter", "do it", "enter"),
	Close:  bind("esc", "close", "esc", "q", "ctrl+c"),
}

func menuHelp() keySection {
	k := menuKeys
	all := []key.Binding{k.Up, k.Choose, k.Close}
	return keySection{title: "A menu, beside the keys that it lists", short: all, all: all}
}

var bootKeys = struct{ Network, Disk, Setup, CD, None, Often, Firmware key.Binding }{
	Network:  bind("p", "the network (PXE)", "p"),
	Disk:     bind("d", "disk", "d"),
	Setup:    bind("s", "the firmware's setup", "s"),
	CD:       bind("c", "CD-ROM", "c"),
	None:     bind("n", "what its firmware is set up for", "n"),
	Often:    bind("e", "for:", "e"),
	Firmware: bind("f", "firmware:", "f"),
}

var lightKeys = struct{ Brief, On, Off key.Binding }{
	Brief: bind("l", "on for 15 s", "l"),
	On:    bind("o", "on until it is turned off", "o"),
	Off:   bind("f", "off", "f"),
}

var formKeys = struct{ Up, Down, Next, Previous, Cancel, Quit key.Binding }{
	Up:       bind("↑/↓", "choose", "up"),
	Down:     bind("", "", "down"),
	Next:     bind("enter", "next, and at last: do it", "enter", "tab"),
	Previous: bind("shift+tab", "previous", "shift+tab"),
	Cancel:   bind("esc", "cancel", "esc"),
	Quit:     abortKey,
}

func formHelp() keySection {
	k := formKeys
	return keySection{
		title: "A form: what is typed filters a list",
		short: []key.Binding{k.Next, k.Up, k.Previous, k.Cancel},
		all:   []key.Binding{k.Up, k.Next, k.Previous, k.Cancel, k.Quit},
	}
}

var questionKeys = struct{ Yes, No key.Binding }{
	Yes: bind("y", "yes", "y", "Y"),
	No:  bind("n", "no", "n", "N", "esc", "q", "ctrl+c"),
}

func questionHelp() keySection {
	all := []key.Binding{questionKeys.Yes, questionKeys.No}
	return keySection{title: "A question", short: all, all: all}
}

func nextBootHelp() keySection { return textHelp("What a machine would boot") }

// ownedKeys are those for what has an owner: images and preseeds.
var ownedKeys = struct{ KnownGood, Public, Delete key.Binding }{
	KnownGood: bind("K", "known good, or not", "K"),
	Public:    bind("P", "public, or private", "P"),
	Delete:    bind("d", "delete", "d"),
}

var uploadKey = bind("u", "how to upload one", "u")

func imagesHelp() keySection {
	k := ownedKeys
	s := listHelp("Images", k.KnownGood, k.Public, k.Delete, uploadKey)
	s.short = []key.Binding{listKeys.Open, named(uploadKey, "upload"), k.Delete, listKeys.Filter, named(actionsKey, "actions"), pageKeys.Back, pageKeys.Help}
	return s
}

func imageHelp() keySection {
	k := ownedKeys
	s := textHelp("An image", actionsKey, k.KnownGood, k.Public, k.Delete)
	s.short = []key.Binding{bind("↑/↓", "scroll"), named(actionsKey, "actions"), k.Delete, pageKeys.Back, pageKeys.Help}
	return s
}

func uploadHelp() keySection { return textHelp("How to upload an image") }

var previewKey = bind("v", "preview for a machine", "v")

func preseedsHelp() keySection {
	k := ownedKeys
	s := listHelp("Preseeds", previewKey, k.KnownGood, k.Public, k.Delete)
	s.short = []key.Binding{listKeys.Open, named(previewKey, "preview"), k.Delete, listKeys.Filter, named(actionsKey, "actions"), pageKeys.Back, pageKeys.Help}
	return s
}

func preseedHelp() keySection {
	k := ownedKeys
	s := textHelp("A preseed", actionsKey, previewKey, k.KnownGood, k.Public, k.Delete)
	s.short = []key.Binding{bind("↑/↓", "scroll"), named(previewKey, "preview"), named(actionsKey, "actions"), pageKeys.Back, pageKeys.Help}
	return s
}

func previewHelp() keySection { return textHelp("What a machine would be given by a preseed") }

var addMachineKey = bind("n", "new machine of it", "n")

func discoveredHelp() keySection {
	s := listHelp("Addresses that asked for a boot, and belong to no machine", addMachineKey, refreshKey)
	s.short = []key.Binding{named(addMachineKey, "new machine of it"), refreshKey, listKeys.Filter, pageKeys.Back, pageKeys.Help}
	return s
}

var queueKeys = struct{ Wait, Leave key.Binding }{
	Wait:  bind("n", "wait for a machine", "n"),
	Leave: bind("d", "wait no more", "d"),
}

func queueHelp() keySection {
	s := listHelp("Who waits for machines", queueKeys.Wait, queueKeys.Leave)
	s.short = []key.Binding{listKeys.Open, queueKeys.Wait, queueKeys.Leave, listKeys.Filter, pageKeys.Back, pageKeys.Help}
	return s
}

func placeHelp() keySection { return textHelp("A place in the queue") }

func historyHelp() keySection { return listHelp("Who has had a machine, and what for", refreshKey) }

func heldHelp() keySection { return textHelp("A time in which somebody had a machine") }

func poolsHelp() keySection { return listHelp("Pools of machines", refreshKey) }

func poolHelp() keySection { return textHelp("A pool of machines") }
