package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"provisioner/lab"
	"provisioner/store"
)

// newPreviewForm asks for which machine a preseed is to be rendered.
func newPreviewForm(a *app, preseed string) *formPage {
	machine := newChoice("Machine", "")
	machine.lacks = "there is no machine that you may see it for"
	machine.lacking = []string{"There is no machine that is yours, or nobody's."}
	return &formPage{
		app: a, title: "Preview " + preseed, subject: preseed, fields: []*field{machine},
		button: func() string { return "what " + machine.value() + " would be given by it" },
		busy:   "Rendering ...",
		load: func(ctx context.Context) (func(), error) {
			machines, err := a.lab.Machines(ctx, a.actor)
			var choices []choice
			for _, m := range machines {
				if a.mayOperate(m) || len(m.Holders) == 0 {
					choices = append(choices, choice{m.Name, m.Name, a.holders(m)})
				}
			}
			return func() { machine.picker.set(choices) }, err
		},
		changes: func(e store.Event) bool { return listChanges[e.Kind] },
		send:    func(context.Context) error { return nil },
		sent:    func() tea.Cmd { return a.push(newPreviewPage(a, preseed, machine.value())) },
	}
}

// newPreviewPage shows what a machine would be given by a preseed.
func newPreviewPage(a *app, preseed, machine string) *textPage {
	return &textPage{
		app: a, title: preseed + " for " + machine, subject: machine, section: previewHelp(),
		read: func(ctx context.Context) (content, error) {
			preview, err := a.lab.PreviewPreseed(ctx, a.actor, preseed, machine)
			return content{text: func(width int) []string { return a.previewText(preview, width) }}, err
		},
		concerns: func(e store.Event) bool {
			return preseedChanges[e.Kind] || e.Kind == lab.EventNetworkChanged || e.Machine == machine && !progress[e.Kind]
		},
	}
}

// progress are the events of a machine that change nothing about what it is
// given: a preview is not rendered again for them.
var progress = map[string]bool{
	lab.EventPowerSeen: true, lab.EventStage: true, lab.EventDHCP: true, lab.EventConsole: true, lab.EventConsolePattern: true,
	lab.EventBootConfig: true, lab.EventPreseedFetched: true,
}

func (a *app) previewText(p lab.PreseedPreview, width int) []string {
	t := a.theme
	f := facts{theme: t, width: width}
	f.text("Options", p.Options, 6, t.plain)
	if len(p.Undefined) > 0 {
		f.text("Undefined", "! "+lab.UndefinedNames(p.Undefined)+": rendered empty", 6, t.warn)
	}
	f.text("", "Where it says TOKEN-OF-THE-RUN, a run has its own token.", 2, t.dim)
	return append(append(f.lines, ""), verbatim(t, p.Text, width)...)
}
