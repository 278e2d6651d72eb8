package store

import (
	"context"
	"database/sql"
	"time"
)

// DHCPMachine is what a DHCP answer is made of: a machine, and the interface
// that asks.
type DHCPMachine struct {
	MAC            string // of the interface, aa:bb:cc:dd:ee:ff
	MachineID      int64
	Name           string
	Arch           string
	Subarch        string
	EFIBoot        bool
	NetbootEnabled bool
	Bootloader     string // file name of the subarchitecture's; empty: none
	ConfigType     string // of the interface: static, dynamic-reserved or dynamic
	ConfiguredIPv4 string // empty: none
	LastSeenAt     time.Time
	NetworkID      int64  // of the interface; 0: it is in none
	Subnet         string // of the network, as 10.0.0.0/16; empty: none
	ReservedPool   string // likewise
}

const selectDHCPMachine = `SELECT interfaces.mac, machines.id, machines.name, architectures.name, subarchitectures.name,
	subarchitectures.efi_boot, machines.netboot_enabled, images.filename, interfaces.config_type_v4, interfaces.configured_ipv4,
	interfaces.last_seen_at, COALESCE(interfaces.network_id, 0), COALESCE(networks.subnet_v4, ''), COALESCE(networks.reserved_pool, '')
	FROM interfaces
	JOIN machines ON machines.id = interfaces.machine_id
	JOIN subarchitectures ON subarchitectures.id = machines.subarch_id
	JOIN architectures ON architectures.id = subarchitectures.arch_id
	LEFT JOIN images ON images.id = subarchitectures.bootloader_id
	LEFT JOIN networks ON networks.id = interfaces.network_id `

func scanDHCPMachine(r row) (m DHCPMachine, err error) {
	var bootloader, address sql.NullString
	err = r.Scan(&m.MAC, &m.MachineID, &m.Name, &m.Arch, &m.Subarch, &m.EFIBoot, &m.NetbootEnabled, &bootloader,
		&m.ConfigType, &address, optionalTime{&m.LastSeenAt}, &m.NetworkID, &m.Subnet, &m.ReservedPool)
	m.Bootloader, m.ConfiguredIPv4 = bootloader.String, address.String
	return m, err
}

// DHCPMachine returns the machine with this address (aa:bb:cc:dd:ee:ff), by
// one query: a boot waits for it.
func (tx *Tx) DHCPMachine(ctx context.Context, mac string) (DHCPMachine, error) {
	return one(ctx, tx, scanDHCPMachine, selectDHCPMachine+`WHERE interfaces.mac = ?`, mac)
}

// DHCPMachines returns one for each interface of each machine, in the order of
// their addresses.
func (tx *Tx) DHCPMachines(ctx context.Context) ([]DHCPMachine, error) {
	return all(ctx, tx, scanDHCPMachine, selectDHCPMachine+`ORDER BY interfaces.mac`)
}

// ArchBootloader returns the bootloader of an architecture for machines that
// start by UEFI, or do not: the first subarchitecture's that has one.
func (tx *Tx) ArchBootloader(ctx context.Context, arch string, efi bool) (subarch, filename string, err error) {
	err = tx.tx.QueryRowContext(ctx, `SELECT subarchitectures.name, images.filename FROM subarchitectures
		JOIN architectures ON architectures.id = subarchitectures.arch_id
		JOIN images ON images.id = subarchitectures.bootloader_id
		WHERE architectures.name = ? AND efi_boot = ? ORDER BY subarchitectures.id LIMIT 1`, arch, efi).Scan(&subarch, &filename)
	return subarch, filename, plain(err)
}
