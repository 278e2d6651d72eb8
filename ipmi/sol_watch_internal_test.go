package ipmi

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

// scriptedConsole is an open console of a BMC that says who has it: session
// after session, the last one for ever.
func scriptedConsole(holders ...uint32) (*SOL, *scripted, func() (asked []uint8)) {
	s, b := scriptedSession()
	var mu sync.Mutex
	var asked []uint8
	b.command = func(cmd uint8, data []byte) (uint8, []byte) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, cmd)
		switch cmd {
		case 0x4b: // Get Payload Instance Info
			if len(holders) == 0 {
				return 0xc1, nil
			}
			id := holders[0]
			if len(holders) > 1 {
				holders = holders[1:]
			}
			return 0, append(binary.LittleEndian.AppendUint32(nil, id), make([]byte, 8)...)
		case 0x3d: // Get Session Info
			if id := binary.LittleEndian.Uint32(data[1:]); id != 0x0a0b0c0d {
				return 0xc9, nil
			}
			return 0, []byte{1, 4, 2, 3, 4, 0x11, 10, 0, 0, 5, 1, 2, 3, 4, 5, 6, 41234 & 0xff, 41234 >> 8}
		case 0x46: // Get User Name
			if data[0] != 3 {
				return 0xcc, nil
			}
			return 0, []byte("root\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
		}
		return 0, nil
	}
	s.sol.active = false
	if err := s.sol.start(0, 255); err != nil {
		panic(err)
	}
	return s.sol, b, func() []uint8 {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}

// Not all BMCs tell the console that another client took it from.
func TestConsoleLearnsOfItsLossFromTheKeepalive(t *testing.T) {
	const ours, theirs = 0x05060708, 0x0a0b0c0d
	const other = "BMC bmc:623: console: console taken over by root from 10.0.0.5:41234"
	const unknown = "BMC bmc:623: console: console in use: the BMC ended it; another client took it over, or the BMC was told to"
	for _, tt := range []struct {
		name    string
		holders []uint32
		lost    string
	}{
		{"never", []uint32{ours}, ""},
		{"taken over", []uint32{ours, ours, theirs}, other},
		{"deactivated", []uint32{ours, 0}, unknown},
		{"deactivated, and taken then", []uint32{ours, 0, 0, theirs}, other},
		{"by somebody of whom the BMC says nothing", []uint32{ours, 99}, unknown},
		{"of a BMC that names the other end's session", []uint32{0x01020304, theirs}, other},
		{"of a BMC that names something else", []uint32{7, theirs}, ""},
		{"of a BMC that always says nobody", []uint32{0}, ""},
		{"of a BMC that says nothing", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _, _ := scriptedConsole(tt.holders...)
				defer l.session.end(ErrClosed)
				ended := make(chan error, 1)
				go func() {
					_, err := l.Read(make([]byte, 1))
					ended <- err
				}()
				pass(70 * time.Second)
				synctest.Wait()
				select {
				case err := <-ended:
					if tt.lost == "" || err.Error() != tt.lost || !errors.Is(err, ErrSOLActive) {
						t.Errorf("lost: %v; want %q", err, tt.lost)
					}
					var active *SOLActiveError
					if !errors.As(err, &active) || !active.Lost {
						t.Errorf("%#v is no loss", err)
					}
				default:
					if tt.lost != "" {
						t.Error("the console goes on")
					}
				}
				if err := l.session.ended(); err != nil {
					t.Errorf("the session has ended: %v", err)
				}
			})
		})
	}
}

func TestKeepaliveAsksForTheDeviceIDWhereThereIsNoMoreToLearn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, asked := scriptedConsole()
		defer l.session.end(ErrClosed)
		pass(80 * time.Second)
		synctest.Wait()
		got := asked()
		if len(got) < 3 || got[0] != 0x4b || slices.Contains(got[1:], 0x4b) || !slices.Contains(got, 0x01) {
			t.Errorf("commands %x", got)
		}
	})
}

// OpenIPMI ends a session after 30 s without a command, whatever its console
// says meanwhile.
func TestKeepaliveAsksWhileTheMachinePrints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, b, asked := scriptedConsole(0x05060708)
		defer l.session.end(ErrClosed)
		go func() { // ends with the session
			for {
				if _, err := l.Read(make([]byte, 100)); err != nil {
					return
				}
			}
		}()
		last, before := 0, 0
		for second := range 120 {
			b.print(types.SOLPayloadPacket{SequenceNumber: uint8(second%solSequence + 1), CharacterData: []byte("x")})
			pass(time.Second)
			if n := len(asked()); n > before {
				last, before = second, n
			}
			if second-last > 25 {
				t.Fatalf("after %d s not asked anything since %d s", second, last)
			}
		}
		if before > 9 {
			t.Errorf("asked %d times in two minutes", before)
		}
	})
}

// A BMC that says that it has given the console away, and to whom, or is too
// busy to say that.
func TestDeactivationNamesTheNewHolder(t *testing.T) {
	const ours, theirs = 0x05060708, 0x0a0b0c0d
	synctest.Test(t, func(t *testing.T) {
		l, b, _ := scriptedConsole(theirs)
		defer l.session.end(ErrClosed)
		for range 3 {
			b.print(types.SOLPayloadPacket{ControlByte: solDeactivated})
		}
		_, err := l.Read(make([]byte, 1))
		if !errors.Is(err, ErrSOLActive) || err.Error() != "BMC bmc:623: console: console taken over by root from 10.0.0.5:41234" {
			t.Errorf("lost: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l, b, _ := scriptedConsole(ours)
		defer l.session.end(ErrClosed)
		b.command = func(uint8, []byte) (uint8, []byte) { return uint8(types.CodeNodeBusy), nil }
		b.print(types.SOLPayloadPacket{SequenceNumber: 1, CharacterData: []byte("bye"), ControlByte: solDeactivated})
		began := time.Now()
		buf := make([]byte, 10)
		if n, err := l.Read(buf); string(buf[:n]) != "bye" {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		if _, err := l.Read(buf); !errors.Is(err, ErrSOLActive) {
			t.Errorf("lost: %v", err)
		}
		if took := time.Since(began); took > holderWait {
			t.Errorf("the end took %v", took)
		}
	})
}

func TestGapsInTheOutputAreCounted(t *testing.T) {
	s, b := scriptedSession()
	defer s.end(ErrClosed)
	print := func(seq, status uint8) {
		b.print(types.SOLPayloadPacket{SequenceNumber: seq, CharacterData: []byte("x"), ControlByte: status})
	}
	print(1, 0)
	print(2, solOverrun)
	print(2, solOverrun) // a retransmission: the same gap
	print(0, solOverrun)
	print(3, solUnavailable)
	print(4, 0x04) // the machine sends BREAK
	if n := s.sol.client.Stats().Overruns; n != 2 {
		t.Errorf("%d gaps, want 2", n)
	}
	buf := make([]byte, 10)
	if n, err := s.sol.Read(buf); err != nil || string(buf[:n]) != "xxxx" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

// Input for a machine that is off is given up as refused, and says so.
func TestMachineThatIsOffKeepsItsConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedSession()
		defer s.end(ErrClosed)
		s.timeout = 5 * time.Second
		wrote := make(chan error, 1)
		go func() {
			_, err := s.sol.Write([]byte("abc"))
			wrote <- err
		}()
		sent := 0
		for waiting := true; waiting; {
			select {
			case err := <-wrote:
				waiting = false
				if !errors.Is(err, ErrRefused) || err.Error() != "BMC bmc:623: console input: refused: the machine's serial port takes no input: the machine is off, asleep or in reset" {
					t.Errorf("wrote: %v", err)
				}
			case <-time.After(10 * time.Millisecond):
				for _, p := range b.took() {
					sent++
					b.print(types.SOLPayloadPacket{AckedSequenceNumber: p.SequenceNumber, ControlByte: solUnavailable})
				}
			}
		}
		if sent < 5 || sent > 20 {
			t.Errorf("offered %d times in 5 s", sent)
		}
		if s.ended() != nil || s.sol.err != nil {
			t.Error("the console ended")
		}
	})
}
