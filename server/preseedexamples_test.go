package server_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"provisioner/lab"
	"provisioner/store"
)

// examples are the preseeds that the documentation shows, each with what an
// installer would run at its end, and who knows whether it is well made.
var examples = map[string]struct {
	kind        string
	path        string         // below the run's address
	contentType string         // it is served as
	phoneHome   *regexp.Regexp // what it says for that
	check       func(t *testing.T, file string, text []byte)
}{
	"debian.cfg":       {"preseed", "preseed", "text/plain; charset=utf-8", regexp.MustCompile(`wget -qO /dev/null \S+`), checkDebconf},
	"fedora.ks":        {"kickstart", "preseed", "text/plain; charset=utf-8", curlCommand, checkKickstart},
	"suse.xml":         {"autoyast", "preseed", "application/xml", curlCommand, checkXML},
	"cloud-init.yaml":  {"cloud-init", "cloud-init/user-data", "text/plain; charset=utf-8", regexp.MustCompile(`(?m)^  url: (\S+)$`), checkCloudConfig},
	"autoinstall.yaml": {"cloud-init", "cloud-init/user-data", "text/plain; charset=utf-8", curlCommand, checkCloudConfig},
	"coreos.ign":       {"ignition", "preseed", "application/json", curlCommand, checkIgnition},
}

var curlCommand = regexp.MustCompile(`curl -fsS --retry \d+ [^\s<\\]+`)

// TestExamplesInstallAndPhoneHome fetches each example as its installer does,
// has it checked by whoever knows its format, and runs what ends the
// installation, twice.
func TestExamplesInstallAndPhoneHome(t *testing.T) {
	t.Parallel()
	needs(t, "curl", "curl")
	needs(t, "busybox", "busybox-static")
	files, err := filepath.Glob("../docs/preseeds/*")
	if err != nil || len(files) != len(examples) {
		t.Fatalf("%d examples are tested, there are %q, %v", len(examples), files, err)
	}
	p := start(t)
	p.installable()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, example := range examples {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join("../docs/preseeds", name))
			must(err)
			must(p.lab.AddPreseed(t.Context(), lab.Local, lab.NewPreseed{Name: name, Type: example.kind, Content: string(content), Public: true}))

			// Of a machine of which nothing is known, it is well made, too.
			for _, machine := range []string{"web-01", "web-02"} {
				preview, err := p.lab.PreviewPreseed(t.Context(), lab.Local, name, machine)
				if err != nil || len(preview.Undefined) != 0 {
					t.Fatalf("%s: %v, undefined: %s", machine, err, lab.UndefinedNames(preview.Undefined))
				}
				file := filepath.Join(t.TempDir(), name)
				must(os.WriteFile(file, preview.Text, 0o600))
				example.check(t, file, preview.Text)
			}

			base := p.install(name)
			got := p.ask(http.MethodGet, base+example.path, nil)
			if got.status != 200 || got.header.Get("Content-Type") != example.contentType || got.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %q %s", got.status, got.header, got.body)
			}
			for variable, value := range map[string]string{"hostname": "web-01", "install_disk": "nvme0n1", "key": "ssh-ed25519 ", "static_ipv4": "10.0.0.7", "domain": "example.org"} {
				if strings.Contains(string(content), "{{ "+variable) && !strings.Contains(got.body, value) {
					t.Errorf("it does not name %s:\n%s", value, got.body)
				}
			}
			found := example.phoneHome.FindStringSubmatch(got.body)
			if found == nil {
				t.Fatalf("it does not phone home:\n%s", got.body)
			}
			command := found[0]
			if strings.HasPrefix(command, "wget") {
				command = "busybox " + command // Debian's installer has no other
			}
			address := "http://" + p.HTTPAddr().String() + "/"
			command = strings.ReplaceAll(command, publicURL, address)
			times := 2
			if name == "cloud-init.yaml" {
				times = 1 // twice by itself: the seed is gone then
				command = strings.Join([]string{"python3 testdata/seed.py", address + base[1:] + "cloud-init/", publicURL, address}, " ")
			}
			for range times {
				shell := exec.CommandContext(t.Context(), "sh", "-c", command)
				shell.Env = append([]string{"PATH=/usr/bin:" + os.Getenv("PATH")}, pythonEnv(t)...)
				if out, err := shell.CombinedOutput(); err != nil {
					t.Errorf("%s: %v: %s", command, err, out)
				}
				m, err := p.lab.Machine(t.Context(), lab.Local, "web-01")
				must(err)
				if m.State != store.StateReady || m.NetbootEnabled || m.Run.State != store.RunDone {
					t.Errorf("after %s: %+v, run %+v", command, m.Machine, m.Run)
				}
			}
			if got := p.ask(http.MethodGet, base+example.path, nil); got.status != 404 {
				t.Errorf("after the phone-home: %d %s", got.status, got.body)
			}
			if calls := p.events(lab.EventPhoneHome); calls != 1 {
				t.Errorf("%d phone-homes are noted", calls)
			}
		})
	}
}

// unpacked is the folder where test/packages.sh has unpacked programs that are
// not to be installed on a machine that they would configure.
func unpacked(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "provisioner-test", "installers")
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: run test/packages.sh", err)
		}
		t.Skipf("%v: run test/packages.sh", err)
	}
	return folder
}

// pythonEnv lets Debian's Python find cloud-init there.
func pythonEnv(t *testing.T) []string {
	t.Helper()
	return []string{"PYTHONPATH=" + filepath.Join(unpacked(t), "usr/lib/python3/dist-packages"), "PYTHONDONTWRITEBYTECODE=1"}
}

func runChecker(t *testing.T, command *exec.Cmd, text []byte) {
	t.Helper()
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s\n%s", command.Path, err, out, text)
	}
}

func checkDebconf(t *testing.T, file string, text []byte) {
	needs(t, "debconf-set-selections", "debconf")
	runChecker(t, exec.CommandContext(t.Context(), "debconf-set-selections", "--checkonly", file), text)
}

// checkKickstart has to do without Anaconda's own checker, which is not in
// Debian: each section has its end, and no line is broken by a variable.
func checkKickstart(t *testing.T, _ string, text []byte) {
	commands := []string{
		"text", "url", "lang", "keyboard", "timezone", "network", "rootpw", "sshkey", "ignoredisk", "zerombr", "clearpart", "autopart", "reboot",
	}
	section := ""
	for line := range strings.Lines(string(text)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "%end" && section != "":
			section = ""
		case strings.HasPrefix(word, "%") && section == "" && word != "%end":
			section = word
		case section == "" && word != "" && !strings.HasPrefix(word, "#") && !slices.Contains(commands, word),
			section != "" && strings.HasPrefix(word, "%"):
			t.Errorf("%q in %q:\n%s", line, section, text)
		}
	}
	if section != "" {
		t.Errorf("%s does not end:\n%s", section, text)
	}
}

func checkXML(t *testing.T, _ string, text []byte) {
	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
	}
}

func checkCloudConfig(t *testing.T, file string, text []byte) {
	needs(t, "/usr/bin/python3", "python3")
	command := exec.CommandContext(t.Context(), "/usr/bin/python3", "-m", "cloudinit.cmd.main", "schema", "--config-file", file)
	command.Env = pythonEnv(t)
	runChecker(t, command, text)
}

func checkIgnition(t *testing.T, file string, text []byte) {
	if !json.Valid(text) {
		t.Errorf("no JSON:\n%s", text)
	}
	runChecker(t, exec.CommandContext(t.Context(), filepath.Join(unpacked(t), "usr/bin/ignition-validate"), file), text)
}
