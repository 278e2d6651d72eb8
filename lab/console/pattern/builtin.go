package pattern

import (
	"regexp"
	"time"
)

// The patterns that are built in.
const (
	KernelPanic    = "kernel panic"
	KernelOops     = "kernel oops"
	HungTask       = "hung task"
	InstallFailure = "install failure"
	BootFailure    = "boot failure"
	LoginPrompt    = "login prompt"
)

// Description says what a pattern that is built in is looking for.
type Description struct{ Name, Finds string }

// BuiltIn describes the patterns that are built in.
func BuiltIn() []Description {
	return []Description{
		{KernelPanic, "the end of Linux, a BSD, illumos, Xen, ESXi or Windows"},
		{KernelOops, "a bug that Linux has survived, or is about to die of"},
		{HungTask, "Linux tasks or processors that make no progress"},
		{InstallFailure, "an installer that gave up or asks for help: Debian, Ubuntu, Anaconda, YaST, Ignition"},
		{BootFailure, "firmware, GRUB or an initramfs that found nothing to boot, and network boots that broke off"},
		{LoginPrompt, "a system that is up and asks for a user"},
	}
}

const (
	// kernelLine is what Linux puts before its messages: a level where the console
	// is raw, the time, and the thread or processor (CONFIG_PRINTK_CALLER).
	kernelLine = `^(?:<\d+>)?(?:\[ *\d+\.\d+\] ?(?:\[ *[TC]\d+\] ?)?)?`

	// dialog is the beginning of a line in a text dialog: its frame, in whichever
	// character set, or what debconf's frontend for dumb terminals has instead.
	dialog = "^(?:!! ERROR:|[\\s\u2500-\u257f|x])*"

	quietKernel  = 10 * time.Minute
	quietInstall = time.Minute
	quietBoot    = time.Minute
	quietLogin   = time.Minute
)

// goPanic is what programs written in Go print where a BSD's kernel prints its last words.
var goPanic = regexp.MustCompile(`^panic: (?:runtime error|assignment to entry in nil map|interface conversion|close of|send on closed|sync: |reflect|test timed out|\(|.*\[recovered\])`)

// lastLogin is what comes after a login, not before.
var lastLogin = regexp.MustCompile(`(?i)^last login:`)

// builtInRules returns the rules of the patterns that are built in. Their tests
// are the consoles of real systems, in testdata.
func builtInRules() []rule {
	kernel := func(name, expression string) rule {
		return rule{name: name, re: regexp.MustCompile(expression), quiet: quietKernel}
	}
	install := func(expression string) rule {
		return rule{name: InstallFailure, re: regexp.MustCompile(expression), quiet: quietInstall}
	}
	boot := func(expression string) rule {
		return rule{name: BootFailure, re: regexp.MustCompile(expression), quiet: quietBoot}
	}
	prompt := func(r rule) rule {
		r.unfinished = true
		return r
	}
	bsdPanic := kernel(KernelPanic, `^panic: \S`)
	bsdPanic.except = goPanic
	return []rule{
		// Linux: kernel/panic.c.
		kernel(KernelPanic, kernelLine+`(?:---\[ end )?Kernel panic(?: - not syncing)?: `),
		bsdPanic,
		kernel(KernelPanic, `^Fatal trap \d+: .* while in \w+ mode`),      // FreeBSD
		kernel(KernelPanic, `^panic\[cpu\d+\]/thread=`),                   // illumos, Solaris
		kernel(KernelPanic, `^\(XEN\) (?:\[[^\]]*\] )?Panic on CPU \d+:`), // Xen
		kernel(KernelPanic, `^#[A-Z]{2} Exception \d+ in world \d+`),      // ESXi's purple screen
		kernel(KernelPanic, `@BlueScreen: `),                              // ESXi's log on a serial port
		kernel(KernelPanic, `^\*\*\* STOP: 0x[0-9A-Fa-f]{8}`),             // Windows
		kernel(KernelOops, kernelLine+`(?:BUG: (?:kernel NULL pointer|unable to handle|scheduling while atomic|Bad |KASAN: |KFENCE: |sleeping function)|Oops(?: - [\w ]+)?: |Internal error: |Unable to handle kernel |kernel BUG at |general protection fault[:,]|double fault: |divide error: |stack segment: )`),
		kernel(HungTask, kernelLine+`(?:INFO: task .* blocked for more than \d+ seconds|(?:NMI )?watchdog: BUG: soft lockup|rcu: INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stalls?)`),

		// debian-installer: the texts of main-menu, preseed, netcfg, choose-mirror, bootstrap-base and grub-installer.
		install(dialog + ` *(?:Installation step failed|An installation step failed\.|Failed to (?:retrieve|process) the preconfiguration file|Network autoconfiguration failed|Bad archive mirror|Debootstrap Error|Unable to install GRUB in |No root file system is defined)`),
		// Ubuntu: subiquity and curtin.
		prompt(install(`^An error occurred\. Press enter to start a shell`)),
		install(`curtin: Installation failed with exception: `),
		install(`finish: (?:subiquity/Install|cmd-install).*: FAIL: `),
		// Anaconda, and the dracut modules that fetch its kickstart.
		install(`^The following (?:problem occurred on line \d+ of the kickstart file|error occurred while installing)`),
		install(`^anaconda \S+ exception report`),
		install(`Warning: anaconda: failed to fetch kickstart from `),
		prompt(install(`^Pane is dead(?: \(.*\))?\s*$`)), // tmux, in which Anaconda ran
		// linuxrc and AutoYaST.
		install(dialog + `(?:Could not find the .* Repository\.|Activating manual setup program\.|Error while parsing the control file\.)`),
		// Fedora CoreOS, Flatcar.
		install(`^Ignition has failed\. `),

		// GRUB. Newer ones say where in their source.
		boot(`^\s*error: (?:[\w./-]+\.c:\d+:\s?)?(?:file .* not found|no such device: |no such partition|unknown filesystem|disk .* not found|you need to load the kernel first|couldn't send network packet|time out opening |timeout: could not resolve hardware address|no server is specified|symbol .* not found|bad shim signature|.* has invalid signature|attempt to read or write outside of |can't find command )`),
		prompt(boot(`^grub rescue> ?$`)),
		// PXE: a transfer that failed, by the Preboot Execution Environment's error codes, iPXE, PXELINUX. That nothing
		// was offered is said at each start of a machine that tries the network before its disk: all is well.
		boot(`\bPXE-E[23][0-9A-F]: `),
		boot(`^(?:Could not boot: |Unable to locate configuration file|Could not find kernel image: )`),
		// Firmware. SeaBIOS, and all that draw screens, do not end their last line.
		prompt(boot(`^(?:No bootable device|No boot device available|BdsDxe: No bootable option|Boot failed: not a bootable disk|Operating System not found|Missing operating system|Reboot and Select proper Boot device|Non-System disk or disk error)`)),
		boot(`^!!!! \w+ Exception Type - `),             // EDK II, x86
		boot(`^(?:Synchronous|SError) Exception at 0x`), // EDK II, Arm
		// What is left when the root file system is not there: initramfs-tools, dracut, systemd.
		boot(`^ALERT! .* does not exist\.`),
		prompt(boot(`^\(initramfs\) ?$`)),
		boot(`^Entering emergency mode\. Exit the shell to continue`),
		boot(`^You are in (?:emergency|rescue) mode`),

		{
			// getty and login of Linux, the BSDs, busybox and Solaris. The kernel
			// may have something to say right after it.
			name: LoginPrompt, re: regexp.MustCompile(`^(?:[\w()][\w.()-]* (?:console )?)?login: ?(?:$|\[ *\d+\.\d{6}\])`), except: lastLogin,
			unfinished: true, prompt: true, quiet: quietLogin,
		},
		{
			// A machine that starts. Any of these; quiet kernels say nothing.
			boot: true, // its name is none that a site could give
			re:   regexp.MustCompile(kernelLine + `(?:Linux version \d|Booting Linux on |SeaBIOS \(version|iPXE initialising|iPXE \d|PXELINUX \d|Welcome to GRUB!|GRUB loading|BdsDxe: (?:loading|starting) Boot|>>Start PXE|>>Start HTTP|U-Boot \d)`),
		},
	}
}
