package boot

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// DHCPGuard says who may ask the DHCP hook. It tells which machines there are
// and what they boot, and believes what it is told of addresses.
type DHCPGuard struct {
	// From are the networks that callers may be in; nil for [PrivateNetworks].
	From []netip.Prefix
	// Secret is what callers have to show, as `Authorization: Bearer SECRET`;
	// empty: nothing, as mr-provisioner's Kea plugin can show nothing.
	Secret string
}

// PrivateNetworks are this host, its links and the private networks (RFC 1918,
// RFC 4193).
func PrivateNetworks() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"),
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("fc00::/7"),
	}
}

// refusalEvery is how often a refusal is logged: a caller that is refused asks
// again.
const refusalEvery = time.Minute

// Guard lets through to next whom the guard allows. Others get 403 for where
// they are and 401 for a secret that is missing or wrong.
func (g DHCPGuard) Guard(next http.Handler, logger *slog.Logger) http.Handler {
	from := g.From
	if from == nil {
		from = PrivateNetworks()
	}
	secret := sha256.Sum256([]byte(g.Secret)) // so that the comparison does not tell its length
	log := rate.Sometimes{First: 1, Interval: refusalEvery}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse := func(status int, why string) {
			log.Do(func() { logger.Warn("DHCP hook refused a caller", "from", r.RemoteAddr, "why", why) })
			http.Error(w, why, status)
		}
		caller, err := netip.ParseAddrPort(r.RemoteAddr)
		address := caller.Addr().Unmap().WithZone("")
		if err != nil || !slices.ContainsFunc(from, func(p netip.Prefix) bool { return p.Contains(address) }) {
			refuse(http.StatusForbidden, "this address may not ask the DHCP hook; --dhcp-hook-from allows it")
			return
		}
		if g.Secret != "" {
			shown, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			sum := sha256.Sum256([]byte(shown))
			if subtle.ConstantTimeCompare(sum[:], secret[:]) != 1 {
				w.Header().Set("WWW-Authenticate", "Bearer")
				refuse(http.StatusUnauthorized, "the DHCP hook wants its secret, as `Authorization: Bearer SECRET`")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
