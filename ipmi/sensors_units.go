package ipmi

// unitNames are IPMI v2.0 Table 43-15, in the symbols of the SI where there
// are some, else as they are written behind a number.
var unitNames = [...]string{
	1: "°C", "°F", "K", "V", "A", "W", "J", "C", "VA", "nt", "lm", "lx", "cd", "kPa", "psi", "N", "CFM", "RPM", "Hz",
	20: "µs", "ms", "s", "min", "h", "d", "weeks", "mil", "in", "ft", "in³", "ft³", "mm", "cm", "m", "cm³", "m³", "l", "fl oz",
	39: "rad", "sr", "revolutions", "cycles", "g", "oz", "lb", "ft·lb", "oz·in", "G", "Gb", "H", "mH", "F", "µF", "Ω", "S",
	56: "mol", "Bq", "ppm", "", "dB", "dBA", "dBC", "Gy", "Sv", "K", "bit", "kbit", "Mbit", "Gbit", "B", "kB", "MB", "GB",
	74: "words", "dwords", "qwords", "lines", "hits", "misses", "retries", "resets", "overruns", "underruns", "collisions",
	85: "packets", "messages", "characters", "errors", "correctable errors", "uncorrectable errors", "fatal errors", "grams",
}

// rateNames are bits 5:3 of the sensor units (IPMI v2.0 Table 43-1, byte 21).
var rateNames = [...]string{1: "µs", "ms", "s", "min", "h", "d"}

// unitOf reads the three bytes of a sensor's units: flags, base unit and
// modifier unit. A unit that Table 43-15 does not name is left out.
func unitOf(flags, base, modifier uint8) string {
	name := func(names []string, n uint8) string {
		if int(n) < len(names) {
			return names[n]
		}
		return ""
	}
	unit, second := name(unitNames[:], base), name(unitNames[:], modifier)
	if second != "" {
		switch flags >> 1 & 3 {
		case 1:
			unit += "/" + second
		case 2:
			unit += "·" + second
		}
	}
	if flags&1 != 0 { // a percentage, of the base unit if there is one
		if unit == "" {
			unit = "%"
		} else {
			unit = "% " + unit
		}
	}
	if rate := name(rateNames[:], flags>>3&7); rate != "" {
		unit += "/" + rate
	}
	return unit
}
