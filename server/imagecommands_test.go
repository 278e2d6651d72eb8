package server_test

import (
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"provisioner/lab"
	"provisioner/store"
)

func TestImageCommands(t *testing.T) {
	p := start(t)
	keys := map[string]gossh.Signer{"ada": p.enrolled("ada", false), "grace": p.enrolled("grace", false), "root": p.enrolled("root", true)}
	for _, name := range []string{"linux", "old"} {
		err := p.lab.AddImage(t.Context(), lab.Local, lab.NewImage{
			Name: name, Type: store.ImageKernel, Arch: "amd64", Filename: "vmlinuz", Public: true,
		}, strings.NewReader("kernel "+name))
		if err != nil {
			t.Fatal(err)
		}
	}
	token := p.token("ada")
	if status, answer := p.curl(token, "-F", "name=mine", "-F", "type=kernel", "-F", "file=@"+p.file("vmlinuz", "mine"), "/images"); status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	for _, step := range []struct {
		user    string
		command string
		code    int
		out     string // contained in the output
		notes   string // contained in the notes
	}{
		{"ada", "image", 0, "NAME   TYPE    ARCH   SIZE", ""},
		{"ada", "image list", 0, "mine   kernel  amd64  4     ada", ""},
		{"ada", "image list", 0, "private", ""},
		{"ada", "image list --json", 0, `"sha256": "` + sumOf("mine") + `"`, ""},
		{"ada", "image show mine", 0, sumOf("mine"), ""},
		{"ada", "image show mine --json", 0, `"running": []`, ""},
		{"grace", "image show mine", 4, "", "image mine is private"},
		{"grace", "image show none", 3, "", `there is no image "none"`},
		{"grace", "image set mine --public", 4, "", "only ada or an admin may"},
		{"ada", "image set mine", 2, "", "say what is to be different"},
		{"ada", "image set mine --public --description 'with the fix' --rename ours", 0, "ours is changed\n", ""},
		{"grace", "image show ours", 0, "with the fix", ""},
		{"root", "image set ours --known-good --json", 0, `"known_good": true`, ""},
		{"root", "image set ours --no-public --json", 0, `"public": false`, ""},
		{"ada", "image rm linux", 4, "", "only an admin may"},
		{"ada", "image rm ours linux", 4, "ours removed\n", "remove image linux"},
		{"root", "image rm linux old --json", 0, `"old"`, ""},
		{"ada", "image list --json", 0, "[]\n", ""},
		{"ada", "image import x1 http://192.0.2.1/vmlinuz --type kernel", 4, "", "only an admin may"},
		{"root", "image import x1 http://" + p.HTTPAddr().String() + "/healthz --type kernel", 4, "", "an address of the server itself"},
		{"root", "image import x1 ftp://host/x --type kernel", 2, "", "http://"},
		{"root", "image import x1 http://host/x --type sandwich", 2, "", "must be one of"},
	} {
		r := p.run(step.user, keys[step.user], step.command, "")
		if r.code != step.code || !strings.Contains(r.out, step.out) || !strings.Contains(r.notes, step.notes) {
			t.Errorf("%s: %s: %+v", step.user, step.command, r)
		}
	}
}
