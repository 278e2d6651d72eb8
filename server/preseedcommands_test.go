package server_test

import (
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

func TestPreseedCommands(t *testing.T) {
	t.Parallel()
	p := start(t)
	keys := map[string]gossh.Signer{"ada": p.enrolled("ada", false), "grace": p.enrolled("grace", false), "root": p.enrolled("root", true)}
	for _, step := range []struct {
		user    string
		command string
		input   string
		code    int
		out     string // contained in the output
		notes   string // contained in the notes
	}{
		{"ada", "preseed list --json", "", 0, "[]\n", ""},
		{"ada", "preseed put debian", "{{ hostname }} {{ hostnam }}\n", 0, "debian is kept\n", ""},
		{"ada", "preseed put bad", "a\n{% if %}", 2, "", "line: 2"},
		{"ada", "preseed put empty", "", 2, "", "nothing came on standard input"},
		{"ada", "preseed put big", strings.Repeat("x", 2<<20+1), 2, "", "2097152 are possible"},
		{"ada", "preseed put other --type sandwich", "x", 2, "", "preseed, kickstart, autoyast, cloud-init and ignition"},
		{"ada", "preseed", "", 0, "debian  preseed  ada", ""},
		{"ada", "preseed list", "", 0, "private", ""},
		{"ada", "preseed show debian", "", 0, "{{ hostname }} {{ hostnam }}\n", "[debian: preseed of ada, changed 20"},
		{"ada", "preseed show debian --json", "", 0, `"content": "{{ hostname }} {{ hostnam }}\n"`, ""},
		{"ada", "preseed show debian --json", "", 0, `"running": []`, ""},
		{"grace", "preseed show debian", "", 4, "", "preseed debian is private"},
		{"grace", "preseed put debian", "mine now", 4, "", "only ada or an admin may"},
		{"grace", "preseed preview debian web-01", "", 4, "", "preseed debian is private"},
		{"ada", "preseed preview debian web-01", "", 0, "web-01 \n", "[undefined, and empty here: hostnam (line 1)]"},
		{"ada", "preseed preview debian web-01", "", 0, "", "[kernel options: auto=true priority=critical url=http://127.0.0.1/boot/TOKEN-OF-THE-RUN/preseed"},
		{"ada", "preseed preview debian web-01 --json", "", 0, `"name": "hostnam"`, ""},
		{"ada", "preseed preview debian none", "", 3, "", `there is no machine "none"`},
		{"ada", "preseed set debian", "", 2, "", "say what is to be different"},
		{"ada", "preseed set debian --public --type cloud-init --rename cloud --description 'for all'", "", 0, "cloud is changed\n", ""},
		{"grace", "preseed show cloud", "", 0, "", "[description: for all]"},
		{"ada", "preseed put cloud", "#cloud-config\n{{ kernal.x }}", 0, "", ""},
		{"grace", "preseed preview cloud web-02", "", 2, "", "preview preseed cloud for web-02"},
		{"root", "preseed put cloud --known-good --json", "#cloud-config\n", 0, `"known_good": true`, ""},
		{"root", "preseed show cloud --json", "", 0, `"type": "cloud-init"`, ""},
		{"root", "disks web-01 /dev/sda /dev/sdb --json", "", 0, `"/dev/sda"`, ""},
		{"ada", "disks web-01", "", 0, "/dev/sda\n/dev/sdb\n", ""},
		{"ada", "disks web-01 /dev/sdc", "", 4, "", "reserve it first"},
		{"root", "disks web-01 --none", "", 0, "", "no disk of web-01 is known"},
		{"root", "disks web-01 --none /dev/sda", "", 2, "", "either"},
		{"root", "disks web-01 sda", "", 2, "", "is no disk"},
		{"grace", "preseed rm cloud", "", 4, "", "only ada or an admin may"},
		{"ada", "preseed rm cloud --json", "", 0, `"cloud"`, ""},
		{"ada", "preseed rm cloud", "", 3, "", `there is no preseed "cloud"`},
	} {
		r := p.run(step.user, keys[step.user], step.command, step.input)
		if r.code != step.code || !strings.Contains(r.out, step.out) || !strings.Contains(r.notes, step.notes) {
			t.Errorf("%s: %s: %+v", step.user, step.command, r)
		}
	}
}
