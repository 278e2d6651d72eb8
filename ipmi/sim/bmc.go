// Package sim is a simulated BMC: it speaks RMCP+ (IPMI v2.0) on a packet
// connection and drives whatever [Hardware] it is given. Tests and the demo
// use it in place of a real one.
//
// The protocol engine is the reference server of github.com/bougou/go-ipmi;
// this package gives it hardware, shields it from the datagrams that would
// panic it (guard.go), and keeps a thousand idle consoles cheap (serial.go).
package sim

import (
	"context"
	"crypto/rand"
	"net"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/types"

	"provisioner/ipmi"
)

// Hardware is the machine behind a simulated BMC. Its methods are called
// concurrently and must not block.
type Hardware interface {
	PoweredOn() bool
	SetPower(on bool)
	Reset()
	// SetBootDevice is told of every boot flags write. The flags are for the
	// next boot only unless persistent.
	SetBootDevice(dev ipmi.BootDevice, persistent, efi bool)
	// ReadSerial copies pending serial output into p and returns how much;
	// 0 when there is none. It is called only while a console is attached.
	ReadSerial(p []byte) int
	// WriteSerial gives the machine what was typed and returns how many bytes
	// it took; the rest is offered again.
	WriteSerial(p []byte) int
}

// Notifier is Hardware that tells when there is serial output. Its console
// costs nothing while it is idle; other hardware is asked every 50 ms.
type Notifier interface {
	// NotifySerial is called once by [New]. From then on the hardware calls
	// notify after each piece of output that it keeps for ReadSerial. It may
	// hold its locks meanwhile: notify does not block, and asks for nothing.
	NotifySerial(notify func())
}

// Interrupted is Hardware that notices a diagnostic interrupt.
type Interrupted interface{ Interrupt() }

// Lit is Hardware with a light to find it by.
type Lit interface{ Identify(light ipmi.Light) }

// Option changes a BMC from its defaults.
type Option func(*bmc.BMC)

// WithKG gives the BMC a key K_g of its own (IPMI v2.0 §13.33), so that a
// password alone opens no session.
func WithKG(kg []byte) Option { return func(b *bmc.BMC) { bmc.WithKG(kg)(b) } }

// WithoutSuite17 makes the BMC refuse cipher suite 17, as older ones do.
func WithoutSuite17() Option {
	return func(b *bmc.BMC) { b.SetCipherSuites([]types.CipherSuiteID{types.CipherSuiteID3}) }
}

// WithSOLTiming says how long output is collected for a packet (5 to 1275 ms)
// and how soon a packet that is not acknowledged is sent again, seven times
// (10 to 2550 ms): parameters 3 and 4 of IPMI v2.0 Table 26-5. Without it these
// are 50 and 100 ms.
func WithSOLTiming(collect, again time.Duration) Option {
	return func(b *bmc.BMC) { setSOLTiming(b, collect, again) }
}

func setSOLTiming(b *bmc.BMC, collect, again time.Duration) {
	const retries = 7 // rather often than lose output on a bad network
	units := func(d, unit time.Duration) byte { return byte(min(max(d/unit, 1), 255)) }
	_ = b.SOL.Config().SetParam(3, []byte{units(collect, 5*time.Millisecond), bmc.SOLMaxPayloadChars})
	_ = b.SOL.Config().SetParam(4, []byte{retries, units(again, 10*time.Millisecond)})
}

// solRetransmits is for how long the SOL engine keeps what is not acknowledged.
func solRetransmits(b *bmc.BMC) time.Duration {
	retry, ok := b.SOL.Config().GetParam(4)
	if !ok || len(retry) < 2 {
		return 0
	}
	return time.Duration(retry[0]+1) * time.Duration(retry[1]) * 10 * time.Millisecond
}

// WithCipherSuites makes the BMC take these cipher suites and no others. It has
// 0 to 3 and 15 to 17.
func WithCipherSuites(suites ...ipmi.CipherSuite) Option {
	return func(b *bmc.BMC) {
		ids := make([]types.CipherSuiteID, len(suites))
		for i, s := range suites {
			ids[i] = types.CipherSuiteID(s)
		}
		b.SetCipherSuites(ids)
	}
}

// WithSOLPort makes the BMC name a UDP port for its consoles. On a UDP socket
// it names the one that it serves on, whatever this says.
func WithSOLPort(port uint16) Option {
	return func(b *bmc.BMC) { b.SOL.Config().PayloadPort = port }
}

// WithUserPrivilege makes the one user a user or an operator instead of an
// administrator.
func WithUserPrivilege(most ipmi.Privilege) Option {
	return func(b *bmc.BMC) {
		_ = b.Users.Update(userID, func(u *bmc.User) error {
			u.ChannelAccess = map[uint8]bmc.UserChannelAccess{
				lanChannel: {MaxPrivilege: bmc.PrivilegeLevel(most), Enabled: true},
			}
			return nil
		})
	}
}

const userID, lanChannel = 2, 1 // of the one user and the one network

// BMC is one simulated baseboard management controller with one user, an
// administrator. It takes cipher suites 17 and 3 and at most four sessions.
type BMC struct {
	core     *bmc.BMC
	serial   *serialPort
	commands *handlers.Registry
	conn     net.PacketConn // of the Serve under way
}

// New makes a BMC in front of hw. IPMI cuts the user name at 16 and the
// password at 20 bytes.
func New(username, password string, hw Hardware, opts ...Option) *BMC {
	var guid [16]byte
	_, _ = rand.Read(guid[:]) // crypto/rand never fails (Go 1.24)
	serial := &serialPort{hw: hw}
	info := bmc.DeviceInfo{DeviceID: 0x20, FirmwareMajor: 1, IPMIVersion: 0x02, AdditionalDeviceSupport: 0x80}
	core := bmc.New(info, guid, &board{chassis: chassis{hw: hw}, serial: serial}, bmc.WithClock(pollClock{serial}))
	setSOLTiming(core, 50*time.Millisecond, 100*time.Millisecond)

	_ = core.Users.Upsert(userID, func(u *bmc.User) error {
		u.Name = username[:min(len(username), bmc.MaxUserNameLen)]
		u.SetPassword([]byte(password))
		u.Enabled = true
		u.ChannelAccess = map[uint8]bmc.UserChannelAccess{
			lanChannel: {MaxPrivilege: bmc.PrivilegeLevelAdministrator, Enabled: true},
		}
		return nil
	})
	for _, o := range opts {
		o(core)
	}
	serial.watch(solRetransmits(core))
	return &BMC{core: core, serial: serial, commands: commands()}
}

// ConsoleOpen reports whether a client has the machine's console open.
func (b *BMC) ConsoleOpen() bool { return b.serial.open() }

// Serve answers on conn until ctx ends, then closes conn and returns nil. It
// returns an error when conn fails on its own. One Serve at a time.
func (b *BMC) Serve(ctx context.Context, conn net.PacketConn) error {
	guarded := newGuard(conn, b.core.Sessions, b.serial.touch)
	b.conn = guarded
	srv := server.NewServer(b.core, guarded,
		server.WithHandlerRegistry(b.commands),
		server.WithServerBufferSize(maxDatagram))
	closed := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = srv.Close()
	})
	_ = srv.Serve(ctx) // may return at the end of ctx, before conn is closed
	if !unhook() {
		<-closed
		return nil
	}
	_ = srv.Close()
	return guarded.failure()
}

// commands is the reference server's command set, with what it lacks. It is
// read-only and the same for all BMCs of a process.
var commands = sync.OnceValue(func() *handlers.Registry {
	reg := handlers.NewRegistry()
	handlers.RegisterAllHandlers(reg)
	plain := handlers.NewRegistry()
	handlers.RegisterAllHandlers(plain)
	reg.RegisterFunc(types.CommandChassisControl, control(plain))
	reg.RegisterFunc(types.CommandGetSessionInfo, sessionInfo(plain))
	registerEquipment(reg, plain)
	return reg
})
