package lab

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path"
	"slices"
	"sync"
	"time"

	"provisioner/boot"
	"provisioner/store"
)

const (
	// clientTerm is how long it is believed that a machine is still the client
	// as which it was seen. DHCP takes seconds.
	clientTerm = 5 * time.Minute

	// resolveTerm bounds how long a DHCP answer may wait for the DNS.
	resolveTerm = 500 * time.Millisecond
)

// DHCP answers the hook in a site's DHCP server, and our ProxyDHCP.
func (l *Lab) DHCP() boot.DHCPAnswers { return dhcpAnswers{l} }

type dhcpAnswers struct{ lab *Lab }

// Seen tells whether an address is a machine's. That it asked is kept soon,
// not now: a boot waits for this answer.
func (d dhcpAnswers) Seen(ctx context.Context, request boot.SeenRequest) (known bool, err error) {
	l, mac := d.lab, request.MAC.String()
	m, err := d.machine(ctx, request.MAC)
	seen := sighting{at: l.now(), mac: mac, request: request}
	switch {
	case errors.Is(err, boot.ErrUnknownMAC):
		l.sightings.put(l.sightings.strangers, seen)
		return false, nil
	case err != nil:
		return false, wrap(err, "note DHCP request of %s", mac)
	}
	client := request.Client()
	l.clients.remember(mac, client, seen.at)
	if m.NetbootEnabled {
		seen.misfit = misfit(m, client)
	}
	l.sightings.put(l.sightings.machines, seen)
	return true, nil
}

// Answer says what a machine is to boot, and which address it has.
func (d dhcpAnswers) Answer(ctx context.Context, mac net.HardwareAddr) (boot.DHCPAnswer, error) {
	l := d.lab
	var answer boot.DHCPAnswer
	m, err := d.machine(ctx, mac)
	if err != nil {
		return answer, wrapUnlessUnknown(err, mac)
	}
	answer.IPv4, answer.Hostname = reservedFor(m), hostname(m.Name)
	client := l.clients.recall(mac.String(), l.now())
	answer.BootFile, answer.HTTP, err = l.bootFileFor(ctx, m, client)
	if err != nil || answer.BootFile == "" {
		return answer, wrapUnlessUnknown(err, mac)
	}
	answer.NextServer, err = l.tftpAddress(ctx)
	return answer, wrapUnlessUnknown(err, mac)
}

// reservedFor is the address that DHCP lends to an interface and nobody else;
// not valid where there is none.
func reservedFor(m store.DHCPMachine) netip.Addr {
	if m.ConfigType != ConfigReserved {
		return netip.Addr{}
	}
	address, _ := netip.ParseAddr(m.ConfiguredIPv4) // not an address: none is reserved
	return address
}

// Subnet says which of a DHCP server's subnets a machine's reserved address is
// lent from: one that lies in the machine's network and has a pool that begins
// in the network's range of reserved addresses.
func (d dhcpAnswers) Subnet(ctx context.Context, request boot.SubnetRequest) (answer boot.SubnetAnswer, err error) {
	m, err := d.machine(ctx, request.MAC)
	if err != nil {
		return answer, wrapUnlessUnknown(err, request.MAC)
	}
	network, err := netip.ParsePrefix(m.Subnet)
	if err != nil {
		return answer, boot.ErrUnknownMAC // which is in no network
	}
	if !reservedFor(m).IsValid() {
		return boot.SubnetAnswer{Any: true}, nil
	}
	pool, err := parsePool(m.ReservedPool)
	if err != nil {
		return answer, wrap(err, "choose a subnet for %s", request.MAC)
	}
	for _, s := range request.Subnets {
		if s.Prefix.Overlaps(network) && slices.ContainsFunc(s.First, pool.contains) {
			return boot.SubnetAnswer{ID: s.ID, Found: true}, nil
		}
	}
	return answer, nil
}

// Lease notes which address a machine was lent.
func (d dhcpAnswers) Lease(ctx context.Context, request boot.LeaseRequest) error {
	l := d.lab
	if _, err := d.machine(ctx, request.MAC); err != nil {
		return wrapUnlessUnknown(err, request.MAC)
	}
	now := l.now()
	l.sightings.put(l.sightings.machines, sighting{at: now, mac: request.MAC.String(), lease: &store.Lease{
		MAC: request.MAC.String(), IPv4: request.IPv4.String(), StartedAt: now, ExpiresAt: now.Add(request.Duration),
	}})
	return nil
}

// machine fails with [boot.ErrUnknownMAC] for an address of no machine.
func (d dhcpAnswers) machine(ctx context.Context, mac net.HardwareAddr) (m store.DHCPMachine, err error) {
	err = d.lab.store.Read(ctx, func(tx *store.Tx) (err error) {
		m, err = tx.DHCPMachine(ctx, mac.String())
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return m, boot.ErrUnknownMAC
	}
	return m, err
}

func wrapUnlessUnknown(err error, mac net.HardwareAddr) error {
	if errors.Is(err, boot.ErrUnknownMAC) {
		return boot.ErrUnknownMAC
	}
	return wrap(err, "answer DHCP request of %s", mac)
}

// misfit says, for people, why a client cannot run the bootloader of the
// machine's own subarchitecture; empty where it can, or needs none.
func misfit(m store.DHCPMachine, client boot.DHCPClient) string {
	needsOwn := client.Firmware != "" && client.Loader != boot.LoaderIPXE
	if client.Arch != "" && client.Arch != m.Arch || needsOwn && (client.Firmware == boot.UEFI) != m.EFIBoot {
		return "asks as " + client.String() + ", was added as " + m.Arch + "/" + m.Subarch
	}
	return ""
}

// bootFileFor is what a machine that asks as this client is told to load, and
// whether that is a URL for firmware; empty where it has to boot from disk.
func (l *Lab) bootFileFor(ctx context.Context, m store.DHCPMachine, client boot.DHCPClient) (file string, http bool, err error) {
	if m.NetbootEnabled && client.Loader == boot.LoaderIPXE && misfit(m, client) == "" {
		mac, err := boot.ParseMAC(m.MAC)
		return l.scriptFor(mac), false, err
	}
	file, err = l.bootloaderFor(ctx, m, client)
	if err != nil || file == "" || !client.HTTP {
		return file, false, err
	}
	return l.publicURL.JoinPath(file).String(), true, nil
}

// bootloaderFor is the one rule of who boots what: the path of the bootloader
// for a machine that asks as this client; empty where it has to boot from disk.
//
// It is that of the machine's subarchitecture. Where the machine starts with
// another firmware than it was added with, it is the one that its architecture
// has for that firmware, since the other would not run. A client that says
// little is believed to be what was added. What comes after the bootloader is
// the same for all: GRUB, asking by itself, is given it, too. iPXE, which is a
// bootloader itself, whoever loaded it, needs none; see scriptFor.
func (l *Lab) bootloaderFor(ctx context.Context, m store.DHCPMachine, client boot.DHCPClient) (string, error) {
	if !m.NetbootEnabled {
		return "", nil
	}
	if misfit(m, client) == "" {
		if m.Bootloader == "" {
			return "", nil
		}
		return path.Join(bootloaderFolder, m.Arch, m.Subarch, m.Bootloader), nil
	}
	if client.Arch != m.Arch {
		return "", nil
	}
	var file string
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		subarch, name, err := tx.ArchBootloader(ctx, m.Arch, client.Firmware == boot.UEFI)
		if err == nil {
			file = path.Join(bootloaderFolder, m.Arch, subarch, name)
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return file, err
}

// scriptFor is where iPXE finds what it does for a machine: a URL, or a path
// over TFTP where iPXE would have to trust a certificate.
func (l *Lab) scriptFor(mac net.HardwareAddr) string {
	if l.publicURL.Scheme != "http" {
		return boot.ScriptPath(mac)
	}
	return l.publicURL.JoinPath(boot.ScriptPath(mac)).String()
}

// tftpAddress is where machines find the TFTP server, as DHCP can say it. A
// name is looked up once a minute, and not by those who wait for an answer.
func (l *Lab) tftpAddress(ctx context.Context) (netip.Addr, error) {
	if known := l.nextServer.Load(); known != nil {
		return *known, nil
	}
	return l.resolveTFTP(ctx)
}

func (l *Lab) resolveTFTP(ctx context.Context) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTerm)
	defer cancel()
	host := l.publicURL.Hostname()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addresses) == 0 {
		return netip.Addr{}, fail(Unavailable, "public URL %s: %s has no IPv4 address that machines could be sent to (%w)", l.publicURL, host, err)
	}
	address := addresses[0].Unmap()
	l.nextServer.Store(&address)
	return address, nil
}

// dhcpClients remembers as what machines were seen last: a DHCP server's hook
// says it once and asks later. It holds known machines only, so that strangers
// cannot fill it.
type dhcpClients struct {
	mu    sync.Mutex
	byMAC map[string]dhcpClient
}

type dhcpClient struct {
	boot.DHCPClient
	at time.Time
}

func (c *dhcpClients) remember(mac string, client boot.DHCPClient, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byMAC[mac] = dhcpClient{client, at}
}

// recall returns what was remembered, and what a client is that says nothing
// where that is too long ago.
func (c *dhcpClients) recall(mac string, now time.Time) boot.DHCPClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	client, ok := c.byMAC[mac]
	if !ok {
		return boot.DHCPClient{}
	}
	if now.Sub(client.at) > clientTerm {
		delete(c.byMAC, mac)
		return boot.DHCPClient{}
	}
	return client.DHCPClient
}
