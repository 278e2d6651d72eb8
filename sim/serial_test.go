package sim

import (
	"testing"

	bmc "provisioner/ipmi/sim"
)

var _ bmc.Notifier = (*Machine)(nil) // or its idle console costs the BMC 20 questions a second

func TestMachineTellsWhenItHasPrinted(t *testing.T) {
	m := newMachine(t, Config{Installed: true})
	told := make(chan struct{}, 1)
	m.NotifySerial(func() {
		select {
		case told <- struct{}{}:
		default:
		}
	})
	select {
	case <-told:
		t.Fatal("a machine that is off tells of output")
	default:
	}
	m.SetPower(true)
	<-told
	if text := output(m); text == "" {
		t.Error("told of output, and there is none")
	}
}
