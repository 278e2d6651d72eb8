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

// packRequest builds an IPMI message (IPMI v2.0 §13.8): to the BMC itself, or
// to the controller that a bridged one is meant for. seq is below 64.
func packRequest(req request, seq uint8) []byte {
	if b, ok := req.(bridged); ok {
		return b.pack(seq)
	}
	return packMessage(protocol.BMCAddr, consoleAddr, req.Command(), req.Pack(), seq)
}

func packMessage(responder, requester uint8, cmd types.Command, data []byte, seq uint8) []byte {
	msg := types.IPMIRequest{
		ResponderAddr:     responder,
		NetFn:             cmd.NetFn,
		RequesterAddr:     requester,
		RequesterSequence: seq,
		Command:           cmd.ID,
		CommandData:       data,
	}
	msg.ComputeChecksum()
	return msg.Pack()
}

// reply is the BMC's response to one request.
type reply struct {
	code uint8  // the completion code
	data []byte // what follows it
	seq  uint32 // the session sequence number that it came with

	undelivered bool // code is of an envelope, see bridged
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
