package sim

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// grubScripts are configurations, and whether GRUB takes them. Each verdict is
// checked against the real parser.
var grubScripts = []struct {
	script string
	ok     bool
}{
	{"set timeout=0\nmenuentry 'a' --class x {\n  linux /k a=b\n  initrd /i\n}\n", true},
	{"menuentry x { boot }", true},
	{"menuentry x {boot}", true},
	{"menuentry x {echo};echo", true},
	{"menuentry x {\n\necho a\n\n}", true},
	{"menuentry x { if true; then echo; fi }", true},
	{"menuentry x { menuentry y { boot } }", true},
	{"menuentry x { }", false},
	{"menuentry x {;echo }", false},
	{"menuentry x { echo; ; }", false},
	{"menuentry x {echo}echo", false},
	{"menuentry x\n{ boot }", false},
	{"menuentry x { boot", false},
	{"foo { boot } bar", false},
	{"{ boot }", false},
	{"echo }", false},
	{"echo a{b", false},
	{"echo 'a{b}' \"{}\" \\{\\}", true},
	{"echo $a ${a} $1 ${12} $? $# $@ $* \"$a\" \"${a}\"", true},
	{"echo $", false},
	{"echo $-", false},
	{"echo ${a", false},
	{"echo ${a-b}", false},
	{"echo \"a$\"", false},
	{"echo \"$ a\"", false},
	{"echo '$' \\$ \"\\$\"", true},
	{"echo $\"abc\"", true},
	{"echo a&b", false},
	{"echo a|b", false},
	{"echo a<b", false},
	{"echo a>b", false},
	{"echo 'a&b' \"<>|\" \\&\\|\\<\\>", true},
	{"echo a#b", true},
	{"echo a # b } '", true},
	{"echo \"a", false},
	{"echo 'a", false},
	{"echo a\\", false},
	{"echo a \\\n  b", true},
	{"echo a \\\n", false},
	{"echo \"a\nb\" 'c\nd'", true},
	{"echo \"\\x\\\"\\\\\"", true},
	{"echo ]] [[", false},
	{"echo a[[ \"[[\"", true},
	{"echo if then for menuentry", true},
	{"set if=a; fi=b", true},
	{"! true", true},
	{";", false},
	{"\n;echo a", false},
	{"echo a;;echo b", false},
	{"echo a;\n\necho b;", true},
	{"if true; then echo a; fi", true},
	{"if [ a = b ]\nthen echo\nelif true; then\n\necho b; else echo c\nfi\n", true},
	{"if true; then fi", false},
	{"if ; then echo; fi", false},
	{"if true\nthen ; echo a; fi", false},
	{"if true; then echo a; fi echo b", false},
	{"if true; then echo a", false},
	{"if true; then echo a; else echo b; elif true; then echo c; fi", false},
	{"\"if\" true", true},
	{"fi", false},
	{"then", false},
	{"in", false},
}

func TestGRUBParserAgreesWithGRUB(t *testing.T) {
	path, err := exec.LookPath("grub-script-check")
	check := needPackage(t, "grub-common", path, err)
	file := filepath.Join(t.TempDir(), "grub.cfg")
	for _, tt := range grubScripts {
		if _, err := parseGRUB(tt.script); (err == nil) != tt.ok {
			t.Errorf("%q: taken %v, want %v", tt.script, err == nil, tt.ok)
		}
		if err := os.WriteFile(file, []byte(tt.script), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.CommandContext(t.Context(), check, file).CombinedOutput(); (err == nil) != tt.ok {
			t.Errorf("%q: GRUB takes it %v, want %v: %s", tt.script, err == nil, tt.ok, text)
		}
	}
}

func TestLoopsAndFunctionsAreNotSimulated(t *testing.T) {
	for _, script := range []string{
		"for x; do echo; done", "for x in a b; echo", "for x in a b; do echo; fi", "do echo", "while true; do echo; done", "function f { echo; }",
		strings.Repeat("a {", grubNesting+1) + "a" + strings.Repeat("}", grubNesting+1),
	} {
		if _, err := parseGRUB(script); err == nil {
			t.Errorf("%q is taken", script)
		}
	}
}

// runGRUB runs a configuration against files and returns what it printed.
func runGRUB(script string, files map[string]int64) (*grub, grubEnd, string) {
	var screen strings.Builder
	g := &grub{
		vars:  map[string]string{"root": "tftp,10.0.0.1", "prefix": "(tftp,10.0.0.1)/grub", "grub_platform": "efi", "words": "a  b", "empty": ""},
		print: func(text string) { screen.WriteString(text) },
		read: func(path string) (string, error) {
			switch path {
			case "(tftp,10.0.0.1)/grub/mine":
				return "menuentry a { linux /k }", nil
			case "/loop":
				return "echo -n x; source /loop", nil
			case "/bad":
				return "a|b", nil
			}
			return "", &tftpRefusal{tftpNotFound, "File not found"}
		},
		load: func(path string) (int64, error) {
			if n, ok := files[path]; ok {
				return n, nil
			}
			return 0, &tftpRefusal{tftpNotFound, "File not found"}
		},
	}
	end := g.start(script)
	return g, end, screen.String()
}

func TestGRUBRunsAConfiguration(t *testing.T) {
	files := map[string]int64{"/k": 10, "/i": 5, "/j": 6, "/empty": 0, "(tftp,10.0.0.2)/k": 1, "/with space": 1}
	const noKernel = "error: you need to load the kernel first.\r\n"
	tests := []struct {
		name, script, screen, cmdline string
		end                           grubEnd
	}{
		{"echo", "echo a 'b  c' \"d\"; echo -n x; echo", "a b  c d\r\nx\r\n", "", grubGoesOn},
		{"quotes and escapes", `echo a\ b '$root' "$root" \$root "\$root \"\\ \x" 'it'\''s'` + " \\#\\;x a#b # c",
			"a b $root tftp,10.0.0.1 $root $root \"\\ \\x it's #;x a#b\r\n", "", grubGoesOn},
		{"variables", `set x=1; y="2  3"; echo $x${y}z "$y" $none "$none"end $?`, "12 3z 2  3 end 0\r\n", "", grubGoesOn},
		{"splitting outside quotes", "echo x$words'y'; $empty; $empty echo z", "xa by\r\nz\r\n", "", grubGoesOn},
		{"unset", "unset root; echo [$root]", "[]\r\n", "", grubGoesOn},
		{"line continued", "echo a \\\n b\\\nc", "a bc\r\n", "", grubGoesOn},
		{"carriage returns", "echo a\r\nset x=b\r\necho $x\r\n", "a\r\nb\r\n", "", grubGoesOn},
		{"for", "for x in a (hd*,*)/b$none; do\n  if [ $x = a ]; then echo -n =$x; else echo $x; fi\ndone; for y in; do echo no; done", "=a(hd*,*)/b\r\n", "", grubGoesOn},
		{"if", "if [ $grub_platform = efi ]; then echo efi; else echo pc; fi; if false; then echo a; elif test -z \"$none\"; then echo b; fi; if false; then echo c; fi",
			"efi\r\nb\r\n", "", grubGoesOn},
		{"tests", "if [ ! -f /none -a ]; then echo 1; fi; if [ -s /k ]; then echo 2; fi; if [ -s /empty ]; then echo 3; fi; if [ a != b ]; then echo 4; fi; if ! [ x ]; then echo 5; fi; if [ -n a ]; then echo 6; fi; if [ ]; then echo 7; fi",
			"1\r\n2\r\n4\r\n6\r\n", "", grubGoesOn},
		{"exit from within an if", "if true; then exit; fi; echo a", "", "", grubExits},
		{"exit as a condition", "if exit; then echo; fi", "", "", grubExits},
		{"reboot", "reboot", "", "", grubReboots},
		{"halt", "halt", "", "", grubHalts},
		{"unknown command", "search x; echo $?", "error: can't find command `search'.\r\n1\r\n", "", grubGoesOn},
		{"kernel options", `linux /k a="b c" 'd="e f"' x\;y back\\slash`, "", `BOOT_IMAGE=/k "a=b c" "d=\"e f\"" x;y back\\slash`, grubGoesOn},
		{"boot", "linux /k\ninitrd /i /j\nboot", "", "BOOT_IMAGE=/k", grubBoots},
		{"old names", "linuxefi (tftp,10.0.0.2)/k q\ninitrdefi /i\nboot", "", "BOOT_IMAGE=(tftp,10.0.0.2)/k q", grubBoots},
		{"boot without a kernel", "boot; initrd /i", noKernel + noKernel, "", grubGoesOn},
		{"kernel missing", "linux (tftp)/none; initrd /i", "error: file `/none' not found.\r\n" + noKernel, "", grubGoesOn},
		{"kernel empty", "linux /empty; linux; linux /k; initrd", "error: premature end of file /empty.\r\nerror: filename expected.\r\nerror: filename expected.\r\n", "BOOT_IMAGE=/k", grubGoesOn},
		{"entry starts at once", "menuentry 'A b' { linux /k }\nmenuentry c { exit }", "  Booting `A b'\r\n\r\n", "BOOT_IMAGE=/k", grubBoots},
		{"default entry", "set default=1\nmenuentry a { linux /k }\nmenuentry c { exit }", "  Booting `c'\r\n\r\n", "", grubExits},
		{"default that is none", "set default=7\nmenuentry a { exit }", "  Booting `a'\r\n\r\n", "", grubExits},
		{"entry that fails", "menuentry a { linux /none }", "  Booting `a'\r\n\r\nerror: file `/none' not found.\r\n", "", grubGoesOn},
		{"entry without a block or title", "menuentry a; menuentry { boot }", strings.Repeat("error: no menuentry definition.\r\n", 2), "", grubGoesOn},
		{"what a netboot needs not", "insmod net; terminal_output console serial; serial --unit=0; true", "", "", grubGoesOn},
		{"another configuration", "source $prefix/mine", "  Booting `a'\r\n\r\n", "BOOT_IMAGE=/k", grubBoots},
		{"another configuration, wrong", "source; . /none; configfile /bad",
			"error: filename expected.\r\nerror: file `/none' not found.\r\nerror: syntax error.\r\nerror: Incorrect command.\r\nerror: syntax error.\r\n", "", grubGoesOn},
		{"another configuration without end", "source /loop", strings.Repeat("x", grubSourcesMax) + "error: maximum recursion depth exceeded.\r\n", "", grubGoesOn},
		{"nothing", "\n# a comment\n", "", "", grubGoesOn},
		{"syntax error", "echo a\necho b|c", "error: syntax error.\r\nerror: Incorrect command.\r\nerror: syntax error.\r\n", "", grubGoesOn},
		{"a variable that grows without end", "a=xxxxxxxxxxxxxxxx" + strings.Repeat("\na=$a$a", 20), strings.Repeat("error: out of memory.\r\n", 11), "", grubGoesOn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, end, screen := runGRUB(tt.script, files)
			if screen != tt.screen {
				t.Errorf("shows\n%q, want\n%q", screen, tt.screen)
			}
			if g.cmdline != tt.cmdline || end != tt.end {
				t.Errorf("command line %q, end %v; want %q, %v", g.cmdline, end, tt.cmdline, tt.end)
			}
		})
	}
}

func TestGRUBFindsFilesByTheirDevice(t *testing.T) {
	s := newSite(t)
	m := newMachine(t, Config{Network: s.network()})
	r := &run{Machine: m, ctx: t.Context()}
	g := &grub{vars: map[string]string{"root": "tftp,127.0.0.1", "net_default_server": "127.0.0.1"}}
	for path, want := range map[string]string{
		"/k/vmlinuz":                  "",
		"(tftp)/k/vmlinuz":            "",
		"(tftp,127.0.0.1)/k/vmlinuz":  "",
		"(tftp,127.0.0.1)/k/nothing":  "error: file `/k/nothing' not found.",
		"k/vmlinuz":                   "error: invalid file name `k/vmlinuz'.",
		"(tftp)k/vmlinuz":             "error: invalid file name `(tftp)k/vmlinuz'.",
		"(tftp/k/vmlinuz":             "error: invalid file name `(tftp/k/vmlinuz'.",
		"(hd0,1)/k/vmlinuz":           "error: disk `hd0,1' not found.",
		"(tftp,server.lab)/k/vmlinuz": "error: couldn't find a way to the server `server.lab'.",
	} {
		got := ""
		if _, err := r.grubRead(g, path, &limitedWriter{w: &strings.Builder{}, left: 1 << 20}); err != nil {
			got = grubMessage(path, err)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for err, want := range map[error]string{
		errTFTPRead:                         "error: timeout reading `/x'.",
		&tftpRefusal{2, "Access violation"}: "error: Access violation.",
		errors.New("socket"):                "error: socket.",
	} {
		if got := grubMessage("(tftp)/x", err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// FuzzGRUBScript runs anything as a configuration.
func FuzzGRUBScript(f *testing.F) {
	for _, tt := range grubScripts {
		f.Add(tt.script)
	}
	f.Add("a=xx\n" + strings.Repeat("a=$a$a\n", 30) + "echo $a")
	f.Add("if ! ! ! [ ! ! a = b ]; then linux /k \"a b\" 'c'\\'; initrd /k /k; boot; fi")
	f.Fuzz(func(t *testing.T, script string) {
		g, end, _ := runGRUB(script, map[string]int64{"/k": 1})
		if end == grubBoots && g.cmdline == "" {
			t.Error("booted without a kernel")
		}
		kernelOptions(g.cmdline)
	})
}
