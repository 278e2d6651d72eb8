package boot

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"
)

// Netboot is what a machine boots over the network.
type Netboot struct {
	Kernel  string           // path on the server, over TFTP and HTTP alike
	Initrd  string           // likewise, empty for none
	Options string           // kernel options: the preseed's, then the user's
	MAC     net.HardwareAddr // of the interface that boots; the kernel gets it as BOOTIF

	// HTTP is the base of the server's addresses, for bootloaders that load
	// faster that way than over TFTP. Nil: TFTP alone. One that is not plain
	// http is not used: bootloaders trust no certificate that a site has.
	HTTP *url.URL

	// For site templates.
	Machine, Arch, Subarch string
}

// Render writes the configuration that starts n at once. The paths are loaded
// from the server that the configuration came from, or over HTTP. An error says
// what of n cannot be written so that the bootloader reads it as it is meant.
func (n Netboot) Render(b Bootloader) ([]byte, error) {
	return n.RenderTemplate(builtIn(b, Start))
}

// FromDisk gives the configuration that makes a machine go on with its disk:
//
//   - GRUB and iPXE on UEFI leave to the firmware with an error, upon which it
//     tries its next boot entry (UEFI 2.10 §3.1.1; after a success it may show
//     its menu instead). On a BIOS they start the first disk.
//   - PXELINUX exits to the BIOS, which goes on likewise (LOCALBOOT -1).
func FromDisk(b Bootloader) []byte {
	config, err := Netboot{}.RenderTemplate(builtIn(b, Disk))
	if err != nil {
		return nil // no bootloader that we know: nothing that could be right
	}
	return config
}

// RenderTemplate is Render by a template that may be a site's own.
func (n Netboot) RenderTemplate(t *Template) ([]byte, error) {
	vars, err := n.vars(t.purpose != Disk)
	if err != nil {
		return nil, err
	}
	return t.render(vars)
}

// templateVars is what a template may name.
type templateVars struct {
	Machine string // name, as an admin has given it
	Arch    string // amd64, ...
	Subarch string // uefi, bios, ...
	MAC     string // aa:bb:cc:dd:ee:ff; empty where no particular machine asks

	Kernel string // absolute path
	Initrd string // likewise, or empty
	Words  []string

	HTTP       string // base of the server's addresses, without a slash at its end; empty: TFTP alone
	KernelURL  string // empty likewise
	InitrdURL  string
	GRUBServer string // HTTP as GRUB writes it: (http,10.0.0.1:8080)
}

func (n Netboot) vars(netboot bool) (v templateVars, err error) {
	v = templateVars{Machine: n.Machine, Arch: n.Arch, Subarch: n.Subarch, MAC: n.MAC.String()}
	if n.HTTP != nil && n.HTTP.Scheme == "http" && n.HTTP.Host != "" {
		prefix := strings.TrimSuffix(n.HTTP.EscapedPath(), "/")
		v.HTTP = "http://" + n.HTTP.Host + prefix
		v.GRUBServer = "(http," + strings.TrimSuffix(n.HTTP.Host, ":80") + ")" + prefix
	}
	if !netboot {
		return v, nil
	}
	if v.Kernel, err = bootPath("kernel", n.Kernel); err != nil {
		return v, err
	}
	if n.Initrd != "" {
		if v.Initrd, err = bootPath("initrd", n.Initrd); err != nil {
			return v, err
		}
	}
	if v.HTTP != "" {
		v.KernelURL = v.HTTP + (&url.URL{Path: v.Kernel}).EscapedPath()
		if v.Initrd != "" {
			v.InitrdURL = v.HTTP + (&url.URL{Path: v.Initrd}).EscapedPath()
		}
	}
	if len(n.MAC) != 6 {
		return v, fmt.Errorf("MAC address %q: 6 bytes are needed for BOOTIF", n.MAC)
	}
	words, err := splitKernelOptions(n.Options)
	if err != nil {
		return v, err
	}
	v.Words = append([]string{"BOOTIF=01-" + strings.ReplaceAll(n.MAC.String(), ":", "-")}, words...)
	// The bootloaders add the first, and PXELINUX the last of these.
	added := len("BOOT_IMAGE=  initrd=") + max(len(v.GRUBServer+v.Kernel), len(v.KernelURL)) + max(len(v.Initrd), len(v.InitrdURL))
	if length := len(strings.Join(v.Words, " ")) + added; length > maxCommandLine {
		return v, fmt.Errorf("kernel command line of %d bytes: the kernel reads %d", length, maxCommandLine)
	}
	return v, nil
}

// bootPath makes a path absolute. It refuses what PXELINUX, which knows no
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

// ipxeText writes text into an iPXE command so that nothing in it is
// interpreted. iPXE knows no quoting: it splits at white space, which the
// kernel's command line gets back as single spaces, takes ||, && and ; between
// spaces for the end of a command, # at the start of a word for a comment and \
// at the end of a line for its continuation, and expands ${...} last. So a
// setting that nobody sets keeps these from being what they look like; ${
// itself cannot be written.
func ipxeText(text string) (string, error) {
	if strings.Contains(text, "${") {
		return "", fmt.Errorf("%q: iPXE would replace what begins with ${", text)
	}
	words := strings.Split(text, " ")
	for i, word := range words {
		switch {
		case word == "||", word == "&&", word == ";", strings.HasPrefix(word, "#"):
			words[i] = ipxeNothing + word
		case strings.HasSuffix(word, `\`):
			words[i] = word + ipxeNothing
		}
	}
	return strings.Join(words, " "), nil
}

// ipxeNothing is expanded to nothing, after words have been told apart.
const ipxeNothing = "${nothing:string}"
