package server

import (
	"encoding/json"
	"fmt"

	"github.com/alecthomas/kong"
)

// commands is what `ssh HOST <command>` understands.
type commands struct {
	Console    consoleCommand    `cmd:"" help:"The serial console of a machine on this terminal (ssh -t). ~. at the start of a line leaves it, ~h lists more: BREAK, power, who is here."`
	Who        whoCommand        `cmd:"" help:"Who is at the console of a machine, and who types."`
	Log        logCommand        `cmd:"" help:"What a machine has printed on its console while it was yours: to search, to cut, to keep."`
	Replay     replayCommand     `cmd:"" help:"What a machine has printed, on this terminal, in the time that it took."`
	List       listCommand       `cmd:"" help:"Machines: all, those that are yours, or those that match a query."`
	Show       showCommand       `cmd:"" help:"All about a machine: who holds it, its interfaces, what it boots, its last run."`
	Reserve    reserveCommand    `cmd:"" help:"Take a machine that nobody holds: one by name, or the first that matches a query. --wait waits for it."`
	Extend     extendCommand     `cmd:"" help:"Have a machine for longer."`
	Release    releaseCommand    `cmd:"" help:"Give a machine back."`
	Lend       lendCommand       `cmd:"" help:"Let somebody else have your machine for a time; it comes back to you."`
	Queue      queueCommand      `cmd:"" help:"Who waits for machines."`
	History    historyCommand    `cmd:"" help:"Who held what, and why."`
	Provision  provisionCommand  `cmd:"" help:"Install a machine: boot it from the network with a kernel, until it phones home. --wait waits for that."`
	Run        runCommand        `cmd:"" help:"Installations: those that were and those that go on."`
	Power      powerCommand      `cmd:"" help:"Turn a machine on or off, reset it, or ask its BMC for its power state."`
	Boot       bootCommand       `cmd:"" help:"Say what a machine starts from next. power on, reset or cycle then starts it."`
	BootConfig bootConfigCommand `cmd:"" help:"What a machine would boot if it asked now: the configuration that its bootloader would get."`
	Identify   identifyCommand   `cmd:"" help:"Turn on the light of a machine for 15 s, to find it in its rack."`
	Sensors    sensorsCommand    `cmd:"" help:"What the sensors of a machine say: temperatures, fans, power supplies."`
	SEL        selCommand        `cmd:"" name:"sel" help:"The system event log of a machine, newest entry last."`
	FRU        fruCommand        `cmd:"" name:"fru" help:"What a machine is: manufacturer, model, serial numbers, and its BMC."`
	BMC        bmcCommand        `cmd:"" name:"bmc" help:"Who the BMC of a machine is, and how it is set up for consoles."`
	Patterns   patternsCommand   `cmd:"" help:"What is looked for in the output of all consoles, such as kernel panics and login prompts."`
	Image      imageCommand      `cmd:"" help:"Kernels, initrds and bootloaders. scp FILE HOST:images/kernel/amd64/ uploads one."`
	Preseed    preseedCommand    `cmd:"" help:"Templates of the answers that installers are given."`
	Disks      disksCommand      `cmd:"" help:"The disks of a machine, for preseeds to name. The first is where its system goes."`
	Events     eventsCommand     `cmd:"" help:"What has happened, and with --follow what happens."`
	Token      tokenCommand      `cmd:"" help:"Tokens, with which programs come in as you."`
	Key        keyCommand        `cmd:"" help:"Your ssh keys."`
	Whoami     whoamiCommand     `cmd:"" help:"Who you are to this server."`
	Help       helpCommand       `cmd:"" help:"This list."`
	Complete   completeCommand   `cmd:"" hidden:"" help:"What the last word of a command line may become: for completion scripts."`
}

type helpCommand struct{}

func (helpCommand) Run(ctx *kong.Context) error {
	ctx.Path = ctx.Path[:1] // of the whole, not of this command
	return ctx.PrintUsage(false)
}

type whoamiCommand struct {
	JSON bool `help:"As JSON."`
}

func (c whoamiCommand) Run(in *invocation) error {
	user := in.actor.User
	return in.print(c.JSON, map[string]any{"name": user.Name, "role": string(user.Role), "via": in.actor.Via, "admin": in.actor.IsAdmin()},
		fmt.Sprintf("%s (%s), by %s", user.Name, user.Role, in.actor.Via))
}

// print writes v for scripts if they asked for it, else the sentence for people.
func (in *invocation) print(asJSON bool, v any, sentence string) error {
	if !asJSON {
		_, err := fmt.Fprintln(in.out, sentence)
		return err
	}
	encoder := json.NewEncoder(in.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// lines writes each text on a line of its own.
func (in *invocation) lines(texts []string) error {
	for _, text := range texts {
		if _, err := fmt.Fprintln(in.out, text); err != nil {
			return err
		}
	}
	return nil
}
