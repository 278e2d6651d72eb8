package server_test

import (
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/pkg/sftp"

	"provisioner/lab"
	"provisioner/store"
)

// person is somebody with OpenSSH's programs.
type person struct {
	p      *product
	name   string
	signer gossh.Signer
	args   []string // for scp and sftp
}

func (p *product) person(name string, admin bool) person {
	p.t.Helper()
	private, signer := newKeyPair(p.t)
	err := p.lab.AddUser(p.t.Context(), lab.Local, name, admin, &lab.PublicKey{
		Fingerprint: gossh.FingerprintSHA256(signer.PublicKey()), Authorized: string(gossh.MarshalAuthorizedKey(signer.PublicKey())),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, name)
	if err != nil {
		p.t.Fatal(err)
	}
	key := filepath.Join(p.t.TempDir(), "key")
	if err := os.WriteFile(key, pem.EncodeToMemory(block), 0o600); err != nil {
		p.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(p.SSHAddr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	return person{p: p, name: name, signer: signer, args: []string{
		"-F", "none", "-i", key, "-P", port, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "User=" + name,
	}}
}

// run runs scp or sftp.
func (u person) run(program, input string, args ...string) (string, error) {
	u.p.t.Helper()
	needs(u.p.t, program, "openssh-client")
	cmd := exec.CommandContext(u.p.t.Context(), program, append(slices.Clone(u.args), args...)...)
	cmd.Stdin = strings.NewReader(input)
	// Not one pipe for both: ssh has its stderr not block, and sftp would lose
	// what it prints where nobody reads fast enough.
	var out, notes strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &notes
	err := cmd.Run()
	return out.String() + notes.String(), err
}

func (u person) image(name string) (lab.Image, error) {
	return u.p.lab.Image(u.p.t.Context(), lab.Local, name)
}

func TestSCPAddsImages(t *testing.T) {
	p := start(t)
	ada, root := p.person("ada", false), p.person("root", true)
	content := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB, many packets
	file := p.file("vmlinuz-6.12", content)

	if out, err := ada.run("scp", "", file, "127.0.0.1:images/kernel/amd64/"); err != nil || out != "" {
		t.Fatalf("scp: %v: %s", err, out)
	}
	image, err := ada.image("vmlinuz-6.12")
	if err != nil || image.SHA256 != sumOf(content) || image.Type != store.ImageKernel || image.Arch != "amd64" ||
		image.Filename != "vmlinuz-6.12" || image.Owner != "ada" || image.Public {
		t.Errorf("image: %+v, %v", image, err)
	}
	if out, err := ada.run("scp", "", "-p", file, "127.0.0.1:/images/initrd/arm64/initrd.gz"); err != nil {
		t.Errorf("scp -p: %v: %s", err, out)
	}
	if out, err := root.run("scp", "", file, "127.0.0.1:images/bootloader/amd64/uefi/grubx64.efi"); err != nil {
		t.Errorf("bootloader: %v: %s", err, out)
	}
	if image, err := ada.image("grubx64.efi"); err != nil || !slices.Equal(image.Use.Subarchs, []string{"amd64/uefi"}) {
		t.Errorf("bootloader: %+v, %v", image, err)
	}
	for target, words := range map[string]string{
		"images/kernel/amd64/vmlinuz-6.12":       "there is an image of that name already",
		"images/kernel/vax/vmlinuz":              "vax",
		"images/bootloader/amd64/uefi/other.efi": "only an admin may",
		"images/kernel/amd64/a b":                "cannot be asked for by a bootloader",
		"images/kernel/amd64/.hidden":            "2 to 128",
		"images/sandwich/amd64/x1":               "none of images/kernel/",
		"images/kernel/amd64/deep/x1":            "too deep",
		"x1":                                     "not below images/",
		"../../etc/passwd":                       "not below images/",
		"images/../../x1":                        "not below images/",
		"logs/x1.log":                            "can be read here",
		"images":                                 "",
	} {
		out, err := ada.run("scp", "", file, "127.0.0.1:"+target)
		if err == nil || !strings.Contains(out, words) {
			t.Errorf("scp to %s: %v: %s", target, err, out)
		}
	}
	if out, err := ada.run("scp", "", p.file("empty", ""), "127.0.0.1:images/kernel/amd64/empty"); err == nil || !strings.Contains(out, "the file is empty") {
		t.Errorf("an empty file: %v: %s", err, out)
	}
	if out, err := ada.run("scp", "", "127.0.0.1:images/kernel/amd64/vmlinuz-6.12", t.TempDir()); err == nil || !strings.Contains(out, "not given back") {
		t.Errorf("back: %v: %s", err, out)
	}
	p.nothingLeft()
}

func TestSFTPListsRenamesAndRemoves(t *testing.T) {
	p := start(t)
	ada, grace := p.person("ada", false), p.person("grace", false)
	file := p.file("vmlinuz", "a kernel")
	batch := func(u person, lines ...string) (string, error) {
		return u.run("sftp", strings.Join(lines, "\n"), "-b", "-", "127.0.0.1")
	}
	out, err := batch(ada, "cd images/kernel/amd64", "put "+file+" linux.part", "rename linux.part linux", "ls -l", "ls -1 /images", "ls -1 /images/initrd", "ls -1 /images/bootloader/amd64")
	for _, want := range []string{" 8 ", " linux\n", "\n/images/kernel\n", "\n/images/initrd/arm64\n", "\n/images/bootloader/amd64/bios\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if image, err := ada.image("linux"); err != nil || image.Filename != "linux" {
		t.Errorf("image: %+v, %v", image, err)
	}
	for _, test := range []struct {
		who   person
		line  string
		words string
	}{
		{grace, "ls images/kernel/amd64/linux", "not found"}, // it is private
		{grace, "rm images/kernel/amd64/linux", "No such file"},
		{ada, "rename images/kernel/amd64/linux images/initrd/amd64/linux", "not be moved"},
		{ada, "rm images/initrd/amd64/linux", "No such file"},
		{ada, "mkdir images/kernel/vax", "unsupported"},
		{ada, "ln -s images/kernel x1", ""},
		{ada, "get images/kernel/amd64/linux /dev/null", "not given back"},
		{ada, "reput " + file + " images/kernel/amd64/linux", ""},
	} {
		if out, err := batch(test.who, test.line); err == nil || !strings.Contains(out, test.words) {
			t.Errorf("%s: %v: %s", test.line, err, out)
		}
	}
	if out, err := batch(ada, "rm images/kernel/amd64/linux"); err != nil {
		t.Errorf("rm: %v: %s", err, out)
	}
	if image, err := ada.image("linux"); lab.CodeOf(err) != lab.NotFound {
		t.Errorf("after rm: %+v, %v", image, err)
	}
	p.nothingLeft()
}

// sftp opens a session of a client that does what programs of people do not.
func (u person) sftp() (*gossh.Client, *sftp.Client) {
	u.p.t.Helper()
	client, _, err := u.p.dial(u.name, u.signer)
	if err != nil {
		u.p.t.Fatal(err)
	}
	files, err := sftp.NewClient(client, sftp.UseConcurrentWrites(true))
	if err != nil {
		u.p.t.Fatal(err)
	}
	return client, files
}

func TestTransferThatIsTornLeavesNothing(t *testing.T) {
	p := start(t)
	ada := p.person("ada", false)
	client, files := ada.sftp()
	file, err := files.Create("images/kernel/amd64/half")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("half of a kernel")); err != nil {
		t.Fatal(err)
	}
	if info, err := files.Stat("images/kernel/amd64/half"); err != nil || info.Size() != 16 {
		t.Errorf("on its way: %v, %v", info, err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	p.stop() // and waits until the session has ended
	p.nothingLeft()
	if image, err := ada.image("half"); lab.CodeOf(err) != lab.NotFound {
		t.Errorf("half an image: %+v, %v", image, err)
	}
}

func TestPiecesMayComeInAnotherOrder(t *testing.T) {
	p := start(t)
	ada := p.person("ada", false)
	_, files := ada.sftp()
	send := func(name string, pieces ...any) error {
		file, err := files.Create("images/kernel/amd64/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(pieces); i += 2 {
			if _, err := file.WriteAt([]byte(pieces[i+1].(string)), int64(pieces[i].(int))); err != nil {
				_ = file.Close()
				return err
			}
		}
		return file.Close()
	}
	if err := send("shuffled", 4, "rn", 6, "el", 0, "a ke"); err != nil {
		t.Error(err)
	}
	if image, err := ada.image("shuffled"); err != nil || image.SHA256 != sumOf("a kernel") {
		t.Errorf("image: %+v, %v", image, err)
	}
	for name, pieces := range map[string][]any{
		"gap":    {0, "a ke", 6, "el"},
		"twice":  {0, "a ke", 0, "A ke"},
		"beyond": {1 << 40, "x"},
	} {
		err := send(name, pieces...)
		if name == "beyond" && err == nil || err == nil || !strings.Contains(err.Error(), "from its first byte to its last") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range 9 {
		_, err := files.Create(fmt.Sprintf("images/kernel/amd64/open-%d", i))
		if (err != nil) != (i == 8) {
			t.Errorf("file %d at a time: %v", i, err)
		}
	}
}

func TestSFTPSessionEndsWithTheKey(t *testing.T) {
	p := start(t)
	ada := p.person("ada", false)
	client, files := ada.sftp()
	file, err := files.Create("images/kernel/amd64/late")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("a kernel of somebody who was locked out")); err != nil {
		t.Fatal(err)
	}
	if err := p.lab.RemoveKey(t.Context(), lab.Local, "ada", gossh.FingerprintSHA256(ada.signer.PublicKey())); err != nil {
		t.Fatal(err)
	}
	if err := files.Wait(); err == nil {
		t.Error("the session goes on without the key")
	}
	if err := file.Close(); err == nil {
		t.Error("the file is taken")
	}
	_ = client.Close()
	p.stop()
	p.nothingLeft()
	if image, err := ada.image("late"); lab.CodeOf(err) != lab.NotFound {
		t.Errorf("an image of somebody who was locked out: %+v, %v", image, err)
	}
}
