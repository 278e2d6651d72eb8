package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// installer is an unattended installation in the words of one family of
// operating systems.
type installer struct {
	system   string // what it installs
	title    string
	file     string         // what it calls its preseed
	hostname *regexp.Regexp // finds the host name in the preseed
	xml      bool           // the preseed is XML
}

var (
	debian = installer{
		system:   "Debian GNU/Linux 12 (bookworm)",
		title:    "Debian GNU/Linux installer",
		file:     "preconfiguration file",
		hostname: regexp.MustCompile(`(?m)^[ \t]*d-i[ \t]+netcfg/(?:get_)?hostname[ \t]+string[ \t]+(\S+)`),
	}
	rocky = installer{
		system:   "Rocky Linux 9.5 (Blue Onyx)",
		title:    "anaconda 34.25, the Rocky Linux installer",
		file:     "kickstart file",
		hostname: regexp.MustCompile(`(?m)^[ \t]*network[ \t].*--hostname[= ](\S+)`),
	}
	suse = installer{
		system:   "openSUSE Leap 15.6",
		title:    "YaST2, the openSUSE installer",
		file:     "AutoYaST profile",
		hostname: regexp.MustCompile(`<hostname>([^<]+)</hostname>`),
		xml:      true,
	}
)

// installers has, for each kernel option that names a preseed, who reads it.
var installers = map[string]installer{
	"url":         debian,
	"preseed/url": debian,
	"ks":          rocky,
	"inst.ks":     rocky,
	"autoyast":    suse,
	"autoyast2":   suse,
}

const (
	fetchTimeout = 30 * time.Second
	preseedMax   = 4 << 20
)

// install installs in's system as the preseed at url says: it fetches that,
// fills the disk, runs the preseed's HTTP calls and reboots.
func (r *run) install(in installer, url string) outcome {
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	r.say("", in.title, "", "Detecting hardware ... done", "Configuring the network with DHCP: eth0 ... done",
		"Retrieving "+in.file+" "+url)
	status, text, err := r.request(call{program: "wget", method: http.MethodGet, url: url})
	switch {
	case r.ctx.Err() != nil:
		return machineStops
	case err != nil:
		r.say("  "+reason(err), "  The "+in.file+" could not be retrieved.")
		return r.installerShell()
	case status.code >= 300:
		r.say("  "+status.text, "  The "+in.file+" could not be retrieved.")
		return r.installerShell()
	}
	r.say(fmt.Sprintf("  %s, %d bytes", status.text, len(text)))
	installed := disk{system: in.system, hostname: r.hostname(in, text)}
	r.fillDisk(installed)
	for _, c := range phoneHomeCalls(text, in.xml) {
		if !r.phoneHome(c) {
			return r.installerShell()
		}
	}
	r.say("Finishing the installation ... done", "Requesting system reboot", "[   61.208114] reboot: Restarting system")
	return machineReboots
}

// installerShell is where an installation that cannot go on leaves the machine.
func (r *run) installerShell() outcome {
	r.say("The installation has stopped.", "")
	r.waitForKeys(modeInitrd)
	return machineStops
}

// fillDisk shows the work of an installation; from its end on, the disk boots.
// An installation that is interrupted leaves an empty disk.
func (r *run) fillDisk(d disk) {
	r.mu.Lock()
	if r.current == r {
		r.disk = disk{}
	}
	r.mu.Unlock()
	r.say(
		"Partitioning /dev/nvme0n1: new GPT label ... done",
		"  #1  primary   512 MB  fat32  /boot/efi",
		"  #2  primary  1919 GB  ext4   /",
		"Formatting /dev/nvme0n1p1 ... done",
		"Formatting /dev/nvme0n1p2 ... done",
		"Installing the base system",
	)
	packages := []string{"base-files", "libc6", "bash", "coreutils", "dpkg", "apt", "systemd", "udev", "util-linux", "openssh-server"}
	for i, name := range packages {
		r.say(fmt.Sprintf("  %3d%%  Unpacking %s ...", (i+1)*100/len(packages)/2, name))
	}
	for i, name := range packages {
		r.say(fmt.Sprintf("  %3d%%  Setting up %s ...", 50+(i+1)*100/len(packages)/2, name))
	}
	r.say("Configuring hostname: "+d.hostname, "Installing the GRUB boot loader on /dev/nvme0n1 ... done")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == r {
		r.disk = d
	}
}

// hostname is the one that the preseed gives, else the machine's name.
func (r *run) hostname(in installer, preseed string) string {
	if found := in.hostname.FindStringSubmatch(preseed); found != nil {
		return hostname(found[1])
	}
	return hostname(r.cfg.Name)
}

// hostname makes a host name of a text: its first label, with what may not be
// in one turned into a dash, 1 to 63 characters.
func hostname(text string) string {
	label, _, _ := strings.Cut(text, ".")
	label = strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			return c
		}
		return '-'
	}, label)
	if label = strings.Trim(label[:min(len(label), 63)], "-"); label == "" {
		return "localhost"
	}
	return label
}

// phoneHome makes one call, as the command in the preseed would, and says
// whether the installation goes on.
func (r *run) phoneHome(c call) bool {
	r.say("Running: " + c.program + " " + c.method + " " + c.url)
	status, _, err := r.request(c)
	failed := err != nil || status.code >= 400 && c.failsOnStatus
	switch {
	case err != nil:
		r.say("  " + reason(err))
	default:
		r.say("  " + status.text)
	}
	if failed && !c.mayFail {
		r.say("  Failed to run the preseeded command.")
		return false
	}
	return r.ctx.Err() == nil
}

type httpStatus struct {
	code int
	text string // such as "200 OK"
}

// request makes an HTTP request and returns at most preseedMax bytes of its body.
func (r *run) request(c call) (httpStatus, string, error) {
	ctx, cancel := context.WithTimeout(r.ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		return httpStatus{}, "", err
	}
	req.Header.Set("User-Agent", c.program)
	if c.body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := r.http().Do(req)
	if err != nil {
		return httpStatus{}, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, preseedMax))
	return httpStatus{resp.StatusCode, resp.Status}, string(text), err
}

// reason is why a request failed, as a person at the console would be told.
func reason(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return "bad address '" + dns.Name + "'"
	case errors.Is(err, context.DeadlineExceeded):
		return "the server does not answer"
	case errors.As(err, &op):
		return "can't connect to the server: " + op.Err.Error()
	}
	return err.Error()
}
