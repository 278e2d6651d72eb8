package boot

import (
	"strings"
	"testing"
	"time"
)

func TestBuiltInTemplatesAreTemplatesOfASite(t *testing.T) {
	for _, kind := range TemplateKinds() {
		source, ok := BuiltInTemplate(kind)
		if !ok {
			t.Fatalf("no %s", kind)
		}
		if _, err := ParseTemplate(kind, source); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, kind := range []string{"", "grub", "grub-redirect", "lilo-disk", "../grub-disk"} {
		if _, ok := BuiltInTemplate(kind); ok {
			t.Errorf("there is a template %q", kind)
		}
		if _, err := ParseTemplate(kind, "x"); err == nil {
			t.Errorf("a site can have a template %q", kind)
		}
	}
}

// hostile are templates that would run for ever, fill the memory, or do more
// than write a configuration.
var hostile = map[string]string{
	"nothing":               "",
	"white space":           " {{/* x */}}\n",
	"not closed":            "{{.Kernel",
	"no such variable":      "{{.Passwords}}",
	"no such function":      "{{readFile `/etc/shadow`}}",
	"an error":              "{{index .Words 99}}",
	"no output":             "{{if .Initrd}}x{{end}}",
	"a count":               "x{{range 1000000000}}{{end}}",
	"a hidden count":        "x{{$n := 1000000000}}{{range $n}}{{end}}",
	"a count as the dot":    "x{{with 1000000000}}{{range .}}{{end}}{{end}}",
	"a count in a field":    "x{{range len .Words}}{{end}}",
	"loops in loops":        "x{{range .Words}}{{range $.Words}}{{end}}{{end}}",
	"loop in else":          "x{{range .Words}}{{if .}}{{else}}{{range $.Words}}{{end}}{{end}}{{end}}",
	"recursion":             `x{{define "a"}}{{template "a"}}{{template "a"}}{{end}}{{template "a"}}`,
	"itself":                `x{{template "grub-netboot"}}`,
	"block":                 `x{{block "a" .}}{{end}}`,
	"a variable that grows": "x{{$s := `ab`}}{{range .Words}}{{$s = print $s $s}}{{end}}",
	"a chain that grows":    "x" + doubling(40),
	"padding":               "{{printf `%1000000000d` 1}}",
	"padding in parens":     "x{{if (len (printf `%1000000000d` 1))}}{{end}}",
	"escapes":               "{{html (js .Kernel)}}",
	"call":                  "{{call .Kernel}}",
	"too much output":       "x{{range .Words}}" + strings.Repeat("z", 12<<10) + "{{end}}",
	"too long":              strings.Repeat("x", MaxTemplate+1),
}

func doubling(n int) string {
	var s strings.Builder
	s.WriteString("{{$a0 := `aaaaaaaaaaaaaaaa`}}")
	for i := range n {
		a, b := "$a"+strings.Repeat("x", i)+"0", "$a"+strings.Repeat("x", i+1)+"0"
		s.WriteString("{{" + b + " := print " + a + " " + a + "}}")
	}
	return s.String()
}

func TestASitesTemplateCannotHurtTheServer(t *testing.T) {
	for name, source := range hostile {
		if template, err := ParseTemplate("grub-netboot", source); err == nil {
			t.Errorf("%s: accepted as %+v", name, template)
		} else if strings.Contains(err.Error(), "template:") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseTemplate("ipxe-netboot", "boot\n"); err == nil {
		t.Error("an iPXE script without #!ipxe is accepted")
	}
	_, err := ParseTemplate("pxelinux-netboot", "ok\nok\n{{.Passwords}}")
	if err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("an error on line 3 is told as %v", err)
	}
}

func TestASitesTemplateSeesItsMachine(t *testing.T) {
	source := "{{.Machine}} {{.Arch}} {{.Subarch}} {{.MAC}} {{.Kernel}} {{.KernelURL}} {{.GRUBServer}}{{range $i, $w := .Words}} {{$i}}={{ipxeText $w}}{{end}}\n"
	template, err := ParseTemplate("grub-netboot", source)
	if err != nil {
		t.Fatal(err)
	}
	n := sampleNetboots[1]
	n.Options = "a b"
	got, err := n.RenderTemplate(template)
	want := "web-08 arm64 uefi 52:54:00:00:00:08 /boot/TOKEN/kernel/vmlinuz http://10.0.0.1:8080/boot/TOKEN/kernel/vmlinuz" +
		" (http,10.0.0.1:8080) 0=BOOTIF=01-52-54-00-00-00-08 1=a 2=b\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
}

func FuzzParseTemplate(f *testing.F) {
	for _, source := range hostile {
		f.Add(source)
	}
	for _, kind := range TemplateKinds() {
		source, _ := BuiltInTemplate(kind)
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		began := time.Now()
		template, err := ParseTemplate("grub-netboot", source)
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("took %s", took)
		}
		if err != nil {
			return
		}
		if config, err := sampleNetboots[0].RenderTemplate(template); err != nil || len(config) > maxConfig {
			t.Fatalf("accepted, and then: %d bytes, %v", len(config), err)
		}
	})
}

func TestIPXETextIsTakenLiterally(t *testing.T) {
	for text, want := range map[string]string{
		"quiet":          "quiet",
		"a || b && c ;":  "a " + ipxeNothing + "|| b " + ipxeNothing + "&& c " + ipxeNothing + ";",
		"#x y#":          ipxeNothing + "#x y#",
		`back\`:          `back\` + ipxeNothing,
		"$root $(x) a;b": "$root $(x) a;b",
	} {
		if got, err := ipxeText(text); err != nil || got != want {
			t.Errorf("%q becomes %q, %v; want %q", text, got, err, want)
		}
	}
	for _, options := range []string{"${root}", `x="a ${b"`} {
		n := Netboot{Kernel: "vmlinuz", MAC: testMAC, Options: options}
		if config, err := n.Render(IPXE); err == nil {
			t.Errorf("%s is written:\n%s", options, config)
		}
	}
}
