package ipmi

import "math"

// How a reading is to be understood (IPMI v2.0 Table 43-1, byte 21, bits 7:6).
const (
	analogUnsigned = iota
	analogOnesComplement
	analogTwosComplement
	analogNone // the sensor has no number
)

// What is done to a reading once it is a number (IPMI v2.0 Table 43-1, byte 24).
const (
	linear        = 0x00
	linearRoot3   = 0x0b // the last of those that need no more than the record
	nonLinear     = 0x70 // factors are asked for, for each reading
	linearization = 0x7f // which bits of the byte say so
)

// factors make a number of a reading: y = L[(M·x + B·10^K1)·10^K2]
// (IPMI v2.0 §36.3).
type factors struct {
	m, b   int16 // 10 bits, signed
	k1, k2 int8  // 4 bits, signed
}

// parseFactors reads M, B and the exponents as they are in a sensor's record
// (IPMI v2.0 Table 43-1, bytes 25 to 30) and in Get Sensor Reading Factors
// (§35.5).
func parseFactors(p [6]byte) factors {
	tenBits := func(low, high uint8) int16 { return int16(uint16(high)<<8|uint16(low)) << 6 >> 6 }
	return factors{
		m:  tenBits(p[0], p[1]>>6),
		b:  tenBits(p[2], p[3]>>6),
		k1: int8(p[5]<<4) >> 4,
		k2: int8(p[5]) >> 4,
	}
}

// convert makes a number of a reading. ok is false where the record says too
// little of how, or the result is no number: 1/x of nothing, for instance.
func (f factors) convert(raw, format, linearize uint8) (value float64, ok bool) {
	x := 0.0
	switch format {
	case analogUnsigned:
		x = float64(raw)
	case analogOnesComplement:
		if raw&0x80 != 0 {
			raw++ // of -1 it makes -0
		}
		x = float64(int8(raw))
	case analogTwosComplement:
		x = float64(int8(raw))
	default:
		return 0, false
	}
	y := (float64(f.m)*x + float64(f.b)*math.Pow10(int(f.k1))) * math.Pow10(int(f.k2))
	switch linearize {
	case linear, nonLinear:
	case 0x01:
		y = math.Log(y)
	case 0x02:
		y = math.Log10(y)
	case 0x03:
		y = math.Log2(y)
	case 0x04:
		y = math.Exp(y)
	case 0x05:
		y = math.Pow(10, y)
	case 0x06:
		y = math.Exp2(y)
	case 0x07:
		y = 1 / y
	case 0x08:
		y *= y
	case 0x09:
		y = y * y * y
	case 0x0a:
		y = math.Sqrt(y)
	case linearRoot3:
		y = math.Cbrt(y)
	default:
		return 0, false // the manufacturer's own
	}
	if math.IsNaN(y) || math.IsInf(y, 0) {
		return 0, false
	}
	return y, true
}
