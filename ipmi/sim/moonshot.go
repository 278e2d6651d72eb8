package sim

import (
	"context"
	"fmt"
	"sync"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// Where messages to a cartridge pass, and who their requesters say they are.
const (
	ipmb          = 0
	nodeChannel   = 7
	node          = 0x72
	remoteConsole = 0x81
)

// NewMoonshot makes the chassis manager of an HPE Moonshot with hw as its one
// cartridge, in the slot of that number. What is not in two envelopes to the
// cartridge reaches nothing but the manager.
func NewMoonshot(username, password string, slot int, hw Hardware, opts ...Option) *BMC {
	b := New(username, password, hw, opts...)
	b.commands = b.chassisManager(uint8(0x80 + 2*slot))
	return b
}

// chassisManager is the command set of a manager: its own commands, and Send
// Message (IPMI v2.0 §22.7) to the controller of one cartridge.
func (b *BMC) chassisManager(cartridge uint8) *handlers.Registry {
	toNode := handlers.NewRegistry()
	toNode.RegisterFunc(types.CommandSendMessage, func(ctx context.Context, call *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
		m, code := open(req, nodeChannel, node, protocol.BMCAddr)
		if code != types.CodeOK {
			return nil, code, nil
		}
		answer, code, _ := nodeCommands().Dispatch(ctx, call, m.netFn, m.cmd, m.data)
		return protocol.BuildIPMIResponse(m.netFn, m.cmd, m.seq, uint8(code), answer), types.CodeOK, nil
	})
	manager := handlers.NewRegistry()
	handlers.RegisterAppHandlers(manager)
	handlers.RegisterSessionHandlers(manager)
	manager.RegisterFunc(types.CommandSendMessage, func(ctx context.Context, call *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
		m, code := open(req, ipmb, cartridge, remoteConsole)
		if code != types.CodeOK {
			return nil, code, nil
		}
		// The manager says that it has passed the message on, and then what
		// came back, which is the cartridge's own answer to Send Message. The
		// requester has numbered both envelopes alike, as ipmitool does.
		send := types.CommandSendMessage
		acknowledgement := protocol.BuildIPMIResponse(uint8(send.NetFn), send.ID, m.seq, uint8(types.CodeOK), nil)
		if err := b.send(call.Session, acknowledgement); err != nil {
			return nil, types.CodeUnspecifiedError, err
		}
		return toNode.Dispatch(ctx, call, m.netFn, m.cmd, m.data)
	})
	return manager
}

// nodeCommands is what a BMC can do, but for the reset that cartridges refuse.
var nodeCommands = sync.OnceValue(func() *handlers.Registry {
	control := types.CommandChassisControl
	reg := handlers.NewRegistry()
	reg.Merge(commands())
	reg.RegisterFunc(control, func(ctx context.Context, call *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
		const reset, refused = 3, 0x80
		if len(req) > 0 && req[0]&0x0f == reset {
			return nil, refused, nil
		}
		return commands().Dispatch(ctx, call, uint8(control.NetFn), control.ID, req)
	})
	return reg
})

type message struct {
	netFn, cmd, seq uint8
	data            []byte
}

// open takes a message out of its envelope, for a controller that knows one
// other on one channel and is strict about what it passes on.
func open(envelope []byte, channel, addr, requester uint8) (message, types.CompletionCode) {
	const tracked = 0x40
	if len(envelope) < 1+7 || envelope[0]&0xf0 != tracked {
		return message{}, types.CodeRequestDataFieldInvalid
	}
	msg := envelope[1:]
	end := len(msg) - 1
	sound := protocol.Checksum(msg[:2]) == msg[2] && protocol.Checksum(msg[3:end]) == msg[end]
	const lun = 0x03
	if !sound || msg[3] != requester || msg[1]&lun != 0 || msg[4]&lun != 0 {
		return message{}, types.CodeRequestDataFieldInvalid
	}
	if envelope[0]&0x0f != channel || msg[0] != addr {
		return message{}, types.CodeSendMessageNAKOnWrite
	}
	netFn, cmd, data, seq, _ := protocol.ParseIPMIRequest(msg)
	return message{netFn, cmd, seq, data}, types.CodeOK
}

// send sends a message beside the responses that the reference server sends
// by itself (IPMI v2.0 §13.6).
func (b *BMC) send(session *bmc.Session, msg []byte) error {
	const headers, sessionHeader, rmcpHeader, nextHeader = 16, 12, 4, 0x07
	encrypted, err := crypto.EncryptAESPayload(msg, session.K2, crypto.RandomBytes(16))
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	pkt := protocol.BuildRMCPPlusPacket(uint8(types.PayloadTypeIPMI), types.PayloadFlagEncrypted|types.PayloadFlagAuthenticated,
		session.ConsoleID, session.NextOutboundSeq(), encrypted)
	pad := types.IntegrityPadLen(sessionHeader, len(pkt)-headers)
	for range pad {
		pkt = append(pkt, 0xff)
	}
	pkt = append(pkt, uint8(pad), nextHeader)
	code, err := crypto.SessionIntegrityAuthCode(session.IntegrityAlg, pkt[rmcpHeader:], session.K1, "")
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	_, err = b.conn.WriteTo(append(pkt, code...), session.GetAddr())
	return err
}
