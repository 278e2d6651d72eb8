package ipmi

import "github.com/bougou/go-ipmi/pkg/types"

// rawRequest is a request in bytes, for commands whose responses are decoded
// here rather than by the library, which trusts lengths that a BMC sends.
type rawRequest struct {
	cmd  types.Command
	data []byte
}

func (r rawRequest) Command() types.Command { return r.cmd }

func (r rawRequest) Pack() []byte { return r.data }
