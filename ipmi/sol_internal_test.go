package ipmi

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// scripted is a BMC at the other end of a session: it answers commands by a
// function and writes down the SOL packets that it gets.
type scripted struct {
	void
	s       *session
	command func(cmd uint8, data []byte) (code uint8, answer []byte)

	reader sync.Mutex // a session has one, and this stands in for it

	mu  sync.Mutex
	sol []types.SOLPayloadPacket
	seq uint32
}

func (b *scripted) Write(p []byte) (int, error) {
	h, payload, err := parseHeader(p)
	if err != nil {
		return 0, err
	}
	plain, err := b.s.keys.Load().open(p, h, payload)
	if err != nil {
		return 0, err
	}
	if h.payload == types.PayloadTypeSOL {
		var got types.SOLPayloadPacket
		if err := got.Unpack(plain); err != nil {
			return 0, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sol = append(b.sol, got)
		return len(p), nil
	}
	netFn, cmd, data, seq, _ := protocol.ParseIPMIRequest(plain)
	code, answer := b.command(cmd, data)
	// Whoever writes holds what the reader may wait for. It ends when it is received.
	go b.send(types.PayloadTypeIPMI, protocol.BuildIPMIResponse(netFn, cmd, seq, code, answer))
	return len(p), nil
}

func (b *scripted) send(payload types.PayloadType, plain []byte) {
	b.mu.Lock()
	b.seq++
	pkt, err := b.s.keys.Load().seal(payload, b.s.consoleID, b.seq, plain)
	b.mu.Unlock()
	if err != nil {
		panic(err)
	}
	b.reader.Lock()
	defer b.reader.Unlock()
	b.s.receive(pkt)
}

func (b *scripted) print(p types.SOLPayloadPacket) { b.send(types.PayloadTypeSOL, p.Pack()) }

// took returns what it got since the last call.
func (b *scripted) took() []types.SOLPayloadPacket {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.sol
	b.sol = nil
	return got
}

// pass lets time go by, which in a bubble of testing/synctest is no waiting.
func pass(d time.Duration) { <-time.After(d) }

func scriptedSession() (*session, *scripted) {
	s := sessionForTest()
	close(s.readDone)
	s.calls[0] = nil
	b := &scripted{s: s}
	s.conn = b
	return s, b
}

func TestActivationOutcomes(t *testing.T) {
	const activate, deactivate, info = 0x48, 0x49, 0x4b
	agreed := []byte{0, 0, 0, 0, 255, 0, 255, 0, 623 & 0xff, 623 >> 8, 0xff, 0xff}
	port := func(low, high byte) []byte { return append(append([]byte(nil), agreed[:8]...), low, high, 0xff, 0xff) }
	tests := []struct {
		name     string
		codes    []uint8 // of Activate Payload, in turn
		answer   []byte
		want     error
		contains string
		commands []uint8
	}{
		{name: "agreed", codes: []uint8{0}, answer: agreed, commands: []uint8{activate}},
		{name: "taken over", codes: []uint8{0x80, 0}, answer: agreed, commands: []uint8{activate, deactivate, activate}},
		{
			name: "in use and in use again", codes: []uint8{0x80, 0x80},
			want: ErrSOLActive, contains: "by another client, who took it back at once", commands: []uint8{activate, deactivate, activate, info},
		},
		{
			name: "disabled", codes: []uint8{0x81},
			want: ErrRefused, contains: "disabled (completion code 81h)", commands: []uint8{activate},
		},
		{
			name: "another port", codes: []uint8{0}, answer: port(3000&0xff, 3000>>8),
			want: ErrProtocol, contains: "to the next, now to 3000", commands: []uint8{activate, deactivate},
		},
		{name: "no port", codes: []uint8{0}, answer: port(0, 0), commands: []uint8{activate}},
		{name: "the port in the wrong order", codes: []uint8{0}, answer: port(623>>8, 623&0xff), commands: []uint8{activate}},
		{
			name: "encryption is a must", codes: []uint8{0x84},
			want: ErrRefused, contains: "wants its console encrypted", commands: []uint8{activate},
		},
		{
			name: "cut short", codes: []uint8{0}, answer: agreed[:5],
			want: ErrProtocol, commands: []uint8{activate, deactivate},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, b := scriptedSession()
			defer s.end(ErrClosed)
			var commands []uint8
			b.command = func(cmd uint8, _ []byte) (uint8, []byte) {
				commands = append(commands, cmd)
				switch cmd {
				case deactivate:
					return 0, nil
				case info:
					return 0xc1, nil
				}
				code := tt.codes[0]
				tt.codes = tt.codes[1:]
				return code, tt.answer
			}
			err := s.sol.activate(t.Context(), time.Second)
			if !errors.Is(err, tt.want) || tt.want != nil && !strings.Contains(err.Error(), tt.contains) {
				t.Errorf("error %v, want %v containing %q", err, tt.want, tt.contains)
			}
			if diff := cmp.Diff(tt.commands, commands); diff != "" {
				t.Errorf("commands: %s", diff)
			}
		})
	}
}

func TestEachPacketIsAcknowledgedOnce(t *testing.T) {
	s, b := scriptedSession()
	defer s.end(ErrClosed)
	for _, step := range []struct {
		name string
		in   types.SOLPayloadPacket
		want []types.SOLPayloadPacket
	}{
		{
			"data", types.SOLPayloadPacket{SequenceNumber: 1, CharacterData: []byte("one ")},
			[]types.SOLPayloadPacket{{AckedSequenceNumber: 1, AcceptedCharacterCount: 4}},
		},
		{
			"retransmission", types.SOLPayloadPacket{SequenceNumber: 1, CharacterData: []byte("one ")},
			[]types.SOLPayloadPacket{{AckedSequenceNumber: 1, AcceptedCharacterCount: 4}},
		},
		{
			"retransmission with more", types.SOLPayloadPacket{SequenceNumber: 1, CharacterData: []byte("one two ")},
			[]types.SOLPayloadPacket{{AckedSequenceNumber: 1, AcceptedCharacterCount: 8}},
		},
		{"acknowledgement only", types.SOLPayloadPacket{AckedSequenceNumber: 7, AcceptedCharacterCount: 3}, nil},
		{
			"after lost packets", types.SOLPayloadPacket{SequenceNumber: 4, CharacterData: []byte("three")},
			[]types.SOLPayloadPacket{{AckedSequenceNumber: 4, AcceptedCharacterCount: 5}},
		},
		{
			"empty", types.SOLPayloadPacket{SequenceNumber: 5},
			[]types.SOLPayloadPacket{{AckedSequenceNumber: 5}},
		},
	} {
		b.print(step.in)
		if diff := cmp.Diff(step.want, b.took()); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
	}
	buf := make([]byte, 100)
	if n, err := s.sol.Read(buf); err != nil || string(buf[:n]) != "one two three" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

func TestPacketsOvertakenByNewerOnesAreDropped(t *testing.T) {
	s, b := scriptedSession()
	defer s.end(ErrClosed)
	b.print(types.SOLPayloadPacket{SequenceNumber: 1, CharacterData: []byte("a")})
	b.seq = 9
	b.print(types.SOLPayloadPacket{SequenceNumber: 2, CharacterData: []byte("b")})
	b.seq = 4 // a retransmission of the first, from before the second
	b.print(types.SOLPayloadPacket{SequenceNumber: 1, CharacterData: []byte("a")})
	buf := make([]byte, 100)
	if n, err := s.sol.Read(buf); err != nil || string(buf[:n]) != "ab" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

func TestFullBufferSuspendsAndResumesTheBMC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedSession()
		defer s.end(ErrClosed)
		chunk := make([]byte, 250)
		var refusedAt uint8
		for i := 0; refusedAt == 0; i++ {
			seq := uint8(i%solSequence + 1)
			b.print(types.SOLPayloadPacket{SequenceNumber: seq, CharacterData: chunk})
			if got := b.took(); got[0].NACK {
				refusedAt = seq
				want := types.SOLPayloadPacket{AckedSequenceNumber: seq, NACK: true, ControlByte: 0x40}
				if diff := cmp.Diff([]types.SOLPayloadPacket{want}, got); diff != "" {
					t.Errorf("refusal: %s", diff)
				}
			}
		}
		if _, err := s.sol.Read(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		resume := types.SOLPayloadPacket{AckedSequenceNumber: refusedAt}
		if diff := cmp.Diff([]types.SOLPayloadPacket{resume}, b.took()); diff != "" {
			t.Errorf("resume: %s", diff)
		}
		next := types.SOLPayloadPacket{AckedSequenceNumber: refusedAt%solSequence + 1}
		for _, want := range []types.SOLPayloadPacket{next, resume} {
			pass(resumeWait + time.Millisecond)
			if diff := cmp.Diff([]types.SOLPayloadPacket{want}, b.took()); diff != "" {
				t.Errorf("resume again: %s", diff)
			}
		}
		b.print(types.SOLPayloadPacket{SequenceNumber: refusedAt, CharacterData: chunk})
		want := types.SOLPayloadPacket{AckedSequenceNumber: refusedAt, AcceptedCharacterCount: 250}
		if diff := cmp.Diff([]types.SOLPayloadPacket{want}, b.took()); diff != "" {
			t.Errorf("accepted: %s", diff)
		}
		pass(time.Minute)
		if got := b.took(); got != nil {
			t.Errorf("sent %v after that", got)
		}
	})
}

func TestTypingFollowsTheAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedSession()
		defer s.end(ErrClosed)
		s.sol.out.size = 4
		wrote := make(chan error, 1)
		go func() {
			_, err := s.sol.Write([]byte("abcdefgh"))
			wrote <- err
		}()
		data := func(seq uint8, text string) []types.SOLPayloadPacket {
			return []types.SOLPayloadPacket{{SequenceNumber: seq, CharacterData: []byte(text)}}
		}
		for _, step := range []struct {
			name  string
			reply types.SOLPayloadPacket // before
			wait  time.Duration
			want  []types.SOLPayloadPacket
		}{
			{"first packet", types.SOLPayloadPacket{}, 0, data(1, "abcd")},
			{"retransmission", types.SOLPayloadPacket{}, solRetryFirst, data(1, "abcd")},
			{"of another packet", types.SOLPayloadPacket{AckedSequenceNumber: 3, AcceptedCharacterCount: 4}, 0, nil},
			{"in part", types.SOLPayloadPacket{AckedSequenceNumber: 1, AcceptedCharacterCount: 1}, 0, data(2, "bcd")},
			{"refused", types.SOLPayloadPacket{AckedSequenceNumber: 2, NACK: true}, 0, nil},
			{"offered again", types.SOLPayloadPacket{}, solNackFirst, data(3, "bcd")},
			{"accepted", types.SOLPayloadPacket{AckedSequenceNumber: 3, AcceptedCharacterCount: 3}, 0, data(4, "efgh")},
			{"resume", types.SOLPayloadPacket{AckedSequenceNumber: 4}, 0, data(4, "efgh")},
			{"resume once more", types.SOLPayloadPacket{AckedSequenceNumber: 4}, 0, nil},
			{"suspended", types.SOLPayloadPacket{AckedSequenceNumber: 4, NACK: true}, 0, nil},
			{"resume of something else", types.SOLPayloadPacket{AckedSequenceNumber: 3}, 0, nil},
			{"resume after suspension", types.SOLPayloadPacket{AckedSequenceNumber: 4}, 0, data(5, "efgh")},
			{"the machine is off", types.SOLPayloadPacket{AckedSequenceNumber: 5, ControlByte: solUnavailable}, 0, nil},
			{"and on again", types.SOLPayloadPacket{AckedSequenceNumber: 5}, 0, data(6, "efgh")},
			{"late", types.SOLPayloadPacket{AckedSequenceNumber: 3, AcceptedCharacterCount: 3}, 0, nil},
			{"in part, and suspended", types.SOLPayloadPacket{AckedSequenceNumber: 6, AcceptedCharacterCount: 2, NACK: true}, 0, nil},
			{"the rest", types.SOLPayloadPacket{}, solNackFirst, data(7, "gh")},
			{"the end", types.SOLPayloadPacket{AckedSequenceNumber: 7, AcceptedCharacterCount: 2}, time.Minute, nil},
		} {
			if step.reply.AckedSequenceNumber != 0 {
				b.print(step.reply)
			}
			pass(step.wait)
			synctest.Wait()
			if diff := cmp.Diff(step.want, b.took()); diff != "" {
				t.Errorf("%s: %s", step.name, diff)
			}
		}
		if err := <-wrote; err != nil {
			t.Error(err)
		}
	})
}

func TestInputThatIsNotTakenIsGivenUp(t *testing.T) {
	for _, refuse := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s, b := scriptedSession()
			defer s.end(ErrClosed)
			s.timeout = 5 * time.Second
			l := s.sol
			stop := make(chan struct{})
			var bmc sync.WaitGroup
			bmc.Go(func() { // it is there, but takes nothing
				for {
					select {
					case <-stop:
						return
					case <-time.After(100 * time.Millisecond):
					}
					l.mu.Lock()
					seq := l.out.seq
					l.mu.Unlock()
					b.print(types.SOLPayloadPacket{AckedSequenceNumber: map[bool]uint8{true: seq}[refuse], NACK: refuse})
				}
			})
			began := time.Now()
			n, err := l.Write([]byte("abc"))
			want := map[bool]error{true: ErrRefused, false: ErrNoAnswer}[refuse]
			if n != 0 || !errors.Is(err, want) || time.Since(began) != 5*time.Second {
				t.Errorf("wrote %d, %v after %v; want %v after 5s", n, err, time.Since(began), want)
			}
			close(stop)
			bmc.Wait()
			if s.ended() != nil || l.err != nil {
				t.Error("the console ended")
			}
		})
	}
}
