package server

import (
	"bytes"
	"encoding/binary"
	"io"
	"path/filepath"
	"testing"

	"provisioner/lab"
	"provisioner/store/storetest"
)

// packet is one of the protocol (draft-ietf-secsh-filexfer-02 §3): strings are
// written with their length, numbers as 32 bits, bytes as they are.
func packet(kind byte, fields ...any) []byte {
	body := []byte{kind}
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			body = append(binary.BigEndian.AppendUint32(body, uint32(len(f))), f...)
		case int:
			body = binary.BigEndian.AppendUint32(body, uint32(f))
		case []byte:
			body = append(body, f...)
		}
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// client is the other end, which has sent all that it sends.
type client struct{ io.Reader }

func (client) Write(p []byte) (int, error) { return len(p), nil }
func (client) Close() error                { return nil }

func TestFramesAreFoundHoweverTheyAreCut(t *testing.T) {
	stream := append(packet(3, 1, "name"), packet(11)...)
	for size := 1; size <= len(stream); size++ {
		var f sftpFrames
		ended := 0
		for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			ended += f.pass(rest[:min(size, len(rest))])
		}
		if ended != 2 || f.kind != sftpOpenDir || !f.between() {
			t.Errorf("in pieces of %d bytes: %d packets, %+v", size, ended, f)
		}
	}
}

// FuzzSFTP feeds sessions. Whatever comes, none may end the process, nor leave
// a file of an upload.
func FuzzSFTP(f *testing.F) {
	dir := f.TempDir()
	db, err := storetest.Open(f.Context(), filepath.Join(dir, "provisioner.db"))
	if err != nil {
		f.Fatal(err)
	}
	l, err := lab.New(lab.Config{Store: db, DataDir: dir})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = l.Close()
		_ = db.Close()
	})
	const file, folder = "/images/kernel/amd64/linux", "/images/kernel/amd64"
	const preseed, log = "/preseeds/minimal", "/logs/web-07.log"
	offset := make([]byte, 8)
	open := packet(3, 1, file, 0x1a, 0) // write, create, truncate
	for _, rest := range [][]byte{
		append(open, packet(6, 2, "1", offset, "content")...),
		bytes.Join([][]byte{open, packet(6, 2, "1", offset, "content"), packet(4, 3, "1"), packet(7, 4, file), packet(13, 5, file)}, nil),
		append(packet(11, 1, folder), packet(12, 2, "1")...), // opendir, readdir
		append(packet(16, 1, "."), packet(17, 2, folder)...), // realpath, stat
		append(open, packet(8, 2, "1")...),                   // fstat
		append(open, packet(5, 2, "1", offset, 100)...),      // read
		append(open, packet(10, 2, "1", 4, 0o644)...),        // fsetstat
		packet(18, 1, file, folder+"/x1"),                    // rename
		packet(20, 1, "/etc/passwd", file),                   // symlink
		packet(200, 1, "posix-rename@openssh.com", file, file),
		bytes.Join([][]byte{packet(3, 1, preseed, 0x1a, 0), packet(6, 2, "1", offset, "d-i foo"), packet(4, 3, "1")}, nil),
		bytes.Join([][]byte{packet(3, 1, preseed, 0x1a, 0), packet(6, 2, "1", []byte("\xff\xff\xff\xff\xff\xff\xff\xf0"), "d-i foo")}, nil),
		bytes.Join([][]byte{packet(11, 1, "/logs"), packet(12, 2, "1"), packet(17, 3, log), packet(13, 4, log)}, nil),
		append(packet(3, 1, log, 1, 0), packet(5, 2, "1", offset, 100)...),
		packet(18, 1, preseed, log),
	} {
		f.Add(append(packet(1, 3), rest...))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		files := newSFTPSession(t.Context(), l, lab.Local, io.Discard)
		if err := files.serve(client{bytes.NewReader(sent)}); err == nil {
			t.Error("a session ended without an end")
		}
		left, err := filepath.Glob(filepath.Join(dir, "images", "uploads", "*"))
		if err != nil || len(left) > 0 || len(files.uploads) > 0 {
			t.Errorf("left behind: %v, %v, %v", left, files.uploads, err)
		}
	})
}
