package rules

import (
	"fmt"
	"strings"
)

// Server is one server of a registry, as a list of servers names it.
type Server struct {
	// Address is host:port.
	Address string
	// Zone that it runs in; empty if the list does not say.
	Zone string
}

// ParseServer reads "host:port" or "host:port@zone". The address must be
// DIALABLE, the zone 1 to 63 bytes of printable ASCII.
func ParseServer(text string) (Server, error) {
	address, zone, zoned := text, "", false
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		address, zone, zoned = text[:at], text[at+1:], true
	}
	if KindOfAddress(address) != AddressDialable || zoned && (zone == "" || len(zone) > longestName || !consistsOf(zone, isPrintable)) {
		return Server{}, fmt.Errorf("%s is no host:port, such as 127.0.0.1:7070", Quote(text))
	}
	return Server{address, zone}, nil
}

// OrderServers is the order, as indexes, in which a client tries servers: those
// of its own zone, of which there are home, and then the others. Each part
// begins at a place that word chooses, so that clients spread over them, and
// keeps the order of the list. Without a zone, or without a server in it, home
// is all of them.
func OrderServers(servers []Server, zone string, word uint64) (order []int, home int) {
	var own, others []int
	for i, s := range servers {
		if zone != "" && s.Zone == zone {
			own = append(own, i)
		} else {
			others = append(others, i)
		}
	}
	order = append(rotated(own, word), rotated(others, word)...)
	if len(own) == 0 {
		return order, len(order)
	}
	return order, len(own)
}

func rotated(list []int, word uint64) []int {
	first := Below(word, uint64(len(list)))
	return append(append([]int(nil), list[first:]...), list[:first]...)
}

// HandoverOrder is the order in which a client that leaves server `from` by
// choice looks for the next one, as positions in the order of OrderServers:
// servers of its own zone first, from itself last among its like.
func HandoverOrder(servers, home, from int) []int {
	var order []int
	begin, end := 0, home
	if from >= home {
		for i := range home {
			order = append(order, i)
		}
		begin, end = home, servers
	}
	for i := from + 1; i < end; i++ {
		order = append(order, i)
	}
	for i := begin; i <= from; i++ {
		order = append(order, i)
	}
	for i := end; i < servers; i++ {
		order = append(order, i)
	}
	return order
}
