package boot

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// The names of the files that are generated for dnsmasq: the first is one that
// its configuration names (conf-file), the others are read again on SIGHUP.
const (
	DnsmasqConfFile    = "provisioner.conf"
	DnsmasqHostsFile   = "hosts"
	DnsmasqOptionsFile = "options"
)

const dnsmasqHead = "# Written by provisioner, and written again when something changes.\n"

// DnsmasqHost is a network card that dnsmasq is to know.
type DnsmasqHost struct {
	MAC  net.HardwareAddr
	IPv4 netip.Addr // reserved for it; invalid: none
	Name string     // of the machine; left out where dnsmasq would not take it for a host name
}

// DnsmasqBoot is what a network card is to boot, asking as one kind of client.
type DnsmasqBoot struct {
	MAC    net.HardwareAddr // 6 bytes
	Client DHCPClient       // one of [DHCPClients], the zero value for those that say no architecture, or {Loader: LoaderIPXE}
	Answer DHCPAnswer       // with a boot file
}

// DHCPClients are the kinds of clients that option 93 tells apart.
func DHCPClients() []DHCPClient {
	var clients []DHCPClient
	for _, number := range slices.Sorted(maps.Keys(architectures)) {
		if c := architectures[number]; !slices.Contains(clients, c) {
			clients = append(clients, c)
		}
	}
	return clients
}

// DnsmasqConf is what never changes: where the other files are, below dir, and
// how clients are told apart.
//
// The tags of a host would naturally be set in its line of the hosts file. But
// dnsmasq up to 2.90 at least crashes when it reads that file again after it has
// used such a line: it frees tags that it had put on its stack. So there is a tag
// for each value of each byte of a MAC address, and an option for one machine
// names six of them. dir must be one that dnsmasq can be told of, an
// absolute path without quotes and control characters.
func DnsmasqConf(dir string) (string, error) {
	if !strings.HasPrefix(dir, "/") || !quotable(dir) {
		return "", fmt.Errorf("folder %q: an absolute path without quotes, backslashes and control characters is needed, so that dnsmasq can read its name", dir)
	}
	var b strings.Builder
	b.WriteString(dnsmasqHead)
	fmt.Fprintf(&b, "dhcp-hostsfile=\"%s/%s\"\ndhcp-optsfile=\"%s/%s\"\n", dir, DnsmasqHostsFile, dir, DnsmasqOptionsFile)
	for _, number := range slices.Sorted(maps.Keys(architectures)) {
		fmt.Fprintf(&b, "dhcp-match=set:%s,option:client-arch,%d\ndhcp-match=set:%s,option:client-arch,%d\n",
			dnsmasqTag(architectures[number]), number, dnsmasqArchTag, number)
	}
	fmt.Fprintf(&b, "dhcp-userclass=set:%s,%s\n", dnsmasqIPXETag, LoaderIPXE)
	for position := range 6 {
		pattern := strings.Split("*:*:*:*:*:*", ":")
		for value := range 256 {
			pattern[position] = fmt.Sprintf("%02x", value)
			fmt.Fprintf(&b, "dhcp-mac=set:%s,%s\n", dnsmasqByteTag(position, byte(value)), strings.Join(pattern, ":"))
		}
	}
	return b.String(), nil
}

const (
	dnsmasqArchTag = "provisioner-arch" // of all clients that say a registered architecture
	dnsmasqIPXETag = "provisioner-ipxe"
)

// dnsmasqClientTags are conditions of which one client fulfils those of one kind only.
func dnsmasqClientTags(c DHCPClient) string {
	switch {
	case c.Loader == LoaderIPXE:
		return "tag:" + dnsmasqIPXETag
	case c == DHCPClient{}:
		return "tag:!" + dnsmasqIPXETag + ",tag:!" + dnsmasqArchTag
	}
	return "tag:!" + dnsmasqIPXETag + ",tag:" + dnsmasqTag(c)
}

func dnsmasqTag(c DHCPClient) string {
	tag := dnsmasqArchTag + "-" + c.Arch
	if c.Firmware != "" {
		tag += "-" + strings.ToLower(string(c.Firmware))
	}
	if c.HTTP {
		tag += "-http"
	}
	return tag
}

func dnsmasqByteTag(position int, value byte) string {
	return fmt.Sprintf("provisioner-mac%d-%02x", position, value)
}

// DnsmasqHosts is the content of the file of hosts (dnsmasq's dhcp-hostsfile),
// one line each.
func DnsmasqHosts(hosts []DnsmasqHost) string {
	var b strings.Builder
	b.WriteString(dnsmasqHead)
	for _, h := range hosts {
		line := h.MAC.String()
		if h.IPv4.Is4() {
			line += "," + h.IPv4.String()
		}
		if dnsmasqHostname(h.Name) {
			line += "," + h.Name
		}
		if line != h.MAC.String() { // else there is nothing to say
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// DnsmasqOptions is the content of the file of options (dnsmasq's
// dhcp-optsfile). A boot that cannot be said to dnsmasq is left out, and the
// error says why; the text is good nevertheless.
func DnsmasqOptions(boots []DnsmasqBoot) (string, error) {
	var b strings.Builder
	var refused []error
	b.WriteString(dnsmasqHead)
	for _, boot := range boots {
		if !boot.Answer.NextServer.Is4() || !quotable(boot.Answer.BootFile) || len(boot.Answer.BootFile) > maxDHCPText {
			refused = append(refused, fmt.Errorf("boot file %q on %s cannot be said to dnsmasq: quotes, backslashes and what is not ASCII are not possible",
				boot.Answer.BootFile, boot.Answer.NextServer))
			continue
		}
		tags := dnsmasqClientTags(boot.Client)
		for position, value := range boot.MAC {
			tags += ",tag:" + dnsmasqByteTag(position, value)
		}
		fmt.Fprintf(&b, "%s,option:bootfile-name,\"%s\"\n", tags, boot.Answer.BootFile)
		fmt.Fprintf(&b, "%s,option:server-ip-address,%s\n", tags, boot.Answer.NextServer)
		if boot.Answer.HTTP {
			fmt.Fprintf(&b, "%s,option:vendor-class,%s\n", tags, vendorHTTP)
		}
	}
	return b.String(), errors.Join(refused...)
}

// quotable reports whether dnsmasq reads a text in double quotes as it is.
func quotable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
}

// dnsmasqHostname reports whether dnsmasq takes a word of a host's line for its
// name, and not for a lease time (45m, infinite), an order (ignore), a tag or
// an address.
func dnsmasqHostname(name string) bool {
	if name == "" || len(name) > 63 || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
		return false
	}
	letter := false
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
			letter = true
		case r >= '0' && r <= '9', r == '-':
		default:
			return false
		}
	}
	lower := strings.ToLower(name)
	time := strings.Trim(strings.TrimRight(lower, "smhdw"), "0123456789") == ""
	return letter && !time && lower != "ignore" && lower != "infinite"
}
