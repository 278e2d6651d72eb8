package boot

// PreseedVars is what a preseed template can show. The comments name the
// template's variables. All of them are always defined; what is empty here
// renders empty.
type PreseedVars struct {
	SSHKey        string             // ssh_key: the first assignee's
	SSHKeys       []string           // ssh_keys
	Hostname      string             // hostname
	KernelOptions string             // kernel_options
	Kernel        *PreseedImage      // kernel; nil: none
	Initrd        *PreseedImage      // initrd; nil: none
	Interfaces    []PreseedInterface // interfaces: those with a static address
	Gateway       string             // gateway: an IPv4 address
	Nameservers   []string           // nameservers; nameserver is the first
	Domain        string             // domain
	Disks         []string           // disks: device paths; install_disk is the first
	PhoneHomeURL  string             // phone_home_url: where an installer reports that it has ended
	PreseedURL    string             // preseed_url: where this preseed came from
}

// PreseedImage is a kernel or an initrd.
type PreseedImage struct {
	Filename    string // filename
	Description string // description
	KnownGood   bool   // known_good
}

// PreseedInterface is a network interface with a static address, and what is
// known of its network.
type PreseedInterface struct {
	Name        string   // name
	StaticIPv4  string   // static_ipv4
	Prefix      int      // prefix: 0 to 32
	Netmask     string   // netmask
	MAC         string   // mac
	Network     string   // network: its name
	Gateway     string   // gateway
	Nameservers []string // nameservers; nameserver is the first
	Domain      string   // domain
}

// context gives the variables by their names in a template.
func (v PreseedVars) context(l *lookups) map[string]any {
	interfaces := make([]any, 0, len(v.Interfaces))
	for _, i := range v.Interfaces {
		interfaces = append(interfaces, &object{"interfaces[]", l, map[string]any{
			"name": i.Name, "static_ipv4": i.StaticIPv4, "prefix": i.Prefix, "netmask": i.Netmask, "mac": i.MAC,
			"network": i.Network, "gateway": i.Gateway, "nameservers": anyList(i.Nameservers), "nameserver": firstOf(i.Nameservers), "domain": i.Domain,
		}})
	}
	variables := map[string]any{
		"ssh_key":        v.SSHKey,
		"ssh_keys":       anyList(v.SSHKeys),
		"hostname":       v.Hostname,
		"kernel_options": v.KernelOptions,
		"kernel":         absent(noValue),
		"initrd":         absent(noValue),
		"interfaces":     interfaces,
		"gateway":        v.Gateway,
		"nameservers":    anyList(v.Nameservers),
		"nameserver":     firstOf(v.Nameservers),
		"domain":         v.Domain,
		"disks":          anyList(v.Disks),
		"install_disk":   firstOf(v.Disks),
		"phone_home_url": v.PhoneHomeURL,
		"preseed_url":    v.PreseedURL,
	}
	for name, image := range map[string]*PreseedImage{"kernel": v.Kernel, "initrd": v.Initrd} {
		if image != nil {
			variables[name] = &object{name, l, map[string]any{
				"filename": image.Filename, "description": image.Description, "known_good": image.KnownGood,
			}}
		}
	}
	return variables
}

// anyList is a list as the template engine knows it.
func anyList(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}

func firstOf(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return texts[0]
}
