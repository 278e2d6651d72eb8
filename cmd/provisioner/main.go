// Command provisioner is a hardware lab's dashboard over ssh, its boot server
// and its API, in one process over one SQLite file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	kongtoml "github.com/alecthomas/kong-toml"
)

// cli is every command and flag. Each flag may stand in the environment
// (PROVISIONER_SSH_ADDR) and in the configuration file (ssh-addr), too.
type cli struct {
	Config kong.ConfigFlag `help:"Configuration file (TOML). /etc/provisioner.toml is read where there is one." env:"PROVISIONER_CONFIG"`

	Serve      serveCommand      `cmd:"" help:"Run the server."`
	Demo       demoCommand       `cmd:"" help:"Run the server with a lab of simulated machines."`
	User       userCommand       `cmd:"" help:"Accounts."`
	Key        keyCommand        `cmd:"" help:"The ssh keys of accounts."`
	Token      tokenCommand      `cmd:"" help:"Tokens for automation."`
	Machine    machineCommand    `cmd:"" help:"Machines."`
	BMC        bmcCommand        `cmd:"" name:"bmc" help:"Management controllers of machines and chassis."`
	Arch       archCommand       `cmd:"" help:"Architectures."`
	Subarch    subarchCommand    `cmd:"" help:"Flavours of architectures, such as uefi and bios."`
	Network    networkCommand    `cmd:"" help:"Networks, their pools, and what DHCP tells of them."`
	Pool       poolCommand       `cmd:"" help:"Machines that groups of users may use."`
	Group      groupCommand      `cmd:"" help:"Groups of users."`
	Site       siteCommand       `cmd:"" help:"What is decided for all machines."`
	Pattern    patternCommand    `cmd:"" help:"What is looked for in the output of consoles."`
	Image      imageCommand      `cmd:"" help:"Kernels, initrds and bootloaders."`
	Bootloader bootloaderCommand `cmd:"" help:"Bootloaders of Debian's packages."`
	Template   templateCommand   `cmd:"" help:"What bootloaders are told: templates of their configurations."`
	Preseed    preseedCommand    `cmd:"" help:"Templates of the answers that installers are given."`
	DHCPHook   dhcpHookCommand   `cmd:"" name:"dhcp-hook" help:"What a site's DHCP server runs."`
	Completion completionCommand `cmd:"" help:"What a shell needs to run a server's commands and to complete them."`
	Version    versionCommand    `cmd:"" help:"Which release this is."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	if forServer(os.Args[1:]) {
		os.Exit(runClient(ctx, os.Args[1:]))
	}
	var grammar cli
	parser := kong.Must(&grammar,
		kong.Name("provisioner"),
		kong.Description("Get a machine, install it, watch it, give it back. `provisioner --server URL COMMAND` runs a command on a server, with a token; "+
			"`provisioner --server URL help` lists them."),
		kong.DefaultEnvars("PROVISIONER"),
		kong.Configuration(configFile, "/etc/provisioner.toml"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	parsed, err := parser.Parse(os.Args[1:])
	if err != nil && !isCommand(parser.Model.Node, os.Args[1:]) {
		err = fmt.Errorf("%w; a command of a server needs --server URL before it", err)
	}
	parser.FatalIfErrorf(err)
	err = parsed.Run()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return // it was asked to end, in the middle of something
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "provisioner: %s\n", err)
		os.Exit(1)
	}
}

// isCommand reports whether arguments begin with a command of this grammar, or
// with a flag.
func isCommand(grammar *kong.Node, args []string) bool {
	return len(args) == 0 || strings.HasPrefix(args[0], "-") ||
		slices.ContainsFunc(grammar.Children, func(c *kong.Node) bool { return c.Name == args[0] })
}

// configFile reads a configuration file. A flag that the environment sets is
// not looked up in it: kong itself would prefer the file.
func configFile(r io.Reader) (kong.Resolver, error) {
	file, err := kongtoml.Loader(r)
	return belowEnvironment{file}, err
}

type belowEnvironment struct{ kong.Resolver }

func (b belowEnvironment) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return b.Resolver.Resolve(ctx, parent, flag)
}

type versionCommand struct{}

func (versionCommand) Run() error {
	_, err := fmt.Println("provisioner", version())
	return err
}

// version is what the build knows of its source.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return info.Main.Version + " " + s.Value
		}
	}
	return info.Main.Version
}
