package sim

import (
	"context"
	"encoding/binary"
	"net"

	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"
)

// sessionInfo is the reference server's Get Session Info, which knows no
// session but the caller's, and the look-up of one by its ID (IPMI v2.0
// §22.20): by it a client learns who has the console.
func sessionInfo(reference *handlers.Registry) handlers.HandlerFunc {
	const byID, rmcpPlus = 0xff, 0x10
	cmd := types.CommandGetSessionInfo
	return func(ctx context.Context, call *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
		if len(req) < 5 || req[0] != byID {
			return reference.Dispatch(ctx, call, uint8(cmd.NetFn), cmd.ID, req)
		}
		sessions := call.BMC.Sessions
		s, err := sessions.Get(binary.LittleEndian.Uint32(req[1:]))
		if err != nil || s.User == nil {
			return nil, types.CodeRequestedDataNotPresent, nil
		}
		// What may change while a session lasts belongs to its own packets, so
		// that its highest privilege stands for the present one.
		resp := []byte{
			s.Handle, uint8(sessions.Cap()), uint8(sessions.Count()),
			s.User.ID, uint8(s.MaxPrivilege), rmcpPlus | s.Channel,
		}
		if from, ok := s.GetAddr().(*net.UDPAddr); ok && from.IP.To4() != nil {
			const unknownMAC = "\x00\x00\x00\x00\x00\x00"
			resp = append(append(resp, from.IP.To4()...), unknownMAC...)
			resp = binary.LittleEndian.AppendUint16(resp, uint16(from.Port))
		}
		return resp, types.CodeOK, nil
	}
}
