package app

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// proxies are whose X-Forwarded-For is believed.
type proxies []netip.Prefix

// newProxies reads addresses and ranges, which were checked with the
// configuration.
func newProxies(list []string) (p proxies) {
	for _, text := range list {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
				prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
			}
			p = append(p, prefix)
		} else if addr, err := netip.ParseAddr(text); err == nil {
			addr = plainAddr(addr)
			p = append(p, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	return p
}

// plainAddr is an address as it is written in one way only.
func plainAddr(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// parseHop reads an address, to which some proxies add the port.
func parseHop(text string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr(), nil
	}
	return netip.ParseAddr(text)
}

func (p proxies) trust(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(plainAddr(addr)) {
			return true
		}
	}
	return false
}

// handler makes the address of a request that of its client. Each proxy adds
// the address that it was reached from at the end, so the client's is the last
// that is not a proxy of ours: what stands before it, anybody can have
// written.
func (p proxies) handler(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := p.client(r); ok {
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

func (p proxies) client(r *http.Request) (client netip.Addr, ok bool) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.trust(from.Addr()) {
		return netip.Addr{}, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			return client, ok // what a proxy of ours did not write
		}
		client, ok = plainAddr(hop), true
		if !p.trust(client) {
			return client, true
		}
	}
	return client, ok
}
