package lab

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path"

	"provisioner/boot"
	"provisioner/store"
)

// maxDiscovered is how many MAC addresses of no machine are remembered.
const maxDiscovered = 1000

// DHCP answers the hook in a site's DHCP server.
func (l *Lab) DHCP() boot.DHCPAnswers { return dhcpAnswers{l} }

type dhcpAnswers struct{ lab *Lab }

// Seen notes that an address asked for a boot, and whether it is a machine's.
func (d dhcpAnswers) Seen(ctx context.Context, request boot.SeenRequest) (known bool, err error) {
	l, mac := d.lab, request.MAC.String()
	err = l.write(ctx, func(tx *store.Tx) error {
		m, err := tx.MachineByMAC(ctx, mac)
		if errors.Is(err, store.ErrNotFound) {
			err := tx.Discovered(ctx, store.DiscoveredMAC{
				MAC: mac, Hostname: request.Hostname, ClientArch: request.Arch, SeenAt: l.now(),
			})
			if err != nil {
				return err
			}
			return tx.KeepDiscovered(ctx, maxDiscovered)
		}
		if err != nil {
			return err
		}
		known = true
		if err := tx.InterfaceSeen(ctx, mac, l.now()); err != nil || !request.Discover {
			return err
		}
		if err := l.stage(ctx, tx, m, StageDHCP); err != nil {
			return err
		}
		return tx.AddEvent(ctx, store.Event{At: l.now(), Kind: EventDHCP, Machine: m.Name, Detail: mac})
	})
	return known, wrap(err, "note DHCP request of %s", mac)
}

// Answer says what a machine is to boot, and which address it has.
func (d dhcpAnswers) Answer(ctx context.Context, mac net.HardwareAddr) (boot.DHCPAnswer, error) {
	l := d.lab
	var answer boot.DHCPAnswer
	err := l.store.Read(ctx, func(tx *store.Tx) error {
		m, err := tx.MachineByMAC(ctx, mac.String())
		if err != nil {
			return err
		}
		interfaces, err := tx.Interfaces(ctx, m.ID)
		if err != nil {
			return err
		}
		for _, i := range interfaces {
			if i.MAC == mac.String() && i.ConfigType == "dynamic-reserved" {
				answer.IPv4, _ = netip.ParseAddr(i.ConfiguredIPv4) // not an address: none is reserved
			}
		}
		if !m.NetbootEnabled || m.BootloaderID == 0 {
			return nil
		}
		image, err := tx.Image(ctx, m.BootloaderID)
		answer.BootFile = path.Join(bootloaderFolder, m.Arch, m.Subarch, image.Filename)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return boot.DHCPAnswer{}, boot.ErrUnknownMAC
	}
	if err == nil && answer.BootFile != "" {
		answer.NextServer, err = l.tftpAddress(ctx)
	}
	return answer, wrap(err, "answer DHCP request of %s", mac)
}

// Lease notes which address a machine was lent.
func (d dhcpAnswers) Lease(ctx context.Context, request boot.LeaseRequest) error {
	l := d.lab
	err := l.write(ctx, func(tx *store.Tx) error {
		if _, err := tx.MachineByMAC(ctx, request.MAC.String()); err != nil {
			return err
		}
		now := l.now()
		return tx.KeepLease(ctx, store.Lease{
			MAC: request.MAC.String(), IPv4: request.IPv4.String(), StartedAt: now, ExpiresAt: now.Add(request.Duration),
		})
	})
	if errors.Is(err, store.ErrNotFound) {
		return boot.ErrUnknownMAC
	}
	return wrap(err, "note lease of %s", request.MAC)
}

// tftpAddress is where machines find the TFTP server, as DHCP can say it.
func (l *Lab) tftpAddress(ctx context.Context) (netip.Addr, error) {
	host := l.publicURL.Hostname()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addresses) == 0 {
		return netip.Addr{}, fail(Unavailable, "public URL %s: %s has no IPv4 address that machines could be sent to (%w)", l.publicURL, host, err)
	}
	return addresses[0].Unmap(), nil
}
