package boot

import "io"

// netASCIIReader translates a file for a client that asks in netascii: the end
// of a line is CR LF, and CR alone is CR NUL (RFC 1350 §1, RFC 764). Boot ROMs
// ask for octet; people who forget `binary` do not.
type netASCIIReader struct {
	from    io.Reader
	pending byte // the second byte of a pair, if it has one
	has     bool
	chunk   []byte // read and not yet translated
	buffer  [512]byte
	err     error
}

func (r *netASCIIReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.has {
			p[n], r.has = r.pending, false
			n++
			continue
		}
		if len(r.chunk) == 0 {
			if r.err == nil {
				var m int
				m, r.err = r.from.Read(r.buffer[:])
				r.chunk = r.buffer[:m]
				continue
			}
			if n > 0 {
				return n, nil
			}
			return 0, r.err
		}
		c := r.chunk[0]
		r.chunk = r.chunk[1:]
		switch c {
		case '\n':
			p[n], r.pending, r.has = '\r', '\n', true
		case '\r':
			p[n], r.pending, r.has = '\r', 0, true
		default:
			p[n] = c
		}
		n++
	}
	return n, nil
}
