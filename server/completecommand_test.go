package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

func TestTheLastWordOfALineIsCompleted(t *testing.T) {
	p := start(t)
	ada := p.enrolled("ada", false)
	admin := p.enrolled("root", true)
	for _, i := range []lab.NewImage{
		{Name: "linux-6.12", Type: store.ImageKernel, Public: true}, {Name: "private", Type: store.ImageKernel},
		{Name: "initrd-6.12", Type: store.ImageInitrd, Public: true},
	} {
		i.Arch, i.Filename = "amd64", i.Name
		if err := p.lab.AddImage(t.Context(), lab.Local, i, strings.NewReader(i.Name)); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string]string{
		"sho":                          "show",
		"show ''":                      "web-01 web-02",
		"show web-02":                  "web-02",
		"show no":                      "",
		"show web-01 ''":               "",
		"show --j":                     "--json",
		"show -- --j":                  "",
		"show --json web-01":           "web-01",
		"list --query":                 "--query",
		"power web-01 s":               "soft status",
		"power web-01 -":               "--help --json",
		"provision web-01 --kernel":    "--kernel",
		"provision web-01 --kernel ''": "linux-6.12",
		"provision web-01 --kernel=x --initrd ''": "initrd-6.12",
		"provision --wait ''":                     "web-01 web-02",
		"image r":                                 "rm",
		"image rm initrd-6.12 ''":                 "initrd-6.12 linux-6.12",
		"image list --j":                          "--json",
		"image --j":                               "--json",
		"run list --state r":                      "running",
		"run --state c":                           "cancelled",
		"preseed put x --no-p":                    "--no-public",
		"events --kind image-":                    "image-added image-changed image-removed image-damaged",
		"comp":                                    "",
		"frobnicate ''":                           "",
	} {
		words, begun := strings.CutSuffix(line, " ''")
		at := ""
		if begun {
			at = fmt.Sprintf("--at %d ", len(strings.Fields(words)))
		}
		r := p.run("ada", ada, "complete "+at+"-- "+words, "")
		if got := strings.Join(strings.Fields(r.out), " "); got != want || r.code != 0 {
			t.Errorf("%s: %q, want %q; %+v", line, got, want, r)
		}
	}
	for _, line := range []string{"complete", "complete --at 0"} {
		r := p.run("ada", ada, line, "")
		if words := strings.Fields(r.out); !slices.Contains(words, "console") || slices.Contains(words, "complete") {
			t.Errorf("%s: %q", line, words)
		}
	}
	for kind, want := range map[string]string{
		"machines": "web-01 web-02", "kernels": "linux-6.12 private", "initrds": "initrd-6.12", "images": "initrd-6.12 linux-6.12 private",
		"preseeds": "", "users": "ada root",
	} {
		r := p.run("root", admin, "complete --names "+kind, "")
		if got := strings.Join(strings.Fields(r.out), " "); got != want || r.code != 0 {
			t.Errorf("--names %s: %q, want %q; %+v", kind, got, want, r)
		}
	}
}
