package server_test

import (
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"provisioner/lab"
)

// pattern is size bytes that are never in memory together, and looks at how
// much memory this process holds while they are read: client and server.
type pattern struct {
	size int64
	read int64
	peak uint64
}

func (r *pattern) Read(p []byte) (int, error) {
	if r.read == r.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.size-r.read)
	for i := range p[:n] {
		p[i] = byte((r.read + int64(i)) >> 12)
	}
	if r.read>>20 != (r.read+n)>>20 { // once a MiB
		r.peak = max(r.peak, heap())
	}
	r.read += n
	return int(n), nil
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestUploadIsNotHeldInMemory sends images that are larger than the
// memory that may be used for it.
func TestUploadIsNotHeldInMemory(t *testing.T) {
	const size, most = 24 << 20, 16 << 20 // bytes
	p := start(t)
	ada := p.person("ada", false)
	token := p.token("ada")
	send := func(method, path string, headers map[string]string, body io.Reader) (location string, err error) {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.HTTPAddr().String()+path, body)
		if err != nil {
			return "", err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Tus-Resumable", "1.0.0")
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode >= 300 {
			text, _ := io.ReadAll(response.Body)
			return "", fmt.Errorf("%s: %s", response.Status, text)
		}
		return response.Header.Get("Location"), nil
	}
	for way, upload := range map[string]func(io.Reader) error{
		"form": func(content io.Reader) error {
			from, to := io.Pipe()
			form := multipart.NewWriter(to)
			go func() { // ends with the form
				file, err := form.CreateFormFile("file", "form")
				if err == nil {
					_, err = io.Copy(file, content)
				}
				if err == nil {
					err = form.Close()
				}
				_ = to.CloseWithError(err)
			}()
			_, err := send(http.MethodPost, "/images", map[string]string{"Content-Type": form.FormDataContentType()}, io.MultiReader(formField(form.Boundary(), "type", "kernel"), from))
			return err
		},
		"resumable": func(content io.Reader) error {
			location, err := send(http.MethodPost, "/images/uploads", map[string]string{
				"Upload-Length": fmt.Sprint(size), "Upload-Metadata": metadata("name", "resumable", "type", "kernel")[len("Upload-Metadata: "):],
			}, nil)
			if err == nil {
				_, err = send(http.MethodPatch, location, map[string]string{
					"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0",
				}, content)
			}
			return err
		},
		"sftp": func(content io.Reader) error {
			_, files := ada.sftp()
			file, err := files.Create("images/kernel/amd64/sftp")
			if err != nil {
				return err
			}
			if _, err := file.ReadFrom(content); err != nil {
				return err
			}
			return file.Close()
		},
	} {
		runtime.GC()
		before := heap()
		content := &pattern{size: size}
		if err := upload(content); err != nil {
			t.Errorf("%s: %v", way, err)
			continue
		}
		held := content.peak - min(before, content.peak)
		t.Logf("%s: %d KiB", way, held>>10)
		if held > most {
			t.Errorf("%s: %d bytes were held in memory for an image of %d", way, held, int64(size))
		}
		if image, err := p.lab.Image(t.Context(), lab.Local, way); err != nil || image.Size != size {
			t.Errorf("%s: %+v, %v", way, image, err)
		}
	}
}

// formField is a field of a form, as it is sent.
func formField(boundary, name, value string) io.Reader {
	return strings.NewReader("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
}
