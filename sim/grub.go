package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

const (
	grubBanner     = "GNU GRUB  version 2.06"
	grubBlockSize  = 1024 // what GRUB's tftp module asks for
	grubConfigMax  = 64 << 10
	grubWordsMax   = 16 << 10 // bytes a command may expand to
	grubVariables  = 256
	grubFolder     = "/grub/"
	grubSourcesMax = 16
	grubTurns      = 1000 // of all loops
	grubSyntax     = "error: syntax error.\r\nerror: Incorrect command.\r\nerror: syntax error."
	grubNoFile     = "error: filename expected."
	grubNoKernel   = "error: you need to load the kernel first."
	grubNoMemory   = "error: out of memory."
	grubEOL        = "\r\n"
)

// grubEnd is how GRUB was left.
type grubEnd int

const (
	grubGoesOn grubEnd = iota // not yet
	grubBoots
	grubExits // back to the firmware
	grubReboots
	grubHalts
)

// grub is a GRUB that runs a configuration.
type grub struct {
	vars    map[string]string
	print   func(text string)
	read    func(path string) (text string, err error)
	load    func(path string) (size int64, err error) // by TFTP; what it loads is not kept
	turns   int                                       // of loops
	menu    []grubEntry                               // met so far
	sources int                                       // configurations read by others
	cmdline string                                    // of the kernel loaded; empty: none
	initrd  int64                                     // bytes
}

type grubEntry struct {
	title string
	block []grubCommand
}

// grub starts the bootloader that came from server: it looks for its
// configuration there, and does what that says.
func (r *run) grub(from offer) outcome {
	r.say("", grubBanner, "")
	g := &grub{
		vars: grubVars(r.cfg, from),
		print: func(text string) {
			r.pause()
			r.print(text)
		},
	}
	g.load = func(path string) (int64, error) { return r.grubRead(g, path, io.Discard) }
	g.read = func(path string) (string, error) {
		var text bytes.Buffer
		_, err := r.grubRead(g, path, &limitedWriter{w: &text, left: grubConfigMax})
		return text.String(), err
	}
	script, found := r.grubConfig(g)
	if r.ctx.Err() != nil {
		return machineStops
	}
	if !found {
		return r.grubPrompt()
	}
	end := g.start(script)
	switch {
	case r.ctx.Err() != nil:
		return machineStops
	case end == grubBoots:
		return r.linux(g.cmdline, g.initrd)
	case end == grubExits:
		return bootNext
	case end == grubReboots:
		return machineReboots
	case end == grubHalts:
		r.powerDown()
		return machineStops
	}
	return r.grubPrompt()
}

func (r *run) grubPrompt() outcome {
	r.say("", "   Minimal BASH-like line editing is supported.", "")
	r.waitForKeys(modeGRUB)
	return machineStops
}

// grubVars are the variables GRUB sets before it reads its configuration.
func grubVars(cfg Config, from offer) map[string]string {
	device := "tftp," + from.server.String()
	return map[string]string{
		"root":                  device,
		"prefix":                "(" + device + ")/grub",
		"cmdpath":               "(" + device + ")",
		"grub_platform":         "efi",
		"grub_cpu":              platforms[cfg.Arch].grub,
		"net_default_interface": "efinet0",
		"net_default_ip":        from.addr.String(),
		"net_default_mac":       cfg.MAC.String(),
		"net_default_server":    from.server.String(),
		"net_efinet0_ip":        from.addr.String(),
		"net_efinet0_mac":       cfg.MAC.String(),
		"pxe_default_server":    from.server.String(),
	}
}

// grubConfig reads the configuration for the machine's MAC, else the one for
// all, as GRUB's network image does.
func (r *run) grubConfig(g *grub) (script string, found bool) {
	mac := "01-" + strings.ReplaceAll(r.cfg.MAC.String(), ":", "-")
	for _, name := range []string{grubFolder + "grub.cfg-" + mac, grubFolder + "grub.cfg"} {
		script, err := g.read(name)
		if err == nil {
			return script, true
		}
		var refusal *tftpRefusal
		if !errors.As(err, &refusal) || refusal.code != tftpNotFound {
			r.say(grubMessage(name, err))
		}
	}
	return "", false
}

// limitedWriter refuses more than left bytes.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("out of memory")
	}
	return l.w.Write(p)
}

// grubRead reads a file by TFTP from the device that its path names, or from
// $root.
func (r *run) grubRead(g *grub, path string, w io.Writer) (int64, error) {
	device := g.vars["root"]
	name := path
	if strings.HasPrefix(path, "(") {
		var ok bool
		if device, name, ok = strings.Cut(path[1:], ")"); !ok {
			return 0, fmt.Errorf("invalid file name `%s'", path)
		}
	}
	if !strings.HasPrefix(name, "/") {
		return 0, fmt.Errorf("invalid file name `%s'", path)
	}
	protocol, host, named := strings.Cut(device, ",")
	if protocol != "tftp" {
		return 0, fmt.Errorf("disk `%s' not found", device)
	}
	if !named {
		host = g.vars["net_default_server"]
	}
	server, err := netip.ParseAddr(host)
	if err != nil || !server.Is4() {
		return 0, fmt.Errorf("couldn't find a way to the server `%s'", host)
	}
	return r.tftp(server, grubBlockSize).get(r.ctx, name, w, nil)
}

// grubMessage is a failure to read a file in GRUB's words.
func grubMessage(path string, err error) string {
	_, name, named := strings.Cut(path, ")")
	if !named {
		name = path
	}
	var refusal *tftpRefusal
	switch {
	case errors.As(err, &refusal) && refusal.code == tftpNotFound:
		return "error: file `" + name + "' not found."
	case errors.As(err, &refusal):
		return "error: " + refusal.message + "."
	case errors.Is(err, errTFTPOpen), errors.Is(err, errTFTPRead):
		return "error: timeout reading `" + name + "'."
	}
	return "error: " + err.Error() + "."
}

// start runs a configuration: its commands, then the menu entry it chose by
// `set default=N`, at once.
func (g *grub) start(script string) grubEnd {
	cmds, err := parseGRUB(script)
	if err != nil {
		g.say(grubSyntax)
		return grubGoesOn
	}
	end, _ := g.run(cmds)
	if end != grubGoesOn || len(g.menu) == 0 {
		return end
	}
	chosen, err := strconv.Atoi(g.vars["default"])
	if err != nil || chosen < 0 || chosen >= len(g.menu) {
		chosen = 0
	}
	entry := g.menu[chosen]
	g.say("  Booting `"+entry.title+"'", "")
	if end, _ = g.run(entry.block); end == grubGoesOn && g.cmdline != "" {
		end = grubBoots
	}
	return end
}

func (g *grub) say(lines ...string) {
	for _, line := range lines {
		g.print(line + grubEOL)
	}
}

// run runs commands until one leaves GRUB. A command that fails does not stop
// those behind it; ok is the last one's success.
func (g *grub) run(cmds []grubCommand) (end grubEnd, ok bool) {
	ok = true
	for _, cmd := range cmds {
		switch {
		case cmd.cases != nil:
			end, ok = g.choose(cmd.cases)
		case cmd.loop:
			end, ok = g.loop(cmd)
		default:
			end, ok = g.command(cmd)
		}
		if end != grubGoesOn {
			return end, ok
		}
		g.vars["?"] = "0"
		if !ok {
			g.vars["?"] = "1"
		}
	}
	return grubGoesOn, ok
}

func (g *grub) choose(cases []grubCase) (grubEnd, bool) {
	for _, c := range cases {
		end, ok := g.run(c.condition)
		if end != grubGoesOn {
			return end, ok
		}
		if ok {
			return g.run(c.body)
		}
	}
	return grubGoesOn, true
}

// loop runs a for. Its words are bounded by the script's length, and no loop
// that lies in others runs more than grubTurns times in all.
func (g *grub) loop(cmd grubCommand) (grubEnd, bool) {
	words, ok := g.expand(cmd.words)
	if !ok || len(words) == 0 {
		return g.fail(grubNoMemory)
	}
	for _, word := range words[1:] {
		if g.turns++; g.turns > grubTurns {
			return g.fail(grubNoMemory)
		}
		if end, ok := g.set(words[0], word); end != grubGoesOn || !ok {
			return end, ok
		}
		if end, ok := g.run(cmd.block); end != grubGoesOn {
			return end, ok
		}
	}
	return grubGoesOn, true
}

func (g *grub) command(cmd grubCommand) (grubEnd, bool) {
	args, ok := g.expand(cmd.words)
	if !ok {
		return g.fail(grubNoMemory)
	}
	negated := false
	for len(args) > 0 && args[0] == "!" {
		negated = !negated
		args = args[1:]
	}
	if len(args) == 0 {
		return grubGoesOn, !negated
	}
	end, ok := g.call(args, cmd.block)
	return end, ok != negated
}

// call runs a command, which is its name and arguments, with the block behind it.
func (g *grub) call(args []string, block []grubCommand) (grubEnd, bool) {
	if name, value, ok := strings.Cut(args[0], "="); ok && len(args) == 1 {
		return g.set(name, value)
	}
	switch name, args := args[0], args[1:]; name {
	case "set":
		if len(args) > 0 {
			name, value, _ := strings.Cut(args[0], "=")
			return g.set(name, value)
		}
	case "unset":
		for _, name := range args {
			delete(g.vars, name)
		}
	case "echo":
		g.echo(args)
	case "test", "[":
		return grubGoesOn, g.test(name, args)
	case "false":
		return grubGoesOn, false
	case "menuentry":
		if len(args) == 0 || block == nil {
			return g.fail("error: no menuentry definition.")
		}
		g.menu = append(g.menu, grubEntry{args[0], block})
	case "source", ".", "configfile":
		return g.source(args)
	case "linux", "linuxefi":
		return g.linux(args)
	case "initrd", "initrdefi":
		return g.loadInitrd(args)
	case "boot":
		if g.cmdline == "" {
			return g.fail(grubNoKernel)
		}
		return grubBoots, true
	case "exit", "fwsetup":
		return grubExits, true
	case "reboot":
		return grubReboots, true
	case "halt":
		return grubHalts, true
	case "true", "insmod", "export", "load_video", "terminal_input", "terminal_output", "serial", "loadfont", "clear", "sleep":
	default:
		return g.fail("error: can't find command `" + name + "'.")
	}
	return grubGoesOn, true
}

func (g *grub) fail(message string) (grubEnd, bool) {
	g.say(message)
	return grubGoesOn, false
}

func (g *grub) set(name, value string) (grubEnd, bool) {
	if _, known := g.vars[name]; !known && len(g.vars) >= grubVariables {
		return g.fail(grubNoMemory)
	}
	g.vars[name] = value
	return grubGoesOn, true
}

func (g *grub) echo(args []string) {
	end := grubEOL
	for len(args) > 0 && (args[0] == "-n" || args[0] == "-e") {
		if args[0] == "-n" {
			end = ""
		}
		args = args[1:]
	}
	g.print(strings.ReplaceAll(strings.Join(args, " "), "\n", grubEOL) + end)
}

// test is the part of test(1) that configurations use.
func (g *grub) test(name string, args []string) bool {
	if name == "[" && len(args) > 0 && args[len(args)-1] == "]" {
		args = args[:len(args)-1]
	}
	wanted := true
	for len(args) > 0 && args[0] == "!" {
		wanted = !wanted
		args = args[1:]
	}
	return g.holds(args) == wanted
}

// holds is a test without its negations.
func (g *grub) holds(args []string) bool {
	switch len(args) {
	case 1:
		return args[0] != ""
	case 2:
		switch args[0] {
		case "-z":
			return args[1] == ""
		case "-n":
			return args[1] != ""
		case "-f", "-e", "-s":
			n, err := g.load(args[1])
			return err == nil && (n > 0 || args[0] != "-s")
		}
	case 3:
		switch args[1] {
		case "=", "==":
			return args[0] == args[2]
		case "!=":
			return args[0] != args[2]
		}
	}
	return false
}

// source runs another configuration in place.
func (g *grub) source(args []string) (grubEnd, bool) {
	if len(args) == 0 {
		return g.fail(grubNoFile)
	}
	if g.sources++; g.sources > grubSourcesMax {
		return g.fail("error: maximum recursion depth exceeded.")
	}
	script, err := g.read(args[0])
	if err != nil {
		return g.fail(grubMessage(args[0], err))
	}
	cmds, err := parseGRUB(script)
	if err != nil {
		return g.fail(grubSyntax)
	}
	return g.run(cmds)
}

func (g *grub) linux(args []string) (grubEnd, bool) {
	if len(args) == 0 {
		return g.fail(grubNoFile)
	}
	n, err := g.load(args[0])
	switch {
	case err != nil:
		return g.fail(grubMessage(args[0], err))
	case n == 0:
		return g.fail("error: premature end of file " + args[0] + ".")
	}
	g.initrd = 0
	g.cmdline = "BOOT_IMAGE=" + kernelCommandLine(args)
	return grubGoesOn, true
}

func (g *grub) loadInitrd(args []string) (grubEnd, bool) {
	if g.cmdline == "" {
		return g.fail(grubNoKernel)
	}
	if len(args) == 0 {
		return g.fail(grubNoFile)
	}
	for _, path := range args {
		n, err := g.load(path)
		if err != nil {
			return g.fail(grubMessage(path, err))
		}
		g.initrd += n
	}
	return grubGoesOn, true
}

// kernelCommandLine joins arguments as GRUB does for the kernel
// (grub_create_loader_cmdline): quotes and backslashes are escaped, an argument
// with a space is quoted.
func kernelCommandLine(args []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`)
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = escape.Replace(arg)
		if strings.Contains(arg, " ") {
			quoted[i] = `"` + quoted[i] + `"`
		}
	}
	return strings.Join(quoted, " ")
}

// expand turns words into arguments: a variable outside quotes is split at
// blanks, and an unquoted word that becomes empty disappears. It refuses what
// would grow beyond grubWordsMax.
func (g *grub) expand(words []grubWord) (args []string, ok bool) {
	total := 0
	for _, word := range words {
		var arg strings.Builder
		exists := false
		for _, part := range word {
			text := part.text
			if part.variable {
				text = g.vars[part.text]
			}
			if total += len(text) + 1; total > grubWordsMax {
				return nil, false
			}
			if !part.variable || part.quoted {
				arg.WriteString(text)
				exists = exists || part.quoted || text != ""
				continue
			}
			for i, field := range strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == '\t' || c == '\n' }) {
				if i > 0 {
					args = append(args, arg.String())
					arg.Reset()
				}
				arg.WriteString(field)
				exists = true
			}
		}
		if exists {
			args = append(args, arg.String())
		}
	}
	return args, true
}
