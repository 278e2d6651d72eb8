package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// uploadMemory is what an upload may take, in bytes.
const uploadMemory = 16 << 20

// uploads sends an image of 1 GB in each way that there is, and sees how much
// more memory the server has meanwhile, at its peak.
func uploads(ctx context.Context, d *director) (rows []row, err error) {
	dir := filepath.Join(d.dir, "uploads")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }() // gigabytes
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	server, err := startRole(ctx, "site")
	if err != nil {
		return nil, err
	}
	defer server.stop()
	u := uploader{signer: signer}
	authorized := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	if err := server.call(ctx, "Start", Site{Dir: dir, Key: authorized}, &u.at); err != nil {
		return nil, err
	}
	size := int64(d.scale(1_000_000_000, 20_000_000))
	for _, way := range []struct {
		name string
		send func(context.Context, string, int64) error
	}{{"a form", u.form}, {"tus", u.tus}, {"sftp", u.sftp}} {
		if err := way.send(ctx, "first-by-"+strings.ReplaceAll(way.name, " ", "-"), 1_000_000); err != nil { // what any first request costs
			return rows, fmt.Errorf("upload by %s: %w", way.name, err)
		}
		before, err := server.resetPeak()
		if err != nil {
			return rows, err
		}
		took, err := timed(func() error { return way.send(ctx, "by-"+strings.ReplaceAll(way.name, " ", "-"), size) })
		if err != nil {
			return rows, fmt.Errorf("upload by %s: %w", way.name, err)
		}
		peak, err := server.peakMemory()
		if err != nil {
			return rows, err
		}
		grown := max(peak-before, 0)
		rows = append(rows, row{
			Measure: fmt.Sprintf("upload of an image of %s by %s: memory more than before, at most", megabytes(int(size)), way.name),
			Ours:    fmt.Sprintf("%.1f MB, %s", float64(grown)/1e6, rate(int(size), took)),
			Target:  "16 MB", Met: grown <= uploadMemory,
		})
	}
	return rows, nil
}

// uploader uploads images of zeros, to one server.
type uploader struct {
	at     SiteAddress
	signer ssh.Signer
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// image has its name in its first bytes, so that no two are the same.
func image(name string, size int64) io.Reader {
	return io.LimitReader(io.MultiReader(strings.NewReader(name), zeros{}), size)
}

// request makes a request, and returns the Location of its answer.
func (u uploader) request(ctx context.Context, method, path string, headers map[string]string, body io.Reader) (location string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+u.at.HTTP+path, body)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+u.at.Token)
	request.Header.Set("Tus-Resumable", "1.0.0")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err == nil && response.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return response.Header.Get("Location"), err
}

func (u uploader) form(ctx context.Context, name string, size int64) error {
	body, to := io.Pipe()
	form := multipart.NewWriter(to)
	go func() { // ends with the form, or with body, which the request closes
		err := errors.Join(form.WriteField("name", name), form.WriteField("type", "initrd"))
		file, fileErr := form.CreateFormFile("file", name)
		if err = errors.Join(err, fileErr); err == nil {
			_, err = io.Copy(file, image(name, size))
		}
		_ = to.CloseWithError(errors.Join(err, form.Close()))
	}()
	_, err := u.request(ctx, http.MethodPost, "/images", map[string]string{"Content-Type": form.FormDataContentType()}, body)
	return err
}

func (u uploader) tus(ctx context.Context, name string, size int64) error {
	encode := base64.StdEncoding.EncodeToString
	location, err := u.request(ctx, http.MethodPost, "/images/uploads", map[string]string{
		"Upload-Length":   strconv.FormatInt(size, 10),
		"Upload-Metadata": "name " + encode([]byte(name)) + ",type " + encode([]byte("initrd")),
	}, nil)
	if err != nil {
		return err
	}
	_, err = u.request(ctx, http.MethodPatch, location, map[string]string{
		"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0",
	}, image(name, size))
	return err
}

func (u uploader) sftp(ctx context.Context, name string, size int64) (err error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", u.at.SSH)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // closed by its user already
	session, channels, requests, err := ssh.NewClientConn(conn, u.at.SSH, &ssh.ClientConfig{
		User: benchUser, Auth: []ssh.AuthMethod{ssh.PublicKeys(u.signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // of ours, on loopback
	})
	if err != nil {
		return err
	}
	client := ssh.NewClient(session, channels, requests)
	defer client.Close() //nolint:errcheck // nothing to lose
	files, err := sftp.NewClient(client)
	if err != nil {
		return err
	}
	file, err := files.Create("images/initrd/amd64/" + name)
	if err != nil {
		return err
	}
	_, err = file.ReadFrom(image(name, size))
	return errors.Join(err, file.Close())
}
