package server

import (
	"fmt"
	"time"

	"provisioner/lab/console"
)

type whoCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	JSON bool   `help:"As a JSON array."`
}

// jsonGuest is somebody at a console as scripts see them. Its keys stay as
// they are.
type jsonGuest struct {
	Name  string    `json:"name"`
	Mode  string    `json:"mode"` // watching, asking, writing
	Since time.Time `json:"since"`
	Quiet *float64  `json:"quiet_seconds,omitempty"` // of who writes: since their last key
}

var jsonModes = map[console.Mode]string{console.Watching: "watching", console.Asking: "asking", console.Writing: "writing"}

func (c whoCommand) Run(in *invocation) error {
	guests, err := in.lab.ConsoleGuests(in.ctx, in.actor, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		rows := make([]jsonGuest, len(guests))
		for i, g := range guests {
			rows[i] = jsonGuest{Name: g.Name, Mode: jsonModes[g.Mode], Since: g.Since.UTC().Truncate(time.Second)}
			if g.Mode == console.Writing {
				seconds := g.Quiet.Round(time.Second).Seconds()
				rows[i].Quiet = &seconds
			}
		}
		return in.print(true, rows, "")
	}
	if len(guests) == 0 {
		return in.print(false, nil, "nobody is at the console of "+c.Name)
	}
	table := in.table("NAME\tDOES\tSINCE\tLAST KEY")
	for _, g := range guests {
		key := ""
		if g.Mode == console.Writing {
			key = g.Quiet.Round(time.Second).String() + " ago"
		}
		table.row(g.Name, g.Mode.String(), g.Since.UTC().Format("2006-01-02 15:04:05Z"), key)
	}
	return table.Flush()
}

// guestText is a guest for the others at the console.
func guestText(g console.Guest) string {
	text := fmt.Sprintf("%s %s, here since %s", g.Name, g.Mode, g.Since.UTC().Format("15:04:05 UTC"))
	if g.Mode == console.Writing && g.Quiet >= time.Minute {
		text += ", typed nothing for " + g.Quiet.Round(time.Minute).String()
	}
	return text
}
