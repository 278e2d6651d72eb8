package lab

import (
	"slices"
	"strings"

	"provisioner/boot"
	"provisioner/store"
)

// AsksAs says what a discovered address asked for a boot as, for people, such
// as "UEFI amd64"; empty where it did not say.
func AsksAs(d store.DiscoveredMAC) string { return discoveredClient(d).String() }

func discoveredClient(d store.DiscoveredMAC) boot.DHCPClient {
	return boot.SeenRequest{Arch: d.ClientArch}.Client()
}

// SuggestMachine is the machine that a discovered address may be of: named by
// its host name, and of the architecture and firmware that it asked as, where
// there is such a flavour. What is not known is empty.
func SuggestMachine(d store.DiscoveredMAC, flavours []store.Subarch) NewMachine {
	m := NewMachine{MACs: []string{d.MAC}}
	if name, _, _ := strings.Cut(d.Hostname, "."); machineName.MatchString(name) {
		m.Name = name
	}
	client := discoveredClient(d)
	firmware := strings.ToLower(string(client.Firmware)) // which are named alike
	i := slices.IndexFunc(flavours, func(s store.Subarch) bool { return s.Arch == client.Arch && s.Name == firmware })
	if i >= 0 {
		m.Arch, m.Subarch = flavours[i].Arch, flavours[i].Name
	}
	return m
}
