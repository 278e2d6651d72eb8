package boot

import (
	"bytes"
	"flag"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

var testMAC = net.HardwareAddr{0x52, 0x54, 0, 0xab, 0xcd, 0xef}

// nasty holds what must reach the kernel, and never the bootloader's parser.
// The values are the words of the GRUB command that a GRUB reads back; nil is
// for what CheckKernelOptions refuses.
var nasty = map[string][]string{
	"":                                  {},
	"   ":                               {},
	"quiet  splash ":                    {"quiet", "splash"},
	"a;reboot":                          {"a;reboot"},
	"a } menuentry x { halt":            {"a", "}", "menuentry", "x", "{", "halt"},
	"$root ${root} $(x) `x`":            {"$root", "${root}", "$(x)", "`x`"},
	"a|b&c&&d||e >f <g #h !i":           {"a|b&c&&d||e", ">f", "<g", "#h", "!i"},
	`a\b c\ d\\`:                        {`a\b`, `c\`, `d\\`},
	`it's '' ' '\''`:                    {"it's", "''", "'", `'\''`},
	`dyndbg="file a.c +p; file b.c +p"`: {"dyndbg=file a.c +p; file b.c +p"},
	`"a b" x"y"z`:                       {"a b", "xyz"},
	`"'" "" '"'"'`:                      {"'", "'''"},
	`*?[a-z]~ {a,b} =`:                  {"*?[a-z]~", "{a,b}", "="},
	"äöü=日本 \u00a0x":                    {"äöü=日本", "\u00a0x"},
	"if then fi while do done function": {"if", "then", "fi", "while", "do", "done", "function"},
	strings.Repeat("x", 1000):           {strings.Repeat("x", 1000)},
	PreseedOptions(CloudInit, "http://10.0.2.2:8080/boot/X/cloud-init/", ""): {"autoinstall", "ds=nocloud-net;s=http://10.0.2.2:8080/boot/X/cloud-init/"},
	"a\nb":      nil,
	"a\tb":      nil,
	"a\rb":      nil,
	"a\x00b":    nil,
	"a\x1b[2Jb": nil,
	"a\x7fb":    nil,
	"a\u0085b":  nil,
	"\xff":      nil,
	`a="b`:      nil,
	`"""`:       nil,
}

func TestNetbootConfigurations(t *testing.T) {
	full := Netboot{Kernel: "images/12/vmlinuz", Initrd: "/images/12/initrd.gz", MAC: testMAC,
		Options: PreseedOptions(Preseed, "http://10.0.2.2:8080/preseed/X", "10.0.2.3") + ` console=ttyS0,115200 x="it's $5; {really}"`}
	bare := Netboot{Kernel: "/vmlinuz", MAC: testMAC}
	overHTTP := full
	overHTTP.HTTP = &url.URL{Scheme: "http", Host: "10.0.2.2:8080", Path: "/"}
	for _, b := range Bootloaders {
		for name, n := range map[string]Netboot{"full": full, "bare": bare, "http": overHTTP} {
			config, err := n.Render(b)
			if err != nil {
				t.Errorf("%s for %s: %v", name, b, err)
			}
			golden(t, string(b)+"-"+name, config)
		}
		golden(t, string(b)+"-disk", FromDisk(b))
	}
	if config, err := bare.Render("lilo"); err == nil || FromDisk("lilo") != nil {
		t.Errorf("an unknown bootloader gets %q", config)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestNetbootRefusesWhatABootloaderCannotLoad(t *testing.T) {
	for name, n := range map[string]Netboot{
		"no kernel":           {MAC: testMAC},
		"kernel that climbs":  {Kernel: "../vmlinuz", MAC: testMAC},
		"kernel with a space": {Kernel: "a b", MAC: testMAC},
		"kernel with a tab":   {Kernel: "a\tb", MAC: testMAC},
		"initrd with comma":   {Kernel: "a", Initrd: "a,b", MAC: testMAC},
		"initrd with newline": {Kernel: "a", Initrd: "a\nb", MAC: testMAC},
		"no MAC":              {Kernel: "a"},
		"options too long":    {Kernel: "a", MAC: testMAC, Options: strings.Repeat("x", 2048)},
	} {
		for _, b := range Bootloaders {
			if config, err := n.Render(b); err == nil {
				t.Errorf("%s for %s: %q", name, b, config)
			}
		}
	}
}

func TestCheckKernelOptions(t *testing.T) {
	for options, words := range nasty {
		if err := CheckKernelOptions(options); (err == nil) != (words != nil) {
			t.Errorf("CheckKernelOptions(%q) = %v", options, err)
		}
	}
	if CheckKernelOptions(strings.Repeat("x", 1024)) != nil || CheckKernelOptions(strings.Repeat("x", 1025)) == nil {
		t.Error("the limit is not 1024 bytes")
	}
}

func TestRealGRUBReadsKernelOptionsAsTheyAreMeant(t *testing.T) {
	checker := need(t, "grub-script-check", "grub-common")
	for options, words := range nasty {
		config, err := Netboot{Kernel: "vmlinuz", Initrd: "initrd", MAC: testMAC, Options: options}.Render(GRUB)
		if (err == nil) != (words != nil) {
			t.Errorf("options %q: %v", options, err)
		}
		if err != nil {
			continue
		}
		check := exec.CommandContext(t.Context(), checker)
		check.Stdin = bytes.NewReader(config)
		if output, err := check.CombinedOutput(); err != nil {
			t.Errorf("options %q: GRUB: %v: %s\n%s", options, err, output, config)
		}
		words = append([]string{"linux", "/vmlinuz", "BOOTIF=01-52-54-00-ab-cd-ef"}, words...)
		if diff := cmp.Diff(words, linuxCommand(t, config)); diff != "" {
			t.Errorf("options %q reach GRUB's linux command as (-want +got):\n%s", options, diff)
		}
	}
}

// linuxCommand reads the words of the linux command from a GRUB configuration:
// single quotes, and \' between them, are all the quoting that is written. It
// fails where anything outside quotes could mean something to GRUB.
func linuxCommand(t *testing.T, config []byte) []string {
	t.Helper()
	_, rest, _ := strings.Cut(string(config), "\n  linux ")
	line, _, found := strings.Cut(rest, "\n")
	if !found || strings.Count(string(config), "\n") != 8 {
		t.Fatalf("the configuration has not the lines that it should have:\n%s", config)
	}
	words, word, quoted := []string{"linux"}, "", false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\'':
			quoted = !quoted
		case quoted:
			word += line[i : i+1]
		case strings.HasPrefix(line[i:], `\'`):
			word += "'"
			i++
		case line[i] == ' ':
			words, word = append(words, word), ""
		default:
			t.Fatalf("%q stands outside quotes in %s", line[i], line)
		}
	}
	if quoted {
		t.Fatalf("a quote is open at the end of %s", line)
	}
	return append(words, word)
}

func FuzzNetboot(f *testing.F) {
	for options := range nasty {
		f.Add("vmlinuz", "initrd", options)
	}
	f.Fuzz(func(t *testing.T, kernel, initrd, options string) {
		n := Netboot{Kernel: kernel, Initrd: initrd, MAC: testMAC, Options: options}
		config, err := n.Render(GRUB)
		if err != nil {
			return
		}
		if n.Initrd == "" {
			n.Initrd = "initrd" // linuxCommand counts lines
			if config, err = n.Render(GRUB); err != nil {
				t.Fatal(err)
			}
		}
		words := linuxCommand(t, config)
		want := strings.ReplaceAll(strings.ReplaceAll(options, `"`, ""), " ", "")
		if got := strings.ReplaceAll(strings.Join(words[3:], ""), " ", ""); got != want {
			t.Fatalf("options %q became %q", options, words)
		}
		config, err = n.Render(PXELINUX)
		if err != nil || bytes.Count(config, []byte("\n")) != 6 {
			t.Fatalf("PXELINUX: %v\n%s", err, config)
		}
	})
}
