package lab

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"provisioner/boot"
	"provisioner/store"
)

// preseedPath is what the address ends in at which the preseed of a run is
// found. cloud-init asks for files below its own, and wants a slash there.
func preseedPath(kind boot.PreseedType) string {
	if kind == boot.CloudInit {
		return "cloud-init/"
	}
	return "preseed"
}

// impliedOptions are the kernel options by which the installer of a run finds
// its preseed, when it boots by the interface with that address.
func (l *Lab) impliedOptions(kind boot.PreseedType, run store.Run, interfaces []store.Interface, mac net.HardwareAddr) string {
	return boot.PreseedOptions(kind, l.runURL(run, preseedPath(kind)), nameserver(interfaces, mac))
}

// nameserver is the first one of the interface with that address, else of the
// first interface that has one; empty: none.
func nameserver(interfaces []store.Interface, mac net.HardwareAddr) string {
	found := ""
	for _, i := range interfaces {
		if len(i.Nameservers) > 0 && (found == "" || i.MAC == mac.String()) {
			found = i.Nameservers[0]
		}
	}
	return found
}

// preseedVars is what a template may name.
func (l *Lab) preseedVars(ctx context.Context, tx *store.Tx, m store.Machine, run store.Run, kind boot.PreseedType) (boot.PreseedVars, error) {
	vars := boot.PreseedVars{
		Hostname: hostname(m.Name), KernelOptions: run.KernelOptions,
		PreseedURL: l.runURL(run, preseedPath(kind)), PhoneHomeURL: l.runURL(run, "phone-home"),
	}
	if kind == boot.CloudInit {
		vars.PreseedURL += "user-data"
	}
	for id, image := range map[int64]**boot.PreseedImage{run.KernelID: &vars.Kernel, run.InitrdID: &vars.Initrd} {
		if id == 0 {
			continue
		}
		row, err := tx.Image(ctx, id)
		if err != nil {
			return vars, err
		}
		*image = &boot.PreseedImage{Filename: row.Filename, Description: row.Description, KnownGood: row.KnownGood}
	}
	for _, h := range m.Holders {
		keys, err := tx.SSHKeys(ctx, h.UserID)
		if err != nil {
			return vars, err
		}
		for _, k := range keys {
			vars.SSHKeys = append(vars.SSHKeys, strings.TrimSpace(k.PublicKey+" "+k.Comment))
		}
	}
	if len(vars.SSHKeys) > 0 {
		vars.SSHKey = vars.SSHKeys[0]
	}
	interfaces, err := tx.Interfaces(ctx, m.ID)
	if err != nil {
		return vars, err
	}
	setNetworkVars(&vars, interfaces)
	vars.Disks, err = tx.Disks(ctx, m.ID)
	return vars, err
}

// setNetworkVars sets what is known of a machine's networks. Those of its
// interfaces with a static address come first.
func setNetworkVars(vars *boot.PreseedVars, interfaces []store.Interface) {
	var static, others []store.Interface
	for _, i := range interfaces {
		prefix, err := netip.ParsePrefix(i.Subnet)
		if i.ConfigType != "static" || err != nil {
			others = append(others, i)
			continue
		}
		static = append(static, i)
		vars.Interfaces = append(vars.Interfaces, boot.PreseedInterface{
			Name: i.Identifier, StaticIPv4: i.ConfiguredIPv4, Prefix: prefix.Bits(),
			Netmask: net.IP(net.CIDRMask(prefix.Bits(), 32)).String(), MAC: i.MAC,
			Network: i.Network, Gateway: i.Gateway, Nameservers: i.Nameservers, Domain: i.Domain,
		})
	}
	for _, i := range slices.Concat(static, others) {
		if vars.Gateway == "" {
			vars.Gateway = i.Gateway
		}
		if len(vars.Nameservers) == 0 {
			vars.Nameservers = i.Nameservers
		}
		if vars.Domain == "" {
			vars.Domain = i.Domain
		}
	}
}

// hostname is a machine's name as a host may have it.
func hostname(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
}
