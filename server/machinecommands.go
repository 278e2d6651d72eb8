package server

import (
	"strings"
	"time"

	"provisioner/lab"
)

// jsonMachine is a machine as scripts see it. Its keys stay as they are.
type jsonMachine struct {
	Name    string   `json:"name"`
	Arch    string   `json:"arch"`
	Subarch string   `json:"subarch"`
	Power   string   `json:"power"` // on, off, unknown
	State   string   `json:"state"` // unknown, provisioning, ready, error
	Stage   string   `json:"stage"` // how far its run has come; empty: none goes on
	Holders []string `json:"holders"`
	Netboot bool     `json:"netboot"`

	Reservations []jsonReservation `json:"reservations"` // that have not ended
}

func toJSON(m lab.Machine) jsonMachine {
	j := jsonMachine{
		Name: m.Name, Arch: m.Arch, Subarch: m.Subarch, Power: string(m.Power.State), State: string(m.State), Stage: m.Stage,
		Holders: []string{}, Netboot: m.NetbootEnabled, Reservations: []jsonReservation{},
	}
	for _, h := range m.Holders {
		j.Holders = append(j.Holders, h.User)
		j.Reservations = append(j.Reservations, jsonReservation{
			ID: h.ReservationID, Machine: m.Name, User: h.User, Reason: h.Reason, Since: h.Since, Until: optional(h.Until), LentBy: h.LentBy,
		})
	}
	return j
}

// printMachine writes a machine as it is now.
func (in *invocation) printMachine(asJSON bool, name, sentence string) error {
	if !asJSON {
		return in.print(false, nil, sentence)
	}
	m, err := in.lab.Machine(in.ctx, in.actor, name)
	if err != nil {
		return err
	}
	return in.print(true, toJSON(m.Machine), "")
}

type listCommand struct {
	Query string `short:"q" help:"Only those that match, such as '(= arch \"arm64\")'."`
	Mine  bool   `help:"Only those that you hold."`
	Names bool   `xor:"form" help:"Only their names, one a line."`
	JSON  bool   `xor:"form" help:"As a JSON array."`
}

func (c listCommand) Run(in *invocation) error {
	list, err := in.lab.FindMachines(in.ctx, in.actor, lab.MachineFilter{Query: c.Query, Own: c.Mine}, lab.Page{})
	if err != nil {
		return err
	}
	if c.JSON {
		rows := make([]jsonMachine, len(list.Machines))
		for i, m := range list.Machines {
			rows[i] = toJSON(m)
		}
		return in.print(true, rows, "")
	}
	if c.Names {
		names := make([]string, len(list.Machines))
		for i, m := range list.Machines {
			names[i] = m.Name
		}
		return in.lines(names)
	}
	table := in.table("NAME\tARCH\tPOWER\tSTATE\tHOLDERS")
	for _, m := range list.Machines {
		j := toJSON(m)
		table.row(j.Name, j.Arch, j.Power, j.State, strings.Join(j.Holders, ", "))
	}
	return table.Flush()
}

type showCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	JSON bool   `help:"As JSON."`
}

// jsonMachineDetail is all about a machine as scripts see it. Its keys stay as
// they are.
type jsonMachineDetail struct {
	jsonMachine

	PowerProblem  string          `json:"power_problem"` // why its power is not known; empty: it is
	Kernel        string          `json:"kernel"`        // that it was last installed with; empty: none, as for the others
	Initrd        string          `json:"initrd"`
	Preseed       string          `json:"preseed"`
	KernelOptions string          `json:"kernel_options"`
	Interfaces    []jsonInterface `json:"interfaces"`
	Run           *jsonRun        `json:"run"` // the newest; null: there was none
}

// jsonInterface is a network interface. What is not known is empty.
type jsonInterface struct {
	MAC        string     `json:"mac"`
	Identifier string     `json:"identifier"` // what the operating system calls it
	Address    string     `json:"address"`    // that it is configured to have
	Lease      string     `json:"lease"`      // the newest address that a DHCP server lent it
	Network    string     `json:"network"`
	LastSeen   *time.Time `json:"last_seen"` // null: never
}

func (c showCommand) Run(in *invocation) error {
	m, err := in.lab.Machine(in.ctx, in.actor, c.Name)
	if err != nil {
		return err
	}
	j := jsonMachineDetail{
		jsonMachine: toJSON(m.Machine), PowerProblem: m.Power.Problem, Kernel: m.Kernel, Initrd: m.Initrd, Preseed: m.Preseed,
		KernelOptions: m.KernelOptions, Interfaces: make([]jsonInterface, len(m.Interfaces)),
	}
	for i, n := range m.Interfaces {
		j.Interfaces[i] = jsonInterface{n.MAC, n.Identifier, n.ConfiguredIPv4, n.LeaseIPv4, n.Network, optional(n.LastSeenAt)}
	}
	if m.Run != nil {
		run, err := in.lab.ProvisionRun(in.ctx, in.actor, m.Run.ID)
		if err != nil {
			return err
		}
		r := toJSONRun(run)
		j.Run = &r
	}
	if c.JSON {
		return in.print(true, j, "")
	}
	return j.write(in)
}

// write lists what is known, a line each.
func (j jsonMachineDetail) write(in *invocation) error {
	table := in.table("")
	table.row("Name", j.Name)
	table.row("Firmware", j.Arch+"/"+j.Subarch)
	table.row("Power", strings.TrimSuffix(j.Power+": "+j.PowerProblem, ": "))
	table.row("State", strings.TrimSpace(j.State+" "+j.Stage))
	for _, r := range j.Reservations {
		table.row("Held by", r.text())
	}
	table.row("Netboot", choose(j.Netboot, "on", "off"))
	for _, line := range [][2]string{
		{"Kernel", j.Kernel}, {"Initrd", j.Initrd}, {"Preseed", j.Preseed}, {"Kernel options", j.KernelOptions},
	} {
		if line[1] != "" {
			table.row(line[0], line[1])
		}
	}
	for _, i := range j.Interfaces {
		table.row("Interface", i.text())
	}
	if j.Run != nil {
		table.row("Last run", j.Run.text())
	}
	return table.Flush()
}

// text is a reservation in a line.
func (r jsonReservation) text() string {
	text := r.User
	if r.LentBy != "" {
		text += ", lent by " + r.LentBy
	}
	text += ", since " + moment(r.Since)
	if r.Until != nil {
		text += " until " + moment(*r.Until)
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

// text is an interface in a line.
func (i jsonInterface) text() string {
	text := i.MAC
	for _, more := range []struct{ before, what string }{
		{" ", i.Identifier}, {", ", i.Address}, {", leased ", i.Lease}, {", in ", i.Network},
	} {
		if more.what != "" {
			text += more.before + more.what
		}
	}
	if i.LastSeen != nil {
		text += ", seen " + moment(*i.LastSeen)
	}
	return text
}
