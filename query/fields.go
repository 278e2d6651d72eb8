package query

import (
	"slices"
	"strings"
)

// Type is what the values of a field are.
type Type string

const (
	Text   Type = "text"
	Number Type = "number"
	Bool   Type = "true or false"
)

// Field is something that machines are compared by.
type Field struct {
	Name string
	Type Type
	Many bool   // a machine may have several values of it
	Is   string // what it is, for people

	values []string // all that there are; nil: any
	isMAC  bool
}

// fields are in the order in which people are told of them. The first five are
// the original ones.
var fields = []Field{
	{Name: "name", Type: Text, Is: "the machine's name"},
	{Name: "arch", Type: Text, Is: "its architecture: amd64, arm64, ..."},
	{Name: "assignee_count", Type: Number, Is: "how many users hold it"},
	{Name: "interface_count", Type: Number, Is: "how many network interfaces are known"},
	{Name: "bmc_type", Type: Text, Is: "plain or moonshot; nil: it has no BMC"},

	{Name: "id", Type: Number, Is: "the machine's number"},
	{Name: "subarch", Type: Text, Is: "its firmware: uefi, bios, ..."},
	{Name: "state", Type: Text, Is: "unknown, provisioning, ready or error", values: []string{"unknown", "provisioning", "ready", "error"}},
	{Name: "stage", Type: Text, Is: "how far its run has come; nil: none goes on"},
	{Name: "power", Type: Text, Is: "on, off or unknown, as its BMC said last", values: []string{"on", "off", "unknown"}},
	{Name: "netboot", Type: Bool, Is: "whether it boots from the network"},
	{Name: "kernel", Type: Text, Is: "the name of its kernel; nil: none"},
	{Name: "initrd", Type: Text, Is: "the name of its initrd; nil: none"},
	{Name: "preseed", Type: Text, Is: "the name of its preseed; nil: none"},
	{Name: "holder", Type: Text, Many: true, Is: "who holds it; nil: nobody"},
	{Name: "pool", Type: Text, Many: true, Is: "the pools that it is in; nil: none"},
	{Name: "mac", Type: Text, Many: true, Is: "the addresses of its interfaces, as 52:54:00:12:34:56", isMAC: true},
	{Name: "address", Type: Text, Many: true, Is: "the IPv4 addresses that its interfaces are configured with"},
	{Name: "network", Type: Text, Many: true, Is: "the names of the networks that its interfaces are in"},
}

// Fields returns all that machines are compared by.
func Fields() []Field { return slices.Clone(fields) }

func fieldNamed(fields []Field, name string) (Field, bool) {
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

func fieldNames(fields []Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

// foldMAC writes an address, or a part of one, as addresses are kept.
func foldMAC(s string) string { return strings.ReplaceAll(Fold(s), "-", ":") }
