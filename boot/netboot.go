package boot

import (
	"bytes"
	"embed"
	"fmt"
	"net"
	"strings"
	"text/template"
	"unicode"
)

//go:embed templates/*.tmpl
var templateFiles embed.FS

var templates = template.Must(template.New("").
	Funcs(template.FuncMap{"grubWord": grubWord}).
	ParseFS(templateFiles, "templates/*.tmpl"))

// Netboot is what a machine boots over the network.
type Netboot struct {
	Kernel  string           // TFTP path
	Initrd  string           // TFTP path, empty for none
	Options string           // kernel options: the preseed's, then the user's
	MAC     net.HardwareAddr // of the interface that boots; the kernel gets it as BOOTIF
}

// Render writes the configuration that starts n at once. The paths are loaded
// from the server that the configuration came from. An error says what of n
// cannot be written so that the bootloader reads it as it is meant.
func (n Netboot) Render(b Bootloader) ([]byte, error) {
	kernel, err := bootPath("kernel", n.Kernel)
	if err != nil {
		return nil, err
	}
	initrd := ""
	if n.Initrd != "" {
		if initrd, err = bootPath("initrd", n.Initrd); err != nil {
			return nil, err
		}
	}
	if len(n.MAC) != 6 {
		return nil, fmt.Errorf("MAC address %q: 6 bytes are needed for BOOTIF", n.MAC)
	}
	words, err := splitKernelOptions(n.Options)
	if err != nil {
		return nil, err
	}
	words = append([]string{"BOOTIF=01-" + strings.ReplaceAll(n.MAC.String(), ":", "-")}, words...)
	// The bootloaders add the first, and PXELINUX the last of these.
	added := "BOOT_IMAGE=" + kernel + "  initrd=" + initrd
	if length := len(strings.Join(words, " ")) + len(added); length > maxCommandLine {
		return nil, fmt.Errorf("kernel command line of %d bytes: the kernel reads %d", length, maxCommandLine)
	}
	return render(b, "netboot", map[string]any{"Kernel": kernel, "Initrd": initrd, "Words": words})
}

// FromDisk gives the configuration that makes a machine go on with its disk:
// GRUB leaves to the firmware, which tries its next boot entry; PXELINUX exits
// to the BIOS likewise (LOCALBOOT -1).
func FromDisk(b Bootloader) []byte {
	config, err := render(b, "disk", nil)
	if err != nil {
		return nil // no bootloader that we know: nothing that could be right
	}
	return config
}

func render(b Bootloader, what string, data any) ([]byte, error) {
	name := string(b) + "-" + what + ".tmpl"
	if templates.Lookup(name) == nil {
		return nil, fmt.Errorf("no configuration can be written for bootloader %q", b)
	}
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, data); err != nil {
		return nil, fmt.Errorf("write %s configuration: %w", b, err)
	}
	return out.Bytes(), nil
}

// bootPath makes a TFTP path absolute. It refuses what PXELINUX, which knows no
// quoting, would read as several words, or as several files (comma).
func bootPath(what, path string) (string, error) {
	clean, err := CleanPath(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if strings.ContainsFunc(clean, func(r rune) bool {
		return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r)
	}) {
		return "", fmt.Errorf("%s %q: a bootloader cannot load a name with spaces, commas or control characters", what, clean)
	}
	return "/" + clean, nil
}

// grubWord writes one word of a GRUB command so that nothing in it is
// interpreted: in single quotes, with a single quote itself as '\” (GRUB
// Manual, "Quoting").
//
// Double quotes around a part of a kernel option (opt="a b") are the kernel's,
// and are dropped here: GRUB's linux command writes double quotes around every
// word that has a space in it, and a backslash before a double quote that it
// finds, which the kernel would not take for a quote.
func grubWord(word string) string {
	word = strings.ReplaceAll(word, `"`, "")
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
