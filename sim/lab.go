package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	bmc "provisioner/ipmi/sim"
)

// LabConfig describes a lab of simulated machines.
type LabConfig struct {
	Machines  int // 1 to 64000
	Installed int // how many, from the first, have a system on their disk and are on from the start

	// Dead lists the machines, counted from 0, whose BMC answers nothing.
	Dead []int

	BMCUsername string // at most 16 bytes
	BMCPassword string // at most 20 bytes

	Network Network          // that all machines are plugged into
	Pace    time.Duration    // see Config
	Now     func() time.Time // see Config
}

// Lab is many machines, each behind a BMC on a UDP port of its own.
type Lab struct {
	machines []LabMachine
	stop     context.CancelFunc
	wg       sync.WaitGroup

	mu  sync.Mutex
	err error // of BMCs that failed on their own
}

// LabMachine is a machine of a lab.
type LabMachine struct {
	*Machine
	Name    string
	Arch    string
	MAC     net.HardwareAddr
	BMCAddr string // host:port on the loopback interface
}

const (
	labPerByte     = 250 // MACs for each value of the last byte but one
	labMachinesMax = 256 * labPerByte
)

// StartLab starts the machines' BMCs on free loopback ports. The lab ends with
// ctx. Names, architectures and MACs depend only on a machine's number. When
// something fails, such as too many open files, nothing is left running.
func StartLab(ctx context.Context, cfg LabConfig) (*Lab, error) {
	if cfg.Machines < 1 || cfg.Machines > labMachinesMax {
		return nil, fmt.Errorf("a lab of %d machines: it can have 1 to %d", cfg.Machines, labMachinesMax)
	}
	lab := &Lab{machines: make([]LabMachine, 0, cfg.Machines)}
	ctx, lab.stop = context.WithCancel(ctx)
	for i := range cfg.Machines {
		if err := lab.add(ctx, cfg, i); err != nil {
			lab.stop()
			_ = lab.Wait()
			return nil, err
		}
	}
	return lab, nil
}

// Machines returns the lab's machines, in the order of their numbers.
func (l *Lab) Machines() []LabMachine { return slices.Clone(l.machines) }

// Wait blocks until the lab's context has ended and all of its goroutines have.
// It returns what made a BMC fail before, if one did.
func (l *Lab) Wait() error {
	for _, m := range l.machines {
		m.Wait()
	}
	l.wg.Wait()
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// add puts machine i into the lab and starts its BMC, in a goroutine that ends
// with ctx.
func (l *Lab) add(ctx context.Context, cfg LabConfig, i int) error {
	model := models[i%len(models)]
	installed := i < cfg.Installed
	m := LabMachine{
		Name: fmt.Sprintf("%s-%02d", model.name, i/len(models)+1),
		Arch: model.arch,
		MAC:  labMAC(i),
	}
	var err error
	m.Machine, err = NewMachine(ctx, Config{
		Name: m.Name, MAC: m.MAC, Arch: m.Arch, Processor: model.processor, Model: model.name,
		Network: cfg.Network, Installed: installed, Pace: cfg.Pace, Now: cfg.Now,
	})
	if err != nil {
		return err
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the BMC of simulated machine %s: %w", m.Name, err)
	}
	m.BMCAddr = conn.LocalAddr().String()
	l.machines = append(l.machines, m)
	if slices.Contains(cfg.Dead, i) {
		context.AfterFunc(ctx, func() { _ = conn.Close() }) // open, and read by nobody
	} else {
		controller := bmc.New(cfg.BMCUsername, cfg.BMCPassword, m.Machine)
		l.wg.Go(func() {
			if err := controller.Serve(ctx, conn); err != nil {
				l.failed(fmt.Errorf("BMC of simulated machine %s: %w", m.Name, err))
			}
		})
	}
	m.SetPower(installed)
	return nil
}

func (l *Lab) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

// model is a kind of machine that a lab has several of.
type model struct {
	name      string
	arch      string
	processor string
}

var models = []model{
	{"amd-rome", AMD64, "AMD EPYC 7742 64-Core Processor"},
	{"ampere", ARM64, "Ampere Altra Q80-30"},
	{"xeon-gold", AMD64, "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"},
	{"thunderx2", ARM64, "Cavium ThunderX2 CN9980"},
	{"amd-milan", AMD64, "AMD EPYC 7763 64-Core Processor"},
	{"kunpeng", ARM64, "HiSilicon Kunpeng 920"},
}

// labMAC is machine i's MAC: locally administered, and never ending in 0 or
// 255, so that the address made of it is one that a host may have.
func labMAC(i int) net.HardwareAddr {
	return net.HardwareAddr{0x52, 0x54, 0x00, 0x4d, byte(i / labPerByte), byte(i%labPerByte + 1)}
}
