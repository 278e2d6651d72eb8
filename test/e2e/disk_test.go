package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// fromDisk is what a machine's disk prints once it has booted.
const fromDisk = "THE DISK HAS BOOTED"

// mbrDisk is a disk whose boot sector prints to the first serial port, if it is told that it is on the first disk.
func mbrDisk(t *testing.T, dir string) (drive string) {
	t.Helper()
	sector := []byte{
		0xfa, 0x80, 0xfa, 0x80, 0x75, 0x12, // cli; unless dl == 0x80: go to hlt
		0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x19, 0x7c, // ds = 0; si = the text
		0xac, 0x08, 0xc0, 0x74, 0x06, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5, // each byte to port 0x3f8
		0xf4, // hlt
	}
	sector = append(sector, fromDisk+"\r\n\x00"...)
	sector = append(sector, bytes.Repeat([]byte{0}, 510-len(sector))...)
	sector = append(sector, 0x55, 0xaa)
	path := filepath.Join(dir, "disk")
	if err := os.WriteFile(path, append(sector, make([]byte, 1<<20-512)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return "format=raw,file=" + path
}

// newESP is a disk with an EFI system partition that Debian is installed on, as far as put does that: it is given Debian's
// folder, where GRUB finds a configuration that prints.
func newESP(t *testing.T, dir string, put func(folder string)) (drive string) {
	t.Helper()
	folder := filepath.Join(dir, "esp/EFI/debian")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "grub.cfg"), []byte("echo "+fromDisk+"\nsleep 600\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	put(folder)
	return "format=raw,file=fat:rw:" + filepath.Join(dir, "esp")
}
