package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"provisioner/boot"
)

type dhcpHookCommand struct {
	Dnsmasq   dnsmasqHookCommand   `cmd:"" help:"Tell the server of a lease, as dnsmasq's dhcp-script."`
	RunScript runScriptHookCommand `cmd:"" name:"run-script" help:"Tell the server of leases, as the script of Kea's run_script library."`
}

// hookTerm bounds how long a script runs: dnsmasq runs one at a time.
const hookTerm = 5 * time.Second

// hookFlags say where the running server is asked.
type hookFlags struct {
	URL        *url.URL `name:"dhcp-hook-url" default:"http://127.0.0.1:8080/dhcp" help:"The running server's DHCP hook."`
	SecretFile string   `name:"dhcp-hook-secret-file" placeholder:"FILE" type:"path" help:"File that holds the hook's secret, where it has one."`
}

// tell reports leases. What fails is said on standard error, which DHCP servers
// log, and is no error of the script: the next renewal tells again.
func (f hookFlags) tell(ctx context.Context, leases []boot.LeaseRequest, err error) {
	reporter := boot.DHCPReporter{URL: f.URL, Client: &http.Client{Timeout: hookTerm}}
	if f.SecretFile != "" && len(leases) > 0 {
		secret, readErr := readFile(f.SecretFile, 1<<10)
		err = errors.Join(err, readErr)
		reporter.Secret = strings.TrimRight(string(secret), "\r\n")
	}
	ctx, cancel := context.WithTimeout(ctx, hookTerm)
	defer cancel()
	for _, lease := range leases {
		err = errors.Join(err, reporter.Lease(ctx, lease))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "provisioner:", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

type dnsmasqHookCommand struct {
	hookFlags
	Args []string `arg:"" optional:"" passthrough:"" help:"What dnsmasq gives: add|old|del MAC IP [HOSTNAME]."`
}

func (c *dnsmasqHookCommand) Run(ctx context.Context) error { //nolint:unparam // kong wants an error
	lease, none, err := boot.DnsmasqScript(c.Args, os.Getenv)
	var leases []boot.LeaseRequest
	if err == nil && !none {
		leases = append(leases, lease)
	}
	c.tell(ctx, leases, err)
	return nil
}

type runScriptHookCommand struct {
	hookFlags
	Args []string `arg:"" optional:"" passthrough:"" help:"What Kea gives: the name of a hook point."`
}

func (c *runScriptHookCommand) Run(ctx context.Context) error { //nolint:unparam // kong wants an error
	leases, err := boot.KeaScript(c.Args, os.Getenv)
	c.tell(ctx, leases, err)
	return nil
}
