package server

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"provisioner/lab"
	"provisioner/store"
)

// completeCommand is what a shell asks when somebody presses the tab key. It
// knows the grammar and the names, so that a script for a shell knows neither.
//
// The grammar says what an argument names by the tag `complete`.
type completeCommand struct {
	Names string   `enum:"machines,images,kernels,initrds,preseeds,users," default:"" help:"Print all names of that kind that you may use: machines, images, kernels, initrds, preseeds or users."`
	At    int      `default:"-1" placeholder:"N" help:"Which of the words is being typed, from 0; as many as there are: one that is empty yet, which ssh does not pass on. Left out: the last one."`
	Words []string `arg:"" optional:"" passthrough:"" help:"The words of a command line, after --."`
}

// Run prints what the word may become that is being typed, one a line.
func (c completeCommand) Run(in *invocation, ctx *kong.Context) error {
	if c.Names != "" {
		names, err := in.names(c.Names)
		if err != nil {
			return err
		}
		return in.lines(names)
	}
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	at, last := c.At, ""
	if at < 0 || at > len(words) {
		at = max(0, len(words)-1)
	}
	if at < len(words) {
		last = words[at]
	}
	candidates, err := candidates(in, ctx.Model.Node, words[:at], last)
	if err != nil {
		return err
	}
	candidates = slices.DeleteFunc(candidates, func(s string) bool { return !strings.HasPrefix(s, last) })
	return in.lines(candidates)
}

// candidates are the words that may follow others in a line.
func candidates(in *invocation, node *kong.Node, words []string, last string) ([]string, error) {
	arguments, flagsEnd := 0, false
	var awaits *kong.Flag // the value that comes next is of it
	for _, word := range words {
		switch {
		case awaits != nil:
			awaits = nil
		case word == "--":
			flagsEnd = true
		case !flagsEnd && strings.HasPrefix(word, "-") && word != "-":
			flag := flagNamed(node, word)
			if flag == nil && node.DefaultCmd != nil {
				node = node.DefaultCmd
				flag = flagNamed(node, word)
			}
			if flag != nil && !flag.IsBool() && !strings.Contains(word, "=") {
				awaits = flag
			}
		case arguments == 0 && childNamed(node, word) != nil:
			node = childNamed(node, word)
		default:
			if arguments == 0 && node.DefaultCmd != nil && len(node.Positional) == 0 {
				node = node.DefaultCmd
			}
			arguments++
		}
	}
	switch {
	case awaits != nil:
		return in.values(awaits.Value)
	case !flagsEnd && strings.HasPrefix(last, "-"):
		return flagNames(node), nil
	}
	var all []string
	if arguments == 0 {
		for _, child := range node.Children {
			if !child.Hidden {
				all = append(all, child.Name)
			}
		}
	}
	if n := len(node.Positional); n > 0 {
		at := node.Positional[min(arguments, n-1)]
		if arguments < n || at.IsCumulative() {
			values, err := in.values(at)
			return append(all, values...), err
		}
	}
	return all, nil
}

// flagNamed finds a flag of a command, or of those that it is below; nil: there
// is none.
func flagNamed(node *kong.Node, word string) *kong.Flag {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	for _, group := range node.AllFlags(false) {
		for _, flag := range group {
			if flag.Name == name || flag.Short != 0 && string(flag.Short) == name {
				return flag
			}
		}
	}
	return nil
}

func flagNames(node *kong.Node) (names []string) {
	if node.DefaultCmd != nil {
		node = node.DefaultCmd
	}
	for _, group := range node.AllFlags(true) {
		for _, flag := range group {
			names = append(names, "--"+flag.Name)
			if flag.Tag.Negatable != "" {
				names = append(names, "--no-"+flag.Name)
			}
		}
	}
	return names
}

func childNamed(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// values are what a value may be, as far as is known.
func (in *invocation) values(v *kong.Value) ([]string, error) {
	if kind := v.Tag.Get("complete"); kind != "" {
		return in.names(kind)
	}
	var values []string
	for _, value := range v.EnumSlice() {
		if value != "" {
			values = append(values, value)
		}
	}
	return values, nil
}

// names are the names of what there is of a kind, as far as the actor may use it.
func (in *invocation) names(kind string) (names []string, err error) {
	switch kind {
	case "machines":
		list, err := in.lab.FindMachines(in.ctx, in.actor, lab.MachineFilter{}, lab.Page{})
		for _, m := range list.Machines {
			names = append(names, m.Name)
		}
		return names, err
	case "kinds":
		return eventKinds(), nil
	case "preseeds":
		preseeds, err := in.lab.Preseeds(in.ctx, in.actor)
		for _, p := range preseeds {
			names = append(names, p.Name)
		}
		return names, err
	case "users":
		users, err := in.lab.Users(in.ctx, in.actor)
		for _, u := range users {
			names = append(names, u.Name)
		}
		return names, err
	}
	images, err := in.lab.Images(in.ctx, in.actor)
	for _, i := range images {
		if kind == "images" || kind == map[store.ImageType]string{store.ImageKernel: "kernels", store.ImageInitrd: "initrds"}[i.Type] {
			names = append(names, i.Name)
		}
	}
	return names, err
}
