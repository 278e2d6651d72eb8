package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"path"
	"time"

	"provisioner/boot"
)

// bootloader serves to UEFI HTTP boot what others get over TFTP.
func (s *Server) bootloader(w http.ResponseWriter, r *http.Request) {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil {
		_, err = boot.CleanPath(r.URL.Path)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	file, err := s.lab.BootFile(r.Context(), r.URL.Path, client)
	if errors.Is(err, fs.ErrNotExist) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer func() { _ = file.Close() }() // read only
	content, ok := file.(io.ReadSeeker)
	if !ok {
		s.refuse(w, r, fmt.Errorf("%s cannot be read in parts", r.URL.Path))
		return
	}
	if path.Ext(r.URL.Path) == ".efi" {
		w.Header().Set("Content-Type", "application/efi") // UEFI 2.10 §24.7.3.1: it boots nothing whose kind it does not know
	}
	s.log.Info("HTTP boot file", "method", r.Method, "file", r.URL.Path, "client", r.RemoteAddr)
	http.ServeContent(w, r, "", time.Time{}, content)
}
