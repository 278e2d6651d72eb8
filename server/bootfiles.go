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

	"github.com/go-chi/chi/v5"

	"provisioner/lab"
)

const (
	// slowestBoot is how slow a machine may load a file, in bytes a second,
	// before it is given up. Less than any link that boots in an hour.
	slowestBoot = 64 << 10

	// bootGrace is what every file has besides.
	bootGrace = time.Minute
)

// bootFileRoutes serves boot files wherever no other route is: an admin's may
// have any name. UEFI and others ask for the size first, by HEAD.
func (s *Server) bootFileRoutes(r chi.Router) {
	r.Get("/*", s.bootFile)
	r.Head("/*", s.bootFile)
}

// bootFile serves over HTTP, under the same names, what machines get over
// TFTP: with ranges, and by the kernel's own copy from disk to socket. What is
// known by its SHA-256 has it as ETag; what is made for one request is not to
// be kept.
func (s *Server) bootFile(w http.ResponseWriter, r *http.Request) {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, "no address to serve", http.StatusBadRequest)
		return
	}
	if err := forgetWithClient(r); err != nil {
		s.log.Warn("GRUB may have to wait after its next start", "client", r.RemoteAddr, "error", err)
	}
	file, err := s.lab.OpenBootFile(r.Context(), lab.BootRequest{
		Name: r.URL.Path, Client: client, UserAgent: r.UserAgent(), Peek: r.Method == http.MethodHead,
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.NotFound(w, r)
		return
	case err != nil:
		s.refuse(w, r, err)
		return
	}
	defer func() { _ = file.Close() }() // nothing was written

	var content io.ReadSeeker
	modified := time.Time{}
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream") // and no look into the file for another
	if path.Ext(r.URL.Path) == ".efi" {
		header.Set("Content-Type", "application/efi") // UEFI 2.10 §24.7.3.1: it boots nothing whose kind it does not know
	}
	if file.SHA256 != "" {
		header.Set("ETag", `"`+file.SHA256+`"`)
	}
	if file.Disk != nil {
		content = file.Disk // itself: nothing around it could be copied by the kernel
		if info, err := file.Disk.Stat(); err == nil && file.SHA256 == "" {
			modified = info.ModTime()
		}
	} else {
		header.Set("Cache-Control", "no-store")
		seeker, ok := file.TFTPFile.(io.ReadSeeker)
		if !ok {
			s.refuse(w, r, fmt.Errorf("%s cannot be read in parts", lab.LogName(r.URL.Path)))
			return
		}
		content = seeker
	}
	// The server's own limit is for what it says at once.
	patience := bootGrace + time.Duration(file.Size()/slowestBoot)*time.Second
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience)); err != nil {
		s.log.Debug("a boot file has the time of any answer", "error", err)
	}
	s.log.Info("HTTP boot file", "method", r.Method, "file", lab.LogName(r.URL.Path), "client", r.RemoteAddr, "range", r.Header.Get("Range"))
	http.ServeContent(w, r, "", modified, content)
}
