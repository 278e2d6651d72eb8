package ipmi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bougou/go-ipmi/pkg/types"
)

// CipherSuite is the number of a cipher suite (IPMI v2.0 §22.15.2, Table
// 22-20): by which algorithms the two ends prove who they are, and keep
// packets from being changed and from being read.
type CipherSuite uint8

// defaultSuites are those that protect a session as well as IPMI can, in the
// order of preference. Nearly all BMCs know one of them.
var defaultSuites = []CipherSuite{17, 3}

// String returns the number.
func (s CipherSuite) String() string { return strconv.Itoa(int(s)) }

// Describe names the algorithms for authentication, integrity and
// confidentiality, "none" where there is none:
// "HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128".
func (s CipherSuite) Describe() string {
	a, err := s.algorithms()
	if err != nil {
		return "unsupported"
	}
	auth := map[types.AuthAlg]string{
		types.AuthAlg_None: "none", types.AuthAlg_HMAC_SHA1: "HMAC-SHA1",
		types.AuthAlg_HMAC_MD5: "HMAC-MD5", types.AuthAlg_HMAC_SHA256: "HMAC-SHA256",
	}
	integrity := map[types.IntegrityAlg]string{
		types.IntegrityAlg_None: "none", types.IntegrityAlg_HMAC_SHA1_96: "HMAC-SHA1-96",
		types.IntegrityAlg_HMAC_MD5_128: "HMAC-MD5-128", types.IntegrityAlg_MD5_128: "MD5-128",
		types.IntegrityAlg_HMAC_SHA256_128: "HMAC-SHA256-128",
	}
	crypt := map[types.CryptAlg]string{types.CryptAlg_None: "none", types.CryptAlg_AES_CBC_128: "AES-CBC-128"}
	return auth[a.auth] + ", " + integrity[a.integrity] + ", " + crypt[a.crypt]
}

// Check says why a suite cannot be used. Without an error it is one of 0 to 3,
// 6 to 8, 11, 12 and 15 to 17.
func (s CipherSuite) Check() error {
	_, err := s.algorithms()
	return err
}

// algorithms are what a cipher suite stands for.
type algorithms struct {
	auth      types.AuthAlg
	integrity types.IntegrityAlg
	crypt     types.CryptAlg
}

// algorithms leaves xRC4 out (§13.30): its key stream goes on from packet to
// packet, RC4 is broken, and the suites that have it have a sister with AES.
func (s CipherSuite) algorithms() (algorithms, error) {
	auth, integrity, crypt, ok := types.GetCipherSuiteAlgorithms(types.CipherSuiteID(s))
	switch {
	case !ok:
		return algorithms{}, fmt.Errorf("there is no cipher suite %d; IPMI has 0 to 17", s)
	case crypt != types.CryptAlg_None && crypt != types.CryptAlg_AES_CBC_128:
		return algorithms{}, fmt.Errorf("cipher suite %d encrypts by xRC4, which is not supported; 3 and 17 encrypt by AES", s)
	}
	return algorithms{auth, integrity, crypt}, nil
}

// ParseCipherSuites reads numbers of cipher suites, separated by commas or
// spaces, the preferred first. Of an empty text it returns nil, which stands
// for the default.
func ParseCipherSuites(text string) ([]CipherSuite, error) {
	var suites []CipherSuite
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.ParseUint(word, 10, 8)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of a cipher suite, such as 17 or 3", word)
		}
		suites = append(suites, CipherSuite(n))
	}
	return suites, checkSuites(suites)
}

func checkSuites(suites []CipherSuite) error {
	for i, s := range suites {
		if err := s.Check(); err != nil {
			return err
		}
		if slices.Contains(suites[:i], s) {
			return fmt.Errorf("cipher suite %d is listed twice", s)
		}
	}
	return nil
}

// nextSuite returns the most preferred of the suites that were not refused.
func nextSuite(suites []CipherSuite, refused map[CipherSuite]bool) (CipherSuite, bool) {
	for _, s := range suites {
		if !refused[s] {
			return s, true
		}
	}
	return 0, false
}

// listSuites returns "17", "17 and 3", "17, 3 and 8".
func listSuites(suites []CipherSuite) string {
	var b strings.Builder
	for i, s := range suites {
		switch {
		case i > 0 && i == len(suites)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(s.String())
	}
	return b.String()
}

// parseSuiteRecords reads the cipher suite records of a BMC (IPMI v2.0
// §22.15.1, Table 22-19): each begins with C0h and the number of a standard
// suite, or C1h, a number and three bytes of an OEM, and goes on with
// algorithms, whose upper two bits are never 11b. It returns the standard ones
// in ascending order, each once.
func parseSuiteRecords(records []byte) []CipherSuite {
	const standard, oem = 0xc0, 0xc1
	var suites []CipherSuite
	for len(records) >= 2 {
		switch records[0] {
		case standard:
			suites = append(suites, CipherSuite(records[1]))
			records = records[2:]
		case oem:
			records = records[min(5, len(records)):]
		default: // an algorithm
			records = records[1:]
		}
	}
	slices.Sort(suites)
	return slices.Compact(suites)
}
