package tui

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

// newImagePage is all about an image, and who uses it.
func newImagePage(a *app, name string) *textPage {
	p := &textPage{app: a, title: "Image " + name, subject: name, section: imageHelp()}
	p.read = func(ctx context.Context) (content, error) {
		image, err := a.lab.Image(ctx, a.actor, name)
		return content{
			text:    func(width int) []string { return a.imageText(image, width) },
			actions: imageActions(a, p, image.Image, true),
		}, err
	}
	p.concerns = func(e store.Event) bool {
		return imageChanges[e.Kind] || runChanges[e.Kind]
	}
	return p
}

func (a *app) imageText(image lab.Image, width int) []string {
	t := a.theme
	f := facts{theme: t, width: width, paired: width >= pairedWidth}
	f.short("Type", string(image.Type))
	f.short("Machines", image.Arch)
	f.short("Size", strconv.FormatInt(image.Size, 10)+" bytes")
	f.short("File name", clean(image.Filename))
	f.short("Owner", t.orNone(clean(image.Owner)))
	f.short("Uploaded", image.UploadedAt.In(a.now().Location()).Format(time.DateTime))
	f.text("SHA-256", image.SHA256, 2, t.plain)
	f.line("Good", t.knownGood(image.KnownGood))
	f.line("Who may", t.visibility(image.Public))
	f.text("About it", image.Description, 12, t.plain)
	use := [][2]string{
		{"Now on", strings.Join(image.Use.Running, ", ")}, {"Last on", strings.Join(image.Use.Machines, ", ")},
		{"Loader of", strings.Join(image.Use.Subarchs, ", ")},
	}
	return append(f.lines, t.usedBy(use, width)...)
}

// usedBy says who uses something: labels, and names.
func (t *theme) usedBy(use [][2]string, width int) []string {
	f := facts{theme: t, width: width - 2}
	for _, u := range use {
		f.text(u[0], u[1], 8, t.plain)
	}
	if len(f.lines) == 0 {
		f.lines = []string{t.dim.Render("nobody")}
	}
	return append([]string{"", t.title.Render("Used by")}, indented(f.lines)...)
}

// newUploadPage says how an image comes in.
func newUploadPage(a *app) *textPage {
	return &textPage{
		app: a, title: "How to upload an image", subject: "images", section: uploadHelp(),
		read: func(ctx context.Context) (content, error) {
			subarchs, err := a.lab.Subarchs(ctx)
			return content{text: func(width int) []string { return a.uploadText(subarchs, width) }}, err
		},
	}
}

func (a *app) uploadText(subarchs []store.Subarch, width int) []string {
	t := a.theme
	var archs []string
	for _, s := range subarchs {
		if s.Arch != "amd64" && !slices.Contains(archs, s.Arch) {
			archs = append(archs, s.Arch)
		}
	}
	var lines []string
	say := func(text string) {
		for _, line := range wrapped(text, width, 8) {
			lines = append(lines, t.dim.Render(line))
		}
	}
	commands := func(commands ...string) {
		lines = append(lines, "")
		for _, command := range commands {
			lines = append(lines, t.strong.Render(command))
		}
		lines = append(lines, "")
	}
	say("From where the file is. Its name becomes the image's; it shows up here once all of it has come.")
	commands(a.scpLine("images/kernel/amd64/"), a.scpLine("images/initrd/amd64/"))
	if a.actor.IsAdmin() {
		say("A bootloader, for all machines of an architecture and a firmware:")
		commands(a.scpLine("images/bootloader/amd64/uefi/"))
	}
	say("For other machines, put their architecture in the place of amd64: " + strings.Join(archs, ", ") + ". Another name, once it is there:")
	commands(a.sshLine("image set NAME --rename NEW"))
	say("It is yours alone until you make it public. An old scp that does not speak sftp needs sftp in its place. " +
		"Uploads over HTTP, and those that can be continued: docs/images.md.")
	return lines
}

// scpLine is a command that uploads a file to a folder of the server.
func (a *app) scpLine(folder string) string {
	port, host := a.sshAddress()
	if port != "" {
		port = "-P " + port + " "
	}
	if strings.Contains(host, ":") {
		return "scp " + port + "FILE '" + clean(a.actor.User.Name) + "@[" + host + "]:" + folder + "'"
	}
	return "scp " + port + "FILE " + clean(a.actor.User.Name) + "@" + host + ":" + folder
}

// sshLine is a command that the server understands.
func (a *app) sshLine(command string) string {
	port, host := a.sshAddress()
	if port != "" {
		port = "-p " + port + " "
	}
	return "ssh " + port + clean(a.actor.User.Name) + "@" + host + " " + command
}

// sshAddress is how one comes to this server: by the address to which this
// session came. The port is left out where it is ssh's own.
func (a *app) sshAddress() (port, host string) {
	host, port, err := net.SplitHostPort(a.sshAddr)
	if err != nil || host == "" {
		return "", "SERVER"
	}
	if port == "22" {
		port = ""
	}
	return port, host
}
