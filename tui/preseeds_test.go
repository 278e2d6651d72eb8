package tui

import (
	"testing"

	"provisioner/lab"
)

const installerTemplate = `# for {{ hostname }}
d-i netcfg/get_hostname string {{ hostname }}
d-i mirror/http/proxy string {{ proxy_of_the_lab }}
d-i preseed/late_command string wget -q -O /dev/null {{ phone_home_url }}
`

// atPreseeds sits somebody down before a list of preseeds.
func (s *site) atPreseeds(actor lab.Actor, w window) *seat {
	s.t.Helper()
	s.must(s.lab.AddPreseed(s.t.Context(), actor, lab.NewPreseed{
		Name: "debian-12", Type: "preseed", Description: "bookworm, one disk", Content: installerTemplate,
	}))
	p := s.sit(actor, w.width, w.height)
	p.awaits("amd-rome-01")
	p.press("p")
	p.awaits("2 preseeds", "debian-12", "minimal")
	return p
}

func TestPreseedsAreListedAndShown(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace := provisionable(t)
		p := s.atPreseeds(grace, w)
		p.golden("preseeds-" + w.name)
		p.press(enterKey)
		p.awaits("Preseed debian-12", "nobody", "d-i netcfg/get_hostname string {{ hostname }}")
		p.golden("preseed-" + w.name)
		p.press("P")
		p.awaits("✓ debian-12 is public: everybody may boot it", "Who may   ✓ public")
		p.press("d")
		p.awaits("Delete the preseed debian-12? It cannot be had back.")
		p.press("y")
		p.awaits("✓ debian-12 is deleted", "1 preseed ")
	})
}

func TestPreseedIsPreviewedForAMachine(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace := provisionable(t)
		p := s.atPreseeds(grace, w)
		p.press("v")
		p.awaits("Preview debian-12", "amd-rome-01", "!ampere-01") // which ada holds
		p.golden("preview-form-" + w.name)
		p.press("rome-02")
		p.awaits("› amd-rome-02", "!amd-rome-01")
		p.press(enterKey)
		p.awaits("enter: what amd-rome-02 would be given by it")
		p.press(enterKey)
		p.awaits("debian-12 for amd-rome-02", "# for amd-rome-02", "proxy_of_the_lab (line 3): rendered empty", "boot/TOKEN-OF-THE-RUN/phone-home")
		p.golden("preview-" + w.name)
		broken := "fine\n{{ typo.x }}\n"
		s.must(s.lab.ChangePreseed(t.Context(), grace, "debian-12", lab.PreseedChange{Content: &broken}))
		p.awaits("typo is undefined", "line 2")
		s.must(s.lab.Reserve(t.Context(), s.user("ada", false), "amd-rome-02", ""))
		p.awaits("it is held by ada", "!# for amd-rome-02")
	})
}
