package server_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provisioner/lab"
)

// batch runs commands of sftp.
func (u person) batch(lines ...string) (string, error) {
	u.p.t.Helper()
	return u.run("sftp", strings.Join(lines, "\n"), "-b", "-", "127.0.0.1")
}

// does is batch for commands that work.
func (u person) does(lines ...string) string {
	u.p.t.Helper()
	out, err := u.batch(lines...)
	if err != nil {
		u.p.t.Fatalf("%v: %s", err, out)
	}
	return out
}

// content is what was got.
func (p *product) content(file string) string {
	p.t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

func TestFoldersAreListed(t *testing.T) {
	p := start(t)
	out := p.person("ada", false).does("ls -1", "ls -1 images", "ls -1 preseeds", "ls -1 logs")
	for _, want := range []string{"\nimages\nlogs\npreseeds\n", "images/bootloader\n"} {
		if !strings.Contains("\n"+strings.ReplaceAll(out, " ", ""), want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	if strings.Contains(out, ".log") {
		t.Errorf("somebody who has held no machine sees logs: %s", out)
	}
}

func TestPreseedsAreReadAndWritten(t *testing.T) {
	p := start(t)
	ada, grace := p.person("ada", false), p.person("grace", false)
	dir := t.TempDir()
	first, second := p.file("first", "d-i netcfg/get_hostname string {{ hostname }}\n"), p.file("second", strings.Repeat("# longer\n", 100_000))
	ada.does("put "+first+" preseeds/minimal", "put "+first+" preseeds/web.yaml")
	preseed, err := p.lab.Preseed(t.Context(), lab.Local, "minimal")
	if err != nil || preseed.Type != "preseed" || preseed.Owner != "ada" || preseed.Public {
		t.Errorf("%+v, %v", preseed, err)
	}
	if cloud, err := p.lab.Preseed(t.Context(), lab.Local, "web.yaml"); err != nil || cloud.Type != "cloud-init" {
		t.Errorf("by its name: %+v, %v", cloud, err)
	}
	// What is there is changed, and has come back whole.
	if out, err := ada.run("scp", "", second, "127.0.0.1:preseeds/minimal"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out := ada.does("ls -l preseeds", "get preseeds/minimal "+filepath.Join(dir, "minimal"), "rename preseeds/web.yaml preseeds/db.yaml", "rm preseeds/db.yaml")
	if !strings.Contains(out, " 900000 ") || !strings.Contains(out, "-rw-r--r--") {
		t.Errorf("listed: %s", out)
	}
	if got := p.content(filepath.Join(dir, "minimal")); got != p.content(second) {
		t.Errorf("got %d bytes", len(got))
	}
	if changed, err := p.lab.Preseed(t.Context(), lab.Local, "minimal"); err != nil || changed.ID != preseed.ID {
		t.Errorf("changed: %d, %v", changed.ID, err)
	}
	if _, err := p.lab.Preseed(t.Context(), lab.Local, "db.yaml"); lab.CodeOf(err) != lab.NotFound {
		t.Errorf("removed: %v", err)
	}
	torn := p.file("torn", "{% if hostname %}")
	huge := p.file("huge", strings.Repeat("#", lab.MaxPreseed+1))
	for _, test := range []struct {
		who   person
		line  string
		words string
	}{
		{ada, "put " + torn + " preseeds/minimal", "if"},
		{ada, "put " + torn + " preseeds/new", "new"},
		{ada, "put " + huge + " preseeds/huge", "it has more than 2097152 bytes"},
		{ada, "put " + p.file("empty", "") + " preseeds/empty", "the file is empty"},
		{ada, "put " + first + " preseeds/.hidden", "2 to 128"},
		{ada, "put " + first + " preseeds/deep/name", "preseeds/NAME are"},
		{ada, "reput " + second + " preseeds/minimal", ""},
		{ada, "get preseeds/none " + dir, "not found"},
		{ada, "rename preseeds/minimal images/kernel/amd64/minimal", "not be moved"},
		{ada, "mkdir preseeds/folder", "unsupported"},
		{grace, "get preseeds/minimal " + dir, "private"},
		{grace, "put " + first + " preseeds/minimal", "ada"},
		{grace, "rm preseeds/minimal", "ada"},
	} {
		if out, err := test.who.batch(test.line); err == nil || !strings.Contains(out, test.words) {
			t.Errorf("%s: %v: %s", test.line, err, out)
		}
	}
	if after, err := p.lab.Preseed(t.Context(), lab.Local, "minimal"); err != nil || after.Content != p.content(second) {
		t.Errorf("what was refused has changed it: %d bytes, %v", len(after.Content), err)
	}
	if out := grace.does("ls -1 preseeds"); strings.Contains(out, "minimal") {
		t.Errorf("what is private is listed: %s", out)
	}
}

func TestHalfAPreseedIsNotKept(t *testing.T) {
	p := start(t)
	ada := p.person("ada", false)
	client, files := ada.sftp()
	file, err := files.Create("preseeds/half")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if info, err := files.Stat("preseeds/half"); err != nil || info.Size() != 4 {
		t.Errorf("on its way: %v, %v", info, err)
	}
	gap, err := files.Create("preseeds/gap")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gap.WriteAt([]byte("x"), 100); err != nil {
		t.Fatal(err)
	}
	if err := gap.Close(); err == nil || !strings.Contains(err.Error(), "all of it, once") {
		t.Errorf("a gap: %v", err)
	}
	_ = client.Close()
	p.stop()
	for _, name := range []string{"half", "gap"} {
		if _, err := p.lab.Preseed(t.Context(), lab.Local, name); lab.CodeOf(err) != lab.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConsoleLogsAreReadByWhoMayReadThem(t *testing.T) {
	p := start(t)
	root, grace := p.person("root", true), p.person("grace", false)
	machine := <-p.bmc.opened
	c := p.console("root", root.signer, false)
	prints := func(text string) {
		t.Helper()
		for len(text) > 0 { // in pieces for which no viewer is too slow
			piece := text[:min(len(text), 4096)]
			text = text[len(piece):]
			if _, err := io.WriteString(machine, piece); err != nil {
				t.Fatal(err)
			}
			expect(t, c.out, piece)
		}
	}
	runs := func(command string) {
		t.Helper()
		if r := p.run("grace", grace.signer, command, ""); r.code != 0 {
			t.Fatalf("%s: %+v", command, r)
		}
	}
	before, hers, after := strings.Repeat("before\r\n", 2_000), strings.Repeat("while it was hers\r\n", 5_000), "after\xff\x00\r\n"
	prints(before)
	if out, err := grace.batch("get logs/web-01.log " + filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("before she had it: %v: %s", err, out)
	}
	runs("reserve web-01")
	prints(hers)

	dir := t.TempDir()
	file := filepath.Join(dir, "web-01.log")
	out := grace.does("ls -l logs", "get logs/web-01.log "+file)
	if got := p.content(file); got != hers {
		t.Errorf("%d bytes, and not %d", len(got), len(hers))
	}
	if strings.Count(out, " web-01.log\n") != 1 || strings.Contains(out, "web-02") || !strings.Contains(out, fmt.Sprintf(" %d ", len(hers))) || !strings.Contains(out, "-r--r--r--") {
		t.Errorf("listed: %s", out)
	}
	// A transfer that was broken off goes on, with what has come since.
	if err := os.Truncate(file, 12_345); err != nil {
		t.Fatal(err)
	}
	prints("more\r\n")
	grace.does("reget logs/web-01.log " + file)
	if got := p.content(file); got != hers+"more\r\n" {
		t.Errorf("continued: %d bytes, and not %d", len(got), len(hers)+6)
	}
	runs("release web-01")
	prints(after)
	grace.does("get logs/web-01.log " + file)
	if got := p.content(file); got != hers+"more\r\n" {
		t.Errorf("after she had it: %d bytes, and not %d", len(got), len(hers)+6)
	}
	if out, err := root.run("scp", "", "127.0.0.1:logs/web-01.log", file); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := p.content(file); got != before+hers+"more\r\n"+after {
		t.Errorf("an admin: %d bytes", len(got))
	}
	if out, err := root.run("scp", "", "-r", "127.0.0.1:logs", dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := p.content(filepath.Join(dir, "logs", "web-01.log")); got != p.content(file) {
		t.Errorf("with all others: %d bytes", len(got))
	}
	_, files := root.sftp()
	if part, err := files.Open("logs/web-01.log"); err != nil {
		t.Error(err)
	} else {
		b := make([]byte, 10)
		if n, err := part.ReadAt(b, int64(len(before))); err != nil || string(b[:n]) != hers[:10] {
			t.Errorf("a part: %q, %v", b[:n], err)
		}
	}
	for _, line := range []string{
		"put " + file + " logs/web-01.log", "rm logs/web-01.log", "rename logs/web-01.log logs/web-03.log", "get logs/web-01 " + dir,
		"get logs/no-such.log " + dir, "ls logs/web-01.log/x", "ls logs/../../etc",
	} {
		if out, err := root.batch(line); err == nil {
			t.Errorf("%s: %s", line, out)
		}
	}
}

func TestManyLogsAreListedInPieces(t *testing.T) {
	const many = 10_000
	p := start(t)
	root := p.person("root", true)
	var rows strings.Builder
	rows.WriteString("name,arch,firmware\n")
	for i := range many {
		fmt.Fprintf(&rows, "m%05d,amd64,uefi\n", i)
	}
	if _, err := p.lab.ImportMachines(t.Context(), lab.Local, lab.FormatCSV, []byte(rows.String()), false); err != nil {
		t.Fatal(err)
	}
	out := root.does("ls -1 logs")
	for i := range many {
		if name := fmt.Sprintf("logs/m%05d.log", i); !strings.Contains(out, name) {
			t.Errorf("%s is not listed; %d lines are", name, strings.Count(out, "\n"))
			break
		}
	}
	if n := strings.Count(out, "logs/m"); n != many {
		t.Errorf("%d logs are listed", n)
	}
}
