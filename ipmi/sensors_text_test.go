package ipmi_test

import (
	"testing"

	"provisioner/ipmi"
)

func TestSensorsInWords(t *testing.T) {
	for want, s := range map[string]ipmi.Sensor{
		"41.125 °C":           {HasValue: true, Value: 41.1249, Unit: "°C"},
		"-3":                  {HasValue: true, Value: -3},
		"present, input lost": {States: []string{"present", "input lost"}},
		"":                    {},
	} {
		if got := s.Reading(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	low, high, warn := 5.0, 80.5, 70.0
	for want, thresholds := range map[string]ipmi.Thresholds{
		"5 to 80.5": {LowerCritical: &low, UpperCritical: &high, UpperNonCritical: &warn},
		"to 70":     {UpperNonCritical: &warn},
		"from 5":    {LowerNonRecoverable: &low},
		"":          {},
	} {
		if got := thresholds.String(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
