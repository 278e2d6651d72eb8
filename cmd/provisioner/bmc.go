package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"

	"provisioner/lab"
	"provisioner/store"
)

// bmcFlags say how the BMC of a machine is reached.
type bmcFlags struct {
	BMC     string `name:"bmc" xor:"bmc" placeholder:"ADDRESS" help:"Address of the BMC, host or host:port."`
	BMCType string `name:"bmc-type" default:"plain" enum:"plain,moonshot" help:"plain, or moonshot: the machine is a cartridge of an HPE Moonshot, and the address its chassis manager's."`
	BMCSlot int    `name:"bmc-slot" help:"Which cartridge, 1 to 45."`
	BMCUser string `name:"bmc-user" help:"Its user."`
	bmcSecrets
}

// bmcSecrets are files: what stands in an argument can be read by anybody on the host.
type bmcSecrets struct {
	BMCPasswordFile string `name:"bmc-password-file" help:"File that holds its password. A dash: standard input." type:"path"`
	BMCCipherSuites string `name:"bmc-cipher-suites" placeholder:"N,..." help:"Cipher suites that it may be asked for, the preferred first. Left out: 17,3. Some others protect nothing."`
	BMCPrivilege    string `name:"bmc-privilege" default:"" enum:",user,operator,administrator" help:"The level to log in with: user, operator or administrator. Left out: administrator, or operator where that is refused."`
	BMCKGFile       string `name:"bmc-kg-file" help:"File that holds the BMC's own key K_g, as text or as 0x and hexadecimal digits." type:"path"`
}

// bmc returns what the flags describe; nil: none.
func (f bmcFlags) bmc() (*store.BMC, error) {
	if f.BMC == "" {
		return nil, nil
	}
	if f.BMCPasswordFile == "" {
		return nil, errors.New("a BMC needs --bmc-password-file: a password in an argument could be read by anybody on this host")
	}
	b := &store.BMC{
		Type: store.BMCType(f.BMCType), Address: f.BMC, Slot: f.BMCSlot, Username: f.BMCUser,
		CipherSuites: f.BMCCipherSuites, Privilege: f.BMCPrivilege,
	}
	var err error
	if b.Password, err = readSecret(f.BMCPasswordFile, "the BMC's password"); err != nil {
		return nil, err
	}
	if f.BMCKGFile != "" {
		b.KG, err = readSecret(f.BMCKGFile, "the BMC's key")
	}
	return b, err
}

type bmcCommand struct {
	List bmcListCommand `cmd:"" default:"withargs" help:"BMCs and their machines. Without secrets."`
	Add  bmcAddCommand  `cmd:"" help:"Add a BMC that is of no machine yet, such as that of a chassis, and print its id."`
	Set  bmcSetCommand  `cmd:"" help:"Change how a BMC is reached, for all its machines."`
	Rm   bmcRmCommand   `cmd:"" help:"Forget a BMC that is of no machine."`
}

type bmcListCommand struct{ data }

func (c *bmcListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		bmcs, err := l.BMCs(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ID\tTYPE\tADDRESS\tUSER\tMACHINES")
		for _, b := range bmcs {
			machines := make([]string, len(b.Machines))
			for i, m := range b.Machines {
				machines[i] = m.Name
				if m.Slot != 0 {
					machines[i] += ":" + strconv.Itoa(m.Slot)
				}
			}
			_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", b.ID, b.Type, b.Address, b.Username, listed(machines))
		}
		return table.Flush()
	})
}

type bmcAddCommand struct {
	data
	Address      string `arg:"" help:"host or host:port."`
	Type         string `default:"plain" enum:"plain,moonshot" help:"plain, or moonshot: the chassis manager of an HPE Moonshot."`
	User         string `help:"Its user."`
	PasswordFile string `required:"" type:"path" help:"File that holds its password. A dash: standard input."`
	CipherSuites string `placeholder:"N,..." help:"Cipher suites that it may be asked for, the preferred first. Left out: 17,3."`
	Privilege    string `default:"" enum:",user,operator,administrator" help:"The level to log in with: user, operator or administrator."`
	KGFile       string `name:"kg-file" type:"path" help:"File that holds its own key K_g, as text or as 0x and hexadecimal digits."`
}

func (c *bmcAddCommand) Run(ctx context.Context) error {
	b := store.BMC{
		Type: store.BMCType(c.Type), Address: c.Address, Username: c.User, CipherSuites: c.CipherSuites, Privilege: c.Privilege,
	}
	var err error
	if b.Password, err = readSecret(c.PasswordFile, "the BMC's password"); err != nil {
		return err
	}
	if c.KGFile != "" {
		if b.KG, err = readSecret(c.KGFile, "the BMC's key"); err != nil {
			return err
		}
	}
	return c.local(ctx, func(l *lab.Lab) error {
		id, err := l.AddBMC(ctx, lab.Local, b)
		if err != nil {
			return err
		}
		_, err = fmt.Println(id)
		return err
	})
}

type bmcSetCommand struct {
	data
	ID           int64   `arg:"" name:"id" help:"Of the BMC, as bmc list shows it."`
	Address      *string `help:"host or host:port."`
	User         *string `help:"Its user."`
	PasswordFile string  `type:"path" help:"File that holds its password. A dash: standard input."`
	CipherSuites *string `placeholder:"N,..." help:"Cipher suites that it may be asked for. Empty: 17,3."`
	Privilege    *string `placeholder:"LEVEL" help:"The level to log in with: user, operator or administrator. Empty: the highest that it grants."`
	KGFile       string  `name:"kg-file" type:"path" help:"File that holds its own key K_g. An empty file: it has none."`
}

func (c *bmcSetCommand) Run(ctx context.Context) error {
	change := lab.BMCChange{Address: c.Address, Username: c.User, CipherSuites: c.CipherSuites, Privilege: c.Privilege}
	for _, secret := range []struct {
		file, what string
		to         **string
	}{{c.PasswordFile, "the BMC's password", &change.Password}, {c.KGFile, "the BMC's key", &change.KG}} {
		if secret.file == "" {
			continue
		}
		text, err := readSecret(secret.file, secret.what)
		if err != nil {
			return err
		}
		*secret.to = &text
	}
	if change == (lab.BMCChange{}) {
		return errors.New("bmc set: say what; --help lists it")
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.ChangeBMC(ctx, lab.Local, c.ID, change) })
}

type bmcRmCommand struct {
	data
	ID int64 `arg:"" name:"id" help:"Of the BMC, as bmc list shows it."`
}

func (c *bmcRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveBMC(ctx, lab.Local, c.ID) })
}
