package ipmi

import (
	"fmt"

	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// maxCartridge is how many cartridges a Moonshot 1500 chassis holds.
const maxCartridge = 45

// bridge is the way to a management controller behind the BMC and behind
// another controller (double bridging): the BMC passes a message on to
// transit, which passes what is in it on to target.
type bridge struct{ transit, target hop }

type hop struct{ channel, addr uint8 }

// moonshot is the way to a cartridge of an HPE Moonshot chassis, and there to
// its one node: what ipmitool calls -B 0 -T 0x82 -b 7 -t 0x72, for the first.
func moonshot(cartridge int) *bridge {
	return &bridge{
		transit: hop{channel: 0, addr: uint8(0x80 + 2*cartridge)}, // 45 at most, see Config.Check
		target:  hop{channel: 7, addr: 0x72},
	}
}

// bridged is a request in its two envelopes, each of them a Send Message
// request (IPMI v2.0 §22.7).
type bridged struct {
	request
	via *bridge
}

// pack builds the whole. Each envelope asks to be tracked (§6.13.3): the
// response finds its way back, with the sequence number that we chose. The
// three messages share it, as what they are answered with is told apart by
// its command.
//
// The requesters' addresses are those which ipmitool sends; the controllers
// replace them by their own.
func (b bridged) pack(seq uint8) []byte {
	const track = 0x40
	envelope := func(responder uint8, next hop, msg []byte) []byte {
		return packMessage(responder, consoleAddr, types.CommandSendMessage, append([]byte{track | next.channel}, msg...), seq)
	}
	innermost := packMessage(b.via.target.addr, protocol.BMCAddr, b.Command(), b.Pack(), seq)
	return envelope(protocol.BMCAddr, b.via.transit, envelope(b.via.transit.addr, b.via.target, innermost))
}

// unwrap returns the message in the response to an envelope, where there is
// one. A controller answers an envelope on its own, and the response to what
// was in it follows; or it waits for that, and sends both in one.
func unwrap(key responseKey, r reply) (msg []byte, envelope bool) {
	if cmd := types.CommandSendMessage; key.netFn != cmd.NetFn|1 || key.cmd != cmd.ID {
		return nil, false
	}
	return r.data, true
}

// undelivered is the error of an envelope that a controller on the way refused.
func undelivered(code uint8) error {
	return fmt.Errorf("the cartridge could not be reached through the chassis; is it in its slot? %w", refused(types.CommandSendMessage, code))
}
