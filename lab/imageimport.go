package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"syscall"
	"time"
)

const (
	importTerm      = 2 * time.Hour    // for the whole
	importSilence   = 30 * time.Second // until something comes, and then between two pieces
	importRedirects = 5
)

// ImportImage adds an image that the server fetches itself, over http or https;
// the proxy of its environment is used where there is one. Only admins may:
// the server reaches what others do not. It asks no address of its own host,
// and none that is link-local (a cloud's metadata), but for a command on the
// server. It blocks until the image is there, at most two hours.
func (l *Lab) ImportImage(ctx context.Context, actor Actor, image NewImage, from string) error {
	if !actor.IsAdmin() {
		return fail(Denied, "import image %s: only an admin may: fetch it yourself and upload it", image.Name)
	}
	u, err := url.Parse(from)
	switch {
	case err != nil:
		return fail(Invalid, "import image %s: the address cannot be read", image.Name) // err holds it, with its password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fail(Invalid, "import image %s: %s is no address that begins with http:// or https://", image.Name, u.Redacted())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, importTerm, fmt.Errorf("it took longer than %s", importTerm))
	defer cancel()
	upload, err := l.BeginImage(ctx, actor, image)
	if err != nil {
		return err
	}
	defer upload.Discard()
	if err := fetch(ctx, upload, u, actor.User.ID != 0); err != nil {
		return wrap(err, "import image %s", image.Name)
	}
	return upload.Commit(ctx)
}

// fetch writes what is at an address to w. guarded keeps it from this host.
func fetch(ctx context.Context, w io.Writer, from *url.URL, guarded bool) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(importSilence, func() { cancel(fmt.Errorf("nothing came for %s", importSilence)) })
	defer silence.Stop()

	dialer := &net.Dialer{Timeout: importSilence}
	if guarded {
		dialer.Control = refuseOwnAddresses
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: importSilence,
		DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: checkRedirect}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fetchError(ctx, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return fail(Unavailable, "%s answers %q", response.Request.URL.Redacted(), response.Status)
	}
	if response.ContentLength > MaxImage {
		return fail(Invalid, "it has %d bytes, and an image at most %d", response.ContentLength, int64(MaxImage))
	}
	// What cannot be written is the disk's error, and not the network's.
	var received readError
	_, err = io.Copy(w, &heard{from: response.Body, silence: silence, err: &received})
	if received.error != nil {
		return fetchError(ctx, received.error)
	}
	return err
}

// heard notes that something has come, and what went wrong.
type heard struct {
	from    io.Reader
	silence *time.Timer
	err     *readError
}

type readError struct{ error }

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	h.silence.Reset(importSilence)
	if err != nil && !errors.Is(err, io.EOF) {
		h.err.error = err
	}
	return n, err
}

// fetchError says why nothing can be had from an address: the context's cause
// rather than that it ended.
func fetchError(ctx context.Context, err error) error {
	var labError *Error
	if errors.As(err, &labError) {
		return labError // the guard's, in the midst of what the client says around it
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fail(Unavailable, "%w", err)
}

func checkRedirect(to *http.Request, via []*http.Request) error {
	switch {
	case len(via) > importRedirects:
		return fail(Unavailable, "it was redirected more than %d times", importRedirects)
	case to.URL.Scheme != "http" && to.URL.Scheme != "https":
		return fail(Invalid, "it is redirected to %s, which is neither http nor https", to.URL.Redacted())
	case via[len(via)-1].URL.Scheme == "https" && to.URL.Scheme == "http":
		return fail(Invalid, "it is redirected from https to %s, where anybody could change it", to.URL.Redacted())
	}
	return nil
}

// refuseOwnAddresses is asked with the address that a connection is made to,
// after names were resolved: no name leads around it.
func refuseOwnAddresses(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := to.Addr().Unmap()
	if ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || isOwn(ip) {
		return fail(Denied, "%s is an address of the server itself or link-local, from which only a command on the server imports", ip)
	}
	return nil
}

// isOwn reports whether an address is one of this host's.
func isOwn(ip netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range addrs {
		if network, ok := a.(*net.IPNet); ok {
			if own, ok := netip.AddrFromSlice(network.IP); ok && own.Unmap() == ip.WithZone("") {
				return true
			}
		}
	}
	return false
}

// ImportFilename is the file name of an image that is imported: the one that
// somebody has said, or the last element of the address.
func ImportFilename(said, from string) string {
	if said != "" {
		return said
	}
	u, err := url.Parse(from)
	if err != nil {
		return ""
	}
	return path.Base(u.Path)
}
