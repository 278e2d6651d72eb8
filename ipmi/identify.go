package ipmi

import (
	"context"

	"github.com/bougou/go-ipmi/pkg/types"
)

// Light is what the light on a machine's front does, by which it is found in
// its rack (IPMI v2.0 §28.5). Some machines beep instead.
type Light uint8

const (
	LightOff Light = iota
	LightBrief
	LightOn // until it is turned off
)

// lightSeconds is how long LightBrief lasts: the specification's own choice
// for a request that names no time.
const lightSeconds = 15

// String returns off, "on for 15 s" or on.
func (l Light) String() string {
	switch l {
	case LightOff:
		return "off"
	case LightBrief:
		return "on for 15 s"
	case LightOn:
		return "on"
	}
	return "unknown"
}

// Identify turns the machine's light on or off. It blocks until the BMC has
// agreed. LightOn is optional in IPMI, and refused by a BMC that lacks it.
func (c *Client) Identify(ctx context.Context, l Light) error {
	_, err := c.ask(ctx, identify(l), true)
	return c.fail("identify "+l.String(), err)
}

// identify is the request. It has its second byte only where it is needed,
// since BMCs of old know none.
type identify Light

func (identify) Command() types.Command { return types.CommandChassisIdentify }

func (l identify) Pack() []byte {
	const forceOn = 0x01
	switch Light(l) {
	case LightOff:
		return []byte{0}
	case LightOn:
		return []byte{0, forceOn}
	case LightBrief:
	}
	return []byte{lightSeconds}
}
