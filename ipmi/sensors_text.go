package ipmi

import (
	"math"
	"strconv"
	"strings"
)

// Reading is what the sensor says, for people: "41 °C", "present, input lost".
// It is empty where it says nothing.
func (s Sensor) Reading() string {
	words := s.States
	if s.HasValue {
		words = append([]string{strings.TrimSpace(number(s.Value) + " " + s.Unit)}, words...)
	}
	return strings.Join(words, ", ")
}

// String is the range that is not critical, or not even worth a warning where
// the sensor knows only that: "10 to 80". It is empty where there is none.
func (t Thresholds) String() string {
	first := func(thresholds ...*float64) *float64 {
		for _, limit := range thresholds {
			if limit != nil {
				return limit
			}
		}
		return nil
	}
	low := first(t.LowerCritical, t.LowerNonCritical, t.LowerNonRecoverable)
	high := first(t.UpperCritical, t.UpperNonCritical, t.UpperNonRecoverable)
	switch {
	case low != nil && high != nil:
		return number(*low) + " to " + number(*high)
	case low != nil:
		return "from " + number(*low)
	case high != nil:
		return "to " + number(*high)
	}
	return ""
}

// number writes a value with three decimals at most.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}
