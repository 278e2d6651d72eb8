package lab_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/store"
)

// addPreseed keeps a public preseed of an actor.
func (f *fixture) addPreseed(actor lab.Actor, name, kind, content string) {
	f.t.Helper()
	f.must(f.AddPreseed(f.t.Context(), actor, lab.NewPreseed{Name: name, Type: kind, Content: content, Public: true}))
}

// install starts a run on web-01, which ada has reserved, and returns its token.
func (f *fixture) install(preseed string) string {
	f.t.Helper()
	f.must(f.Provision(f.t.Context(), f.ada, "web-01", lab.ProvisionRequest{Kernel: "linux", Preseed: preseed, Options: "quiet"}))
	return f.running().Token
}

// running is the run of web-01 that goes on.
func (f *fixture) running() (run store.Run) {
	f.t.Helper()
	f.must(f.db.Read(f.t.Context(), func(tx *store.Tx) (err error) {
		run, err = tx.RunningRun(f.t.Context(), f.machine("web-01").ID)
		return err
	}))
	return run
}

// lastEvent is the newest one of web-01 of a kind.
func (f *fixture) lastEvent(kind string) (last store.Event) {
	f.t.Helper()
	for _, e := range f.events(kind) {
		if e.ID > last.ID {
			last = e
		}
	}
	return last
}

func TestPreseedBelongsToWhoAddedIt(t *testing.T) {
	f := newFixture(t)
	f.must(f.AddPreseed(t.Context(), f.ada, lab.NewPreseed{Name: "mine", Type: "ignition", Content: "{}", Description: "for the cluster"}))
	change := func(actor lab.Actor, name string, c lab.PreseedChange) error {
		return f.ChangePreseed(t.Context(), actor, name, c)
	}
	yes, content, kind, name, taken, evil := true, "{{ hostname }}", "cloud-init", "ours", "debian", "{% if %}"
	f.addPreseed(f.grace, taken, "preseed", "x")

	_, err := f.Preseed(t.Context(), f.grace, "mine")
	f.refused(err, lab.Denied, "private")
	f.refused(change(f.grace, "mine", lab.PreseedChange{Public: &yes}), lab.Denied, "change preseed mine", "only ada or an admin may")
	f.refused(f.RemovePreseed(t.Context(), f.grace, "mine", true), lab.Denied, "only ada or an admin may")
	f.refused(change(f.ada, "none", lab.PreseedChange{Public: &yes}), lab.NotFound, `no preseed "none"`)
	f.refused(change(f.ada, "mine", lab.PreseedChange{Content: &evil}), lab.Invalid, "Syntax error on preseed template", "line: 1")
	f.refused(change(f.ada, "mine", lab.PreseedChange{Type: &evil}), lab.Invalid, "preseed, kickstart, autoyast, cloud-init and ignition")
	f.refused(change(f.ada, "mine", lab.PreseedChange{Name: &taken}), lab.Conflict, `there is a preseed "debian" already`)
	f.refused(change(f.ada, "mine", lab.PreseedChange{Name: &evil}), lab.Invalid, "2 to 128 letters")
	long := strings.Repeat("x", lab.MaxPreseed+1)
	f.refused(change(f.ada, "mine", lab.PreseedChange{Content: &long}), lab.Invalid, "2097153 bytes, and 2097152 are possible")

	f.must(change(f.ada, "mine", lab.PreseedChange{Name: &name, Type: &kind, Content: &content, Public: &yes}))
	f.must(change(f.admin, "ours", lab.PreseedChange{KnownGood: &yes}))
	f.must(change(f.admin, "ours", lab.PreseedChange{KnownGood: &yes})) // and nothing is noted
	p, err := f.Preseed(t.Context(), f.grace, "OURS")
	if err != nil || p.Name != "ours" || p.Type != "cloud-init" || p.Content != content || p.Owner != "ada" || !p.KnownGood || !p.Public ||
		p.Description != "for the cluster" || !p.Use.None() {
		t.Errorf("preseed %+v, %v", p, err)
	}
	changed := f.events(lab.EventPreseedChanged)
	if len(changed) != 2 || changed[0].Detail != `mine, name "ours", type "cloud-init", public "yes", content of 14 bytes` || changed[1].Detail != `ours, known good "yes"` {
		t.Errorf("events %+v", changed)
	}
	f.must(f.RemovePreseed(t.Context(), f.ada, "ours", false))
	f.refused(f.RemovePreseed(t.Context(), f.ada, "ours", false), lab.NotFound)
}

func TestPreseedInUseStays(t *testing.T) {
	f := newFixture(t)
	f.addPreseed(f.grace, "debian", "preseed", "x")
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	token := f.install("debian")
	kind := "kickstart"
	f.refused(f.ChangePreseed(t.Context(), f.grace, "debian", lab.PreseedChange{Type: &kind}), lab.Conflict, "is being installed on web-01")
	for _, actor := range []lab.Actor{f.grace, f.admin} {
		f.refused(f.RemovePreseed(t.Context(), actor, "debian", true), lab.Conflict, "is being installed on web-01")
	}
	f.must(f.PhoneHome(t.Context(), token, ""))
	f.refused(f.RemovePreseed(t.Context(), f.grace, "debian", true), lab.Conflict, "was last installed on web-01")
	f.refused(f.RemovePreseed(t.Context(), f.admin, "debian", false), lab.Conflict, "was last installed on web-01")
	f.must(f.RemovePreseed(t.Context(), f.admin, "debian", true))
	if m := f.machine("web-01"); m.Preseed != "" {
		t.Errorf("the machine still has %s", m.Preseed)
	}
}

func TestKernelOptionsAreThoseOfThePreseed(t *testing.T) {
	f := newFixture(t)
	f.network()
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	for kind, want := range map[string]string{
		"preseed":    "auto=true priority=critical url=U/preseed interface=auto netcfg/get_nameservers=10.0.0.2",
		"kickstart":  "ks=U/preseed kssendmac inst.ks=U/preseed inst.ks.sendmac dns=10.0.0.2 nameserver=10.0.0.2",
		"autoyast":   "autoyast=U/preseed nameserver=10.0.0.2",
		"cloud-init": "autoinstall ds=nocloud-net;s=U/cloud-init/",
		"ignition":   "ignition.config.url=U/preseed ignition.firstboot ignition.platform.id=metal nameserver=10.0.0.2",
	} {
		f.addPreseed(f.ada, kind, kind, "{{ preseed_url }} {{ kernel_options }}")
		token := f.install(kind)
		url := "http://127.0.0.1:8080/boot/" + token
		want = strings.ReplaceAll(want, "U/", url+"/") + " quiet"
		config, err := f.fetch("pxelinux.cfg/01-52-54-00-00-00-01") // which quotes nothing
		if err != nil || !strings.Contains(config, " "+want+"\n") {
			t.Errorf("%s: configuration without %s:\n%s, %v", kind, want, config, err)
		}
		source := url + "/preseed"
		if kind == "cloud-init" {
			source = url + "/cloud-init/user-data"
		}
		answers, err := f.RunPreseed(t.Context(), token, "")
		if err != nil || string(answers.Text) != source+" quiet" || string(answers.Type) != kind {
			t.Errorf("%s: answers %q of type %s, %v", kind, answers.Text, answers.Type, err)
		}
		preview, err := f.PreviewPreseed(t.Context(), f.ada, kind, "web-01")
		if err != nil || preview.Options != strings.ReplaceAll(want, token, "TOKEN-OF-THE-RUN") {
			t.Errorf("%s: preview of options %q, %v", kind, preview.Options, err)
		}
	}
}

// network puts web-01 into a network, with a static address.
func (f *fixture) network() {
	f.t.Helper()
	f.must(f.AddNetwork(f.t.Context(), lab.Local, store.Network{
		Name: "rack-1", Subnet: "10.0.0.0/24", StaticPool: "10.0.0.0/25", Gateway: "10.0.0.1", Nameservers: []string{"10.0.0.2", "10.0.0.3"}, Domain: "example.org",
	}))
	network, kind, address, name := "rack-1", "static", "10.0.0.7", "eth0"
	_, err := f.SetInterface(f.t.Context(), f.admin, "web-01", "", lab.InterfaceChange{Network: &network, ConfigType: &kind, IPv4: &address, Identifier: &name})
	f.must(err)
}

func TestPreseedKnowsNetworksAndDisks(t *testing.T) {
	f := newFixture(t)
	f.network()
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.must(f.SetDisks(t.Context(), f.ada, "web-01", []string{"/dev/nvme0n1", "/dev/disk/by-id/ata-X_1"}))
	f.refused(f.SetDisks(t.Context(), f.grace, "web-01", nil), lab.Denied, "held by ada")
	for _, bad := range []string{"sda", "/dev/sda b", "/dev/../etc/passwd", "/dev/s\"da", ""} {
		f.refused(f.SetDisks(t.Context(), f.ada, "web-01", []string{bad}), lab.Invalid, "is no disk")
	}
	f.refused(f.SetDisks(t.Context(), f.ada, "web-01", []string{"/dev/sda", "/dev/sda"}), lab.Invalid, "twice")
	f.addPreseed(f.ada, "all", "preseed", "{{ gateway }} {{ nameservers|join(',') }} {{ nameserver }} {{ domain }} {{ disks|join(',') }} {{ install_disk }}"+
		"{% for i in interfaces %} {{ i.name }} {{ i.static_ipv4 }}/{{ i.prefix }} {{ i.network }} {{ i.gateway }} {{ i.nameservers|join(',') }} {{ i.domain }}{% endfor %}")
	want := "10.0.0.1 10.0.0.2,10.0.0.3 10.0.0.2 example.org /dev/nvme0n1,/dev/disk/by-id/ata-X_1 /dev/nvme0n1" +
		" eth0 10.0.0.7/24 rack-1 10.0.0.1 10.0.0.2,10.0.0.3 example.org"
	preview, err := f.PreviewPreseed(t.Context(), f.ada, "all", "web-01")
	if err != nil || string(preview.Text) != want || len(preview.Undefined) != 0 {
		t.Errorf("web-01: %q, %v, want %q", preview.Text, err, want)
	}
	preview, err = f.PreviewPreseed(t.Context(), f.ada, "all", "web-02")
	if err != nil || string(preview.Text) != "     " || len(preview.Undefined) != 0 {
		t.Errorf("a machine of which nothing is known: %q, %q, %v", preview.Text, lab.UndefinedNames(preview.Undefined), err)
	}
}

func TestPreviewShowsNoRealTokenAndNotesNothing(t *testing.T) {
	f := newFixture(t)
	f.addPreseed(f.ada, "debian", "preseed", "{{ hostname }} {{ phone_home_url }} {{ ssh_key }}\n{{ hostnam }}")
	f.addPreseed(f.ada, "broken", "preseed", "{{ typo }}\n{{ typo.x }}")
	f.must(f.AddPreseed(t.Context(), f.ada, lab.NewPreseed{Name: "private", Type: "preseed", Content: "x"}))
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	token := f.install("debian")
	preview, err := f.PreviewPreseed(t.Context(), f.ada, "debian", "web-01")
	if want := "web-01 http://127.0.0.1:8080/boot/TOKEN-OF-THE-RUN/phone-home ssh-ed25519 AAAAada ada@laptop\n"; err != nil || string(preview.Text) != want {
		t.Errorf("preview %q, %v", preview.Text, err)
	}
	if got := lab.UndefinedNames(preview.Undefined); got != "hostnam (line 2)" {
		t.Errorf("undefined %q", got)
	}
	broken, err := f.PreviewPreseed(t.Context(), f.ada, "broken", "web-01")
	f.refused(err, lab.Invalid, "preview preseed broken for web-01", "typo is undefined", "line 2")
	var of *boot.PreseedError
	if !errors.As(err, &of) || of.Line != 2 || lab.UndefinedNames(broken.Undefined) != "typo (line 1)" {
		t.Errorf("error %v in %+v, undefined %v", err, of, broken.Undefined)
	}
	if run := f.running(); run.Stage != lab.StageAsked || run.Token != token || len(f.events(lab.EventPreseedUndefined)) != 0 {
		t.Errorf("after the preview: %+v", run)
	}
	for _, test := range []struct {
		actor            lab.Actor
		preseed, machine string
		code             lab.Code
	}{
		{f.grace, "debian", "web-01", lab.Denied}, {f.grace, "private", "web-02", lab.Denied}, {f.grace, "none", "web-02", lab.NotFound},
		{f.grace, "debian", "none", lab.NotFound},
	} {
		_, err := f.PreviewPreseed(t.Context(), test.actor, test.preseed, test.machine)
		f.refused(err, test.code, "preview preseed "+test.preseed)
	}
	if _, err := f.PreviewPreseed(t.Context(), f.grace, "debian", "web-02"); err != nil {
		t.Errorf("of a machine that nobody holds: %v", err)
	}
}

func TestUndefinedVariablesAreAnEvent(t *testing.T) {
	f := newFixture(t)
	f.addPreseed(f.ada, "debian", "preseed", "a {{ hostnam }}\n{{ kernel.nam }}{{ hostnam }}")
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	answers, err := f.RunPreseed(t.Context(), f.install("debian"), "10.0.0.9")
	if err != nil || string(answers.Text) != "a \n" {
		t.Errorf("answers %q, %v", answers.Text, err)
	}
	events := f.events(lab.EventPreseedUndefined)
	if len(events) != 1 || events[0].Machine != "web-01" || events[0].RunID == 0 || events[0].Detail != "debian: hostnam (line 1), kernel.nam (line 2)" {
		t.Errorf("events %+v", events)
	}
}

func TestAddressOfAnOldInstallerIsForTheMachineThatHasIt(t *testing.T) {
	f := newFixture(t)
	f.addPreseed(f.ada, "other", "preseed", "other")
	f.addPreseed(f.ada, "debian", "preseed", "for {{ hostname }}")
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	p, err := f.Preseed(t.Context(), f.ada, "debian")
	f.must(err)
	other, err := f.Preseed(t.Context(), f.ada, "other")
	f.must(err)
	lease := func(mac, address string, d time.Duration) {
		t.Helper()
		f.must(f.db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.KeepLease(t.Context(), store.Lease{MAC: mac, IPv4: address, StartedAt: f.clock(), ExpiresAt: f.clock().Add(d)})
		}))
	}
	ask := func(id int64, address string) string {
		t.Helper()
		answers, err := f.AddressPreseed(t.Context(), id, netip.MustParseAddrPort(address))
		if err != nil {
			f.refused(err, lab.NotFound, "no run that is going on")
			return ""
		}
		return string(answers.Text)
	}
	lease("52:54:00:00:00:01", "10.0.0.9", time.Hour)
	lease("52:54:00:00:00:02", "10.0.0.10", time.Hour)
	if got := ask(p.ID, "10.0.0.9:1234"); got != "" {
		t.Errorf("without a run: %q", got)
	}
	token := f.install("debian")
	for address, want := range map[string]string{
		"10.0.0.9:1234": "for web-01", "[::ffff:10.0.0.9]:1234": "for web-01", "10.0.0.10:1": "", "10.0.0.11:1": "", "[2001:db8::9]:1": "",
	} {
		if got := ask(p.ID, address); got != want {
			t.Errorf("from %s: %q, want %q", address, got, want)
		}
	}
	if got := ask(other.ID, "10.0.0.9:1") + ask(0, "10.0.0.9:1") + ask(-1, "10.0.0.9:1"); got != "" {
		t.Errorf("another preseed than the run's: %q", got)
	}
	if e := f.lastEvent(lab.EventPreseedFetched); e.Machine != "web-01" || !strings.HasPrefix(e.Detail, "debian by ") {
		t.Errorf("event %+v", e)
	}
	f.advance(time.Hour)
	if got := ask(p.ID, "10.0.0.9:1234"); got != "" {
		t.Errorf("after the lease: %q", got)
	}
	f.network() // 10.0.0.7
	if got := ask(p.ID, "10.0.0.7:1"); got != "for web-01" {
		t.Errorf("from the address that is set: %q", got)
	}
	lease("52:54:00:00:00:02", "10.0.0.7", time.Hour)
	if got := ask(p.ID, "10.0.0.7:1"); got != "" {
		t.Errorf("from an address that two claim: %q", got)
	}
	lease("52:54:00:00:00:02", "10.0.0.10", time.Hour)
	f.must(f.PhoneHome(t.Context(), token, ""))
	if got := ask(p.ID, "10.0.0.7:1"); got != "" {
		t.Errorf("after the run: %q", got)
	}
}

func TestCloudInitIsToldWhichInstanceItIs(t *testing.T) {
	f := newFixture(t)
	f.must(f.Reserve(t.Context(), f.ada, "web-01", ""))
	f.provision()
	run := f.running()
	text, err := f.CloudMetaData(t.Context(), run.Token)
	if want := fmt.Sprintf("instance-id: provisioner-run-%d\nlocal-hostname: web-01\n", run.ID); err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
	f.must(f.PhoneHome(t.Context(), run.Token, ""))
	_, err = f.CloudMetaData(t.Context(), run.Token)
	f.refused(err, lab.NotFound, "no run that is going on")
}
