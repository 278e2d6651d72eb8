package server

type patternsCommand struct {
	List   patternsListCommand   `cmd:"" default:"withargs" help:"What is looked for."`
	Add    patternsAddCommand    `cmd:"" help:"Look for a regular expression (admins)."`
	Remove patternsRemoveCommand `cmd:"" help:"Look for it no more (admins)."`
}

// jsonPattern is a pattern as scripts see it. Its keys stay as they are.
type jsonPattern struct {
	Name       string `json:"name"`
	Expression string `json:"expression"` // empty: built in
	Finds      string `json:"finds"`      // of one that is built in
	BuiltIn    bool   `json:"built_in"`
}

type patternsListCommand struct {
	JSON bool `help:"As a JSON array."`
}

func (c patternsListCommand) Run(in *invocation) error {
	patterns, err := in.lab.ConsolePatterns(in.ctx, in.actor)
	if err != nil {
		return err
	}
	rows := make([]jsonPattern, len(patterns))
	for i, p := range patterns {
		rows[i] = jsonPattern{Name: p.Name, Expression: p.Expression, Finds: p.Finds, BuiltIn: p.BuiltIn()}
	}
	if c.JSON {
		return in.print(true, rows, "")
	}
	table := in.table("NAME\tEXPRESSION")
	for _, p := range rows {
		expression := p.Expression
		if p.BuiltIn {
			expression = "(built in) " + p.Finds
		}
		table.row(p.Name, expression)
	}
	return table.Flush()
}

type patternsAddCommand struct {
	Name       string `arg:"" help:"What the event is called, such as \"disk failure\"."`
	Expression string `arg:"" help:"RE2, up to 1 KiB, matched against single lines without control sequences. Quote it for both shells."`
	JSON       bool   `help:"As JSON."`
}

func (c patternsAddCommand) Run(in *invocation) error {
	if err := in.lab.AddConsolePattern(in.ctx, in.actor, c.Name, c.Expression); err != nil {
		return err
	}
	return in.print(c.JSON, jsonPattern{Name: c.Name, Expression: c.Expression}, c.Name+" is looked for on every console")
}

type patternsRemoveCommand struct {
	Name string `arg:""`
	JSON bool   `help:"As JSON."`
}

func (c patternsRemoveCommand) Run(in *invocation) error {
	if err := in.lab.RemoveConsolePattern(in.ctx, in.actor, c.Name); err != nil {
		return err
	}
	return in.print(c.JSON, map[string]string{"name": c.Name}, c.Name+" is looked for no more")
}
