package boot

import "testing"

func TestPreseedOptions(t *testing.T) {
	for _, test := range []struct {
		kind      PreseedType
		dns, want string
	}{
		{Preseed, "", "auto=true priority=critical url=U interface=auto"},
		{Preseed, "D", "auto=true priority=critical url=U interface=auto netcfg/get_nameservers=D"},
		{Kickstart, "", "ks=U kssendmac inst.ks=U inst.ks.sendmac"},
		{Kickstart, "D", "ks=U kssendmac inst.ks=U inst.ks.sendmac dns=D nameserver=D"},
		{AutoYaST, "", "autoyast=U"},
		{AutoYaST, "D", "autoyast=U nameserver=D"},
		{CloudInit, "", "autoinstall ds=nocloud-net;s=U"},
		{CloudInit, "D", "autoinstall ds=nocloud-net;s=U"},
		{Ignition, "", "ignition.config.url=U ignition.firstboot ignition.platform.id=metal"},
		{Ignition, "D", "ignition.config.url=U ignition.firstboot ignition.platform.id=metal nameserver=D"},
		{"", "D", ""},
	} {
		if got := PreseedOptions(test.kind, "U", test.dns); got != test.want {
			t.Errorf("PreseedOptions(%q, U, %q) = %q, want %q", test.kind, test.dns, got, test.want)
		}
	}
}

func TestPreseedContentTypes(t *testing.T) {
	for kind, want := range map[PreseedType]string{
		Preseed: "text/plain; charset=utf-8", Kickstart: "text/plain; charset=utf-8", CloudInit: "text/plain; charset=utf-8",
		AutoYaST: "application/xml", Ignition: "application/json",
	} {
		if got := kind.ContentType(); got != want {
			t.Errorf("%s is served as %s, want %s", kind, got, want)
		}
	}
}
