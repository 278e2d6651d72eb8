// Package upload reads bodies of requests that take as long as they take.
package upload

import (
	"errors"
	"io"
	"net/http"
	"time"

	"provisioner/lab"
)

// silence is how long nothing may come of an upload. How long the whole takes
// has no bound but the network's.
const silence = 30 * time.Second

// Patient gives a request as long as it takes, as long as something comes.
func Patient(w http.ResponseWriter, r *http.Request) {
	r.Body = &patientBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
}

type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
	until   time.Time
}

func (b *patientBody) Read(p []byte) (int, error) {
	if now := time.Now(); b.until.Sub(now) < silence/2 { // not for each of many small pieces
		b.until = now.Add(silence)
		// A connection that knows no deadlines has none to be extended.
		_ = b.control.SetReadDeadline(b.until)
		_ = b.control.SetWriteDeadline(b.until.Add(silence)) // for the answer
	}
	return b.ReadCloser.Read(p)
}

// Torn says that a body has ended too early, which is nobody's fault here.
type Torn struct{ io.Reader }

func (t Torn) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) { // which io.ErrUnexpectedEOF is not
		err = &lab.Error{Code: lab.Unavailable, Message: "the upload broke off: " + err.Error(), Err: err}
	}
	return n, err
}
