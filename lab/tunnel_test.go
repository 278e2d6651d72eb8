package lab_test

import (
	"context"
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

// tunnel opens one and closes it.
func (f *fixture) tunnel(actor lab.Actor, host string) (to string, err error) {
	f.t.Helper()
	_, tunnel, err := f.OpenTunnel(f.t.Context(), actor, host, 22)
	if err != nil {
		return "", err
	}
	defer tunnel.Close()
	return tunnel.To.String(), nil
}

// withAddresses is a lab whose site allows tunnels; ada holds web-01, grace
// web-02, and each has an address.
func withAddresses(t *testing.T) *fixture {
	f := newFixture(t)
	f.inNetwork()
	f.site(func(s *lab.Site) { s.ProxyJump = true })
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.must(f.Reserve(t.Context(), f.grace, "web-02", ""))
	for machine, address := range map[string]string{"web-01": "10.0.0.11", "web-02": "10.0.0.12"} {
		_, err := f.setInterface(f.admin, machine, lab.ConfigStatic, address)
		f.must(err)
	}
	return f
}

func TestATunnelLeadsToWhatItsUserHolds(t *testing.T) {
	f := withAddresses(t)
	for host, want := range map[string]string{
		"web-01": "10.0.0.11:22", "WEB-01": "10.0.0.11:22", "10.0.0.11": "10.0.0.11:22", "::ffff:10.0.0.11": "10.0.0.11:22",
	} {
		if to, err := f.tunnel(f.ada, host); err != nil || to != want {
			t.Errorf("%s: %s, %v", host, to, err)
		}
	}
	f.happened("web-01", lab.EventTunnel, "10.0.0.11:22")

	for host, words := range map[string]string{
		"web-02": "you do not hold it", "arm-01": "you do not hold it",
		"10.0.0.12": "no machine that you hold", "10.0.0.1": "no machine that you hold", "127.0.0.1": "no machine that you hold",
		"::1": "no machine that you hold", "localhost": "no machine that you hold", "": "no machine that you hold",
		"bmc-web-01": "no machine that you hold", "fe80::1%eth0": "no machine that you hold",
	} {
		_, err := f.tunnel(f.ada, host)
		f.refused(err, lab.Denied, "reach "+host, words)
	}
	_, err := f.tunnel(f.admin, "web-01")
	f.refused(err, lab.Denied, "you do not hold it")

	f.site(func(s *lab.Site) { s.ProxyJump = false })
	_, err = f.tunnel(f.ada, "web-01")
	f.refused(err, lab.Denied, "this site does not allow", "--proxy-jump")
}

// Whoever holds a machine names its address, and whoever can reach the DHCP
// hook says what it was lent: neither may lead anywhere else.
func TestATunnelLeadsNowhereElse(t *testing.T) {
	f := withAddresses(t)
	ctx := t.Context()
	f.must(f.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.AddBMC(ctx, store.BMC{Type: store.BMCPlain, Address: "10.0.0.15:623", Username: "u", CreatedAt: f.clock()})
		return err
	}))
	_, err := f.setInterface(f.ada, "web-01", lab.ConfigStatic, "10.0.0.15")
	f.must(err)
	_, err = f.tunnel(f.ada, "web-01")
	f.refused(err, lab.Denied, "10.0.0.15 is the address of a BMC")

	_, err = f.setInterface(f.ada, "web-01", lab.ConfigDynamic, "")
	f.must(err)
	_, err = f.tunnel(f.ada, "web-01")
	f.refused(err, lab.Conflict, "no address that is known here")
	for address, want := range map[string]struct {
		code  lab.Code
		words string
	}{
		"192.0.2.7": {lab.Conflict, "no address that is known"}, // not in its network
		"10.0.0.1":  {lab.Conflict, "no address that is known"}, // the gateway
		"10.0.0.2":  {lab.Conflict, "no address that is known"}, // the nameserver
		"10.0.0.15": {lab.Denied, "the address of a BMC"},
		"10.0.0.12": {lab.Conflict, "the address of another machine, too"},
		"127.0.0.1": {lab.Conflict, "no address that is known"},
	} {
		f.lent("web-01", address, f.clock().Add(time.Hour))
		_, err = f.tunnel(f.ada, "web-01")
		f.refused(err, want.code, want.words)
		_, err = f.tunnel(f.ada, address)
		if err == nil {
			t.Errorf("%s was reached", address)
		}
	}

	f.lent("web-01", "10.0.0.140", f.clock().Add(time.Hour))
	if to, err := f.tunnel(f.ada, "web-01"); err != nil || to != "10.0.0.140:22" {
		t.Errorf("the address that it was lent: %s, %v", to, err)
	}
	f.advance(2 * time.Hour)
	_, err = f.tunnel(f.ada, "web-01")
	f.refused(err, lab.Conflict, "no address that is known")
}

// lent has a machine have a lease.
func (f *fixture) lent(machine, address string, until time.Time) {
	f.t.Helper()
	ctx := f.t.Context()
	f.must(f.db.Write(ctx, func(tx *store.Tx) error {
		return tx.KeepLease(ctx, store.Lease{
			MAC: f.machine(machine).Interfaces[0].MAC, IPv4: address, StartedAt: f.clock(), ExpiresAt: until,
		})
	}))
}

func TestATunnelEndsWithTheRightToIt(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(*fixture) error
		words string
	}{
		"released":    {func(f *fixture) error { return f.Release(f.t.Context(), f.ada, "web-01") }, "you do not hold it"},
		"by an admin": {func(f *fixture) error { return f.Unassign(f.t.Context(), f.admin, "web-01", "ada") }, "you do not hold it"},
		"not allowed": {func(f *fixture) error {
			return f.ChangeSite(f.t.Context(), f.admin, func(s *lab.Site) { s.ProxyJump = false })
		}, "this site does not allow"},
		"lent":         {func(f *fixture) error { _, err := f.Lend(f.t.Context(), f.ada, "web-01", "grace", 0, ""); return err }, "you do not hold it"},
		"machine gone": {func(f *fixture) error { return f.forget("web-01") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := withAddresses(t)
			ctx, tunnel, err := f.OpenTunnel(t.Context(), f.ada, "web-01", 22)
			f.must(err)
			defer tunnel.Close()
			theirs, other, err := f.OpenTunnel(t.Context(), f.grace, "web-02", 22)
			f.must(err)
			defer other.Close()
			f.must(test.end(f))
			<-ctx.Done()
			if cause := context.Cause(ctx); name != "machine gone" {
				f.refused(cause, lab.Denied, "the connection to web-01", test.words)
			}
			if name != "not allowed" && theirs.Err() != nil {
				t.Errorf("the tunnel of somebody else ended: %v", context.Cause(theirs))
			}
		})
	}
}

// forget removes a machine that somebody holds.
func (f *fixture) forget(machine string) error {
	if err := f.Release(f.t.Context(), f.admin, machine); err != nil {
		return err
	}
	return f.RemoveMachine(f.t.Context(), f.admin, machine)
}

func TestATunnelIsClosedAndCounted(t *testing.T) {
	f := withAddresses(t)
	var tunnels []*lab.Tunnel
	for range 64 {
		ctx, tunnel, err := f.OpenTunnel(t.Context(), f.ada, "web-01", 22)
		f.must(err)
		tunnels = append(tunnels, tunnel)
		defer func() {
			tunnel.Close()
			if ctx.Err() == nil {
				t.Error("a tunnel that was closed goes on")
			}
		}()
	}
	_, err := f.tunnel(f.ada, "web-01")
	f.refused(err, lab.Unavailable, "ada has 64 connections open already")
	if _, err := f.tunnel(f.grace, "web-02"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	tunnels[0].Close()
	if _, err := f.tunnel(f.ada, "web-01"); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
}
