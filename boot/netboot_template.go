package boot

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"text/template"
	"text/template/parse"
)

// Purpose is what a configuration makes its bootloader do.
type Purpose string

const (
	Start Purpose = "netboot" // what is to boot over the network
	Disk  Purpose = "disk"    // leave to the machine's disk
)

const (
	// MaxTemplate bounds a site template, in bytes.
	MaxTemplate = 16 << 10

	// maxConfig bounds what it may write, in bytes. GRUB and iPXE read more,
	// but no configuration needs it.
	maxConfig = 64 << 10
)

//go:embed templates/*.tmpl
var templateFiles embed.FS

// templateFuncs is all that a template may call. It reaches no file, no
// network and no environment, and what it returns is no longer than a constant
// times its arguments.
var templateFuncs = template.FuncMap{"grubWord": grubWord, "ipxeText": ipxeText, "print": shortPrint}

// builtInFuncs are those of text/template that may be called, too: they return
// nothing that is longer than their arguments. printf is not among them, since
// it pads to any width.
var builtInFuncs = map[string]bool{
	"and": true, "or": true, "not": true, "len": true, "index": true, "slice": true,
	"eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
}

// Template writes the configurations of one bootloader for one purpose.
type Template struct {
	bootloader Bootloader
	purpose    Purpose
	template   *template.Template
}

// TemplateKinds are the names of the templates that a site may have its own
// of: grub-netboot, grub-disk and so on.
func TemplateKinds() []string {
	var kinds []string
	for _, b := range Bootloaders {
		for _, p := range []Purpose{Start, Disk} {
			kinds = append(kinds, TemplateKind(b, p))
		}
	}
	return kinds
}

// TemplateKind is the name of a template: grub-netboot.
func TemplateKind(b Bootloader, p Purpose) string { return string(b) + "-" + string(p) }

// BuiltInTemplate returns the template that a site has unless it has its own;
// ok is false where there is no such kind.
func BuiltInTemplate(kind string) (source string, ok bool) {
	if _, _, err := parseKind(kind); err != nil {
		return "", false
	}
	text, err := templateFiles.ReadFile("templates/" + kind + ".tmpl")
	return string(text), err == nil
}

func parseKind(kind string) (Bootloader, Purpose, error) {
	for _, b := range Bootloaders {
		for _, p := range []Purpose{Start, Disk} {
			if kind == TemplateKind(b, p) {
				return b, p, nil
			}
		}
	}
	return "", "", fmt.Errorf("%q is no kind of template: there are %s", kind, strings.Join(TemplateKinds(), ", "))
}

var builtIns = mustParseBuiltIns()

func mustParseBuiltIns() *template.Template {
	return template.Must(template.New("").Funcs(templateFuncs).ParseFS(templateFiles, "templates/*.tmpl"))
}

// builtIn never fails: for a bootloader that nobody knows, rendering does.
func builtIn(b Bootloader, p Purpose) *Template {
	return &Template{bootloader: b, purpose: p, template: builtIns.Lookup(TemplateKind(b, p) + ".tmpl")}
}

// ParseTemplate reads a site's own template of a kind, in Go's text/template.
// It is not taken without having written samples: for a machine with and
// without an initrd, over TFTP and HTTP, with kernel options that need quoting.
//
// Whoever writes a template cannot hurt the server by it. No function reaches
// a file; and since there is no recursion, no loop but one over a variable, no
// loop in a loop, and no variable that changes, the work and the memory of a
// rendering are bounded by the product of two small sizes.
func ParseTemplate(kind, source string) (*Template, error) {
	b, p, err := parseKind(kind)
	if err != nil {
		return nil, err
	}
	if len(source) > MaxTemplate {
		return nil, fmt.Errorf("template of %d bytes: at most %d are possible", len(source), MaxTemplate)
	}
	parsed, err := template.New(kind).Funcs(templateFuncs).Option("missingkey=error").Parse(source)
	if err != nil {
		return nil, plainTemplateError(err)
	}
	if len(parsed.Templates()) > 1 {
		return nil, errors.New("a template cannot define others")
	}
	if parsed.Tree == nil || parse.IsEmptyTree(parsed.Root) {
		return nil, errors.New("the template is empty")
	}
	if err := (&templateCheck{tree: parsed.Tree}).list(parsed.Root); err != nil {
		return nil, err
	}
	t := &Template{bootloader: b, purpose: p, template: parsed}
	for _, sample := range sampleNetboots {
		config, err := sample.RenderTemplate(t)
		if err != nil {
			return nil, fmt.Errorf("with a sample machine: %w", err)
		}
		if len(bytes.TrimSpace(config)) == 0 {
			return nil, errors.New("with a sample machine it writes nothing")
		}
		if b == IPXE && !bytes.HasPrefix(config, []byte("#!ipxe\n")) {
			return nil, errors.New("it has to begin with #!ipxe, alone on the first line: iPXE takes it for no script otherwise")
		}
	}
	return t, nil
}

// sampleNetboots are what a template has to write before it is taken.
var sampleNetboots = []Netboot{
	{
		Machine: "web-07", Arch: "amd64", Subarch: "uefi", MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 7},
		Kernel: "boot/TOKEN/kernel/vmlinuz",
	},
	{
		Machine: "web-08", Arch: "arm64", Subarch: "uefi", MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 8},
		Kernel: "boot/TOKEN/kernel/vmlinuz", Initrd: "boot/TOKEN/initrd/initrd.gz",
		Options: `auto=true url=http://10.0.0.1:8080/boot/TOKEN/preseed console=ttyS0,115200n8 dyndbg="file a.c +p" x=it's;`,
		HTTP:    &url.URL{Scheme: "http", Host: "10.0.0.1:8080", Path: "/"},
	},
}

func (t *Template) render(data any) ([]byte, error) {
	if t.template == nil {
		return nil, fmt.Errorf("no configuration can be written for bootloader %q", t.bootloader)
	}
	var out bytes.Buffer
	if err := t.template.Execute(&shortWriter{to: &out, left: maxConfig}, data); err != nil {
		return nil, fmt.Errorf("write %s configuration: %w", t.bootloader, plainTemplateError(err))
	}
	return out.Bytes(), nil
}

// plainTemplateError leaves out what text/template says of itself, and keeps
// the line: "template: grub-disk:3: ..." becomes "line 3: ...".
func plainTemplateError(err error) error {
	text := err.Error()
	rest, ok := strings.CutPrefix(text, "template: ")
	if !ok {
		return err
	}
	if _, after, found := strings.Cut(rest, ":"); found {
		return errors.New("line " + after)
	}
	return err
}

// shortWriter refuses to write more than is left.
type shortWriter struct {
	to   *bytes.Buffer
	left int
}

func (w *shortWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, fmt.Errorf("the configuration has more than %d bytes", maxConfig)
	}
	w.left -= len(p)
	return w.to.Write(p)
}

// shortPrint is print of text/template, of results that fit a configuration: a
// chain of them, each twice the one before, would fill the memory.
func shortPrint(args ...any) (string, error) {
	text := fmt.Sprint(args...)
	if len(text) > maxConfig {
		return "", fmt.Errorf("print of %d bytes: a configuration has at most %d", len(text), maxConfig)
	}
	return text, nil
}
