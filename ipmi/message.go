package ipmi

import (
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// request is a command of the library's command packages.
type request interface {
	Command() types.Command
	Pack() []byte
}

// consoleAddr is the software ID of a remote console (IPMI v2.0 Table 5-4).
const consoleAddr = 0x81

// packRequest builds an IPMI message to the BMC itself (IPMI v2.0 §13.8).
// seq is below 64.
func packRequest(req request, seq uint8) []byte {
	cmd := req.Command()
	msg := types.IPMIRequest{
		ResponderAddr:     protocol.BMCAddr,
		NetFn:             cmd.NetFn,
		RequesterAddr:     consoleAddr,
		RequesterSequence: seq,
		Command:           cmd.ID,
		CommandData:       req.Pack(),
	}
	msg.ComputeChecksum()
	return msg.Pack()
}

// reply is the BMC's response to one request.
type reply struct {
	code uint8  // the completion code
	data []byte // what follows it
	seq  uint32 // the session sequence number that it came with
}

// responseKey is what a response is matched to its request by.
type responseKey struct {
	seq   uint8
	netFn types.NetFn // of the response: odd
	cmd   uint8
}

func keyOf(cmd types.Command, seq uint8) responseKey {
	return responseKey{seq: seq, netFn: cmd.NetFn | 1, cmd: cmd.ID}
}

// parseResponse reads an IPMI message from the BMC and checks both checksums.
func parseResponse(msg []byte) (responseKey, reply, error) {
	var res types.IPMIResponse
	if len(msg) < 8 || protocol.Checksum(msg[:2]) != msg[2] || protocol.Checksum(msg[3:len(msg)-1]) != msg[len(msg)-1] {
		return responseKey{}, reply{}, errMalformed
	}
	if err := res.Unpack(msg); err != nil {
		return responseKey{}, reply{}, errMalformed
	}
	return responseKey{res.RequesterSequence, res.NetFn, res.Command}, reply{code: res.CompletionCode, data: res.Data}, nil
}
