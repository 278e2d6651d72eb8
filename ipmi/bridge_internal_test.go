package ipmi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

func TestBridgedRequestIsInTwoTrackedEnvelopes(t *testing.T) {
	for _, tt := range []struct {
		name      string
		cartridge int
		seq       uint8
		req       request
		want      string
	}{
		{
			"status of the first", 1, 5, &chassis.GetChassisStatusRequest{},
			// responder, NetFn and LUN, checksum; requester, sequence number and LUN, command, channel
			"20 18 c8 81 14 34 40" + // to the chassis manager: Send Message on IPMB 0, tracked
				"82 18 66 81 14 34 47" + // to the cartridge: Send Message on channel 7, tracked
				"72 00 8e 20 14 01 cb" + // to the node: Get Chassis Status
				"f0 f7",
		},
		{
			"cycle of the last", 45, 63, &chassis.ChassisControlRequest{ChassisControl: chassis.ChassisControlPowerCycle},
			"20 18 c8 81 fc 34 40" + "da 18 0e 81 fc 34 47" + "72 00 8e 20 fc 02 02 e0" + "08 0f",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want, err := hex.DecodeString(strings.ReplaceAll(tt.want, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			got := packRequest(bridged{tt.req, moonshot(tt.cartridge)}, tt.seq)
			if !bytes.Equal(got, want) {
				t.Errorf("% x, want\n% x", got, want)
			}
		})
	}
}

// manager is a chassis manager that answers each request by a function of its
// sequence number.
type manager struct {
	scripted
	answers func(seq uint8) [][]byte
	asked   int
}

func (m *manager) Write(p []byte) (int, error) {
	h, payload, err := parseHeader(p)
	if err != nil {
		return 0, err
	}
	plain, err := m.s.keys.Load().open(p, h, payload)
	if err != nil {
		return 0, err
	}
	m.asked++
	_, _, _, seq, _ := protocol.ParseIPMIRequest(plain)
	for _, answer := range m.answers(seq) {
		m.send(types.PayloadTypeIPMI, answer)
	}
	return len(p), nil
}

func TestResponsesThroughTheBridge(t *testing.T) {
	status := types.CommandGetChassisStatus
	node := func(seq, code uint8, data ...byte) []byte {
		return protocol.BuildIPMIResponse(uint8(status.NetFn), status.ID, seq, code, data)
	}
	envelope := func(seq, code uint8, msg []byte) []byte {
		send := types.CommandSendMessage
		return protocol.BuildIPMIResponse(uint8(send.NetFn), send.ID, seq, code, msg)
	}
	const nak, busy, refusal = 0x83, 0xc0, 0x80
	broken := func(msg []byte) []byte {
		msg[len(msg)-1]++
		return msg
	}
	tests := []struct {
		name     string
		answers  func(asked int, seq uint8) [][]byte
		code     uint8
		want     error
		contains string
		took     time.Duration
	}{
		{name: "one after the other", answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, 0, nil), envelope(seq, 0, nil), node(seq, 0, 1, 0, 0)}
		}},
		{name: "each in the one before", answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, 0, envelope(seq, 0, node(seq, 0, 1, 0, 0)))}
		}},
		{name: "acknowledged first", answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, 0, nil), envelope(seq, 0, node(seq, 0, 1, 0, 0))}
		}},
		{name: "overtaken", answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{node(seq, 0, 1, 0, 0), envelope(seq, 0, nil), envelope(seq, 0, nil)}
		}},
		{name: "the cartridge refuses", code: refusal, answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, 0, envelope(seq, 0, node(seq, refusal)))}
		}},
		{name: "no cartridge", want: ErrRefused, contains: "is it in its slot? refused: NAK on Write (completion code 83h)", answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, nak, nil)}
		}},
		{name: "no node", want: ErrRefused, contains: "completion code 83h", answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, 0, envelope(seq, nak, nil))}
		}},
		{name: "busy at first", took: retryOrder, answers: func(asked int, seq uint8) [][]byte {
			if asked == 1 {
				return [][]byte{envelope(seq, busy, nil)}
			}
			return [][]byte{envelope(seq, 0, nil), node(seq, 0, 1, 0, 0)}
		}},
		{name: "busy for ever", want: ErrRefused, contains: "completion code C0h", took: 5 * time.Second, answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, busy, nil)}
		}},
		{name: "a silent cartridge", want: ErrNoAnswer, contains: "from the cartridge, though its chassis answers", took: 5 * time.Second, answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, 0, nil)}
		}},
		{name: "rubbish in the envelope", want: ErrNoAnswer, took: 5 * time.Second, answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, 0, broken(node(seq, 0, 1, 0, 0))), envelope(seq, 0, []byte{1, 2, 3})}
		}},
		{name: "the response to another request", want: ErrNoAnswer, took: 5 * time.Second, answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{envelope(seq, 0, node(seq+1, 0, 1, 0, 0)), envelope(seq+1, nak, nil)}
		}},
		{name: "a response without envelopes and with an error", code: refusal, answers: func(_ int, seq uint8) [][]byte {
			return [][]byte{node(seq, refusal)}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sessionForTest()
				defer s.end(ErrClosed)
				close(s.readDone)
				s.calls[0], s.bridge, s.timeout = nil, moonshot(1), 5*time.Second
				m := &manager{scripted: scripted{s: s}}
				m.answers = func(seq uint8) [][]byte { return tt.answers(m.asked, seq) }
				s.conn = m

				began := time.Now()
				r, err := s.run(t.Context(), &chassis.GetChassisStatusRequest{}, s.timeout)
				if !errors.Is(err, tt.want) || tt.want != nil && !strings.Contains(err.Error(), tt.contains) {
					t.Errorf("error %v, want %v containing %q", err, tt.want, tt.contains)
				}
				if tt.want == nil && (r.code != tt.code || tt.code == 0 && !bytes.Equal(r.data, []byte{1, 0, 0})) {
					t.Errorf("code %02xh, data % x", r.code, r.data)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if err := s.ended(); err != nil {
					t.Errorf("the session has ended: %v", err)
				}
			})
		})
	}
}
