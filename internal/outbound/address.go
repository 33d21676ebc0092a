package outbound

import (
	"net/netip"
	"syscall"
)

// refusePrivate refuses an address by what it is, not by what it is called. It
// is asked when a connection is made, after names have been
// resolved and for every redirect: nothing can change between the answer and
// the connection.
func (o Options) refusePrivate(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !public(ap.Addr()) {
		return &refusal{"the address is private; who runs the server can allow it with " + o.Setting}
	}
	return nil
}

// special are ranges beyond those that netip knows by name: they lead into the
// network that the server is in, to the provider it runs at, or hold an IPv4
// address that does.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network
	netip.MustParsePrefix("100.64.0.0/10"),    // carrier-grade NAT; metadata at 100.100.100.200
	netip.MustParsePrefix("168.63.129.16/32"), // metadata and DNS of a provider, though public by its number
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments; metadata at 192.0.0.192
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation
	netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, broadcast
	netip.MustParsePrefix("::/96"),            // IPv4-compatible: an IPv4 address inside
	netip.MustParsePrefix("::ffff:0:0:0/96"),  // IPv4-translated: an IPv4 address inside
	netip.MustParsePrefix("64:ff9b::/96"),     // NAT64: an IPv4 address inside
	netip.MustParsePrefix("64:ff9b:1::/48"),   // local NAT64
	netip.MustParsePrefix("100::/64"),         // discard
	netip.MustParsePrefix("2001::/23"),        // protocol assignments; Teredo: an IPv4 address inside
	netip.MustParsePrefix("2001:db8::/32"),    // documentation
	netip.MustParsePrefix("2002::/16"),        // 6to4: an IPv4 address inside
	netip.MustParsePrefix("3fff::/20"),        // documentation
	netip.MustParsePrefix("5f00::/16"),        // segment routing
	netip.MustParsePrefix("fd00:ec2::/32"),    // metadata of a provider
	netip.MustParsePrefix("fec0::/10"),        // site local
}

// public reports whether an address is anybody's on the Internet.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("") // no prefix contains an address with a zone
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false // loopback, link-local, multicast, unspecified and broadcast are not global
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
