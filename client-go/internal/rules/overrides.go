package rules

import (
	"fmt"
	"strings"
)

// Override replaces the instances of one service by addresses.
type Override struct {
	// Namespace and Service name the service.
	Namespace, Service string
	// Addresses are host:port, in the order given, at least one.
	Addresses []string
}

// ParseOverrides reads "shop/pay=localhost:9000;shop/cart=10.0.0.1:80,10.0.0.2:80":
// services joined by ';', addresses by ','. Spaces around each are ignored, and
// so is a ';' at the end. The error says where and why.
func ParseOverrides(text string) ([]Override, error) {
	var all []Override
	seen := make(map[string]bool)
	for at, rest, more := 0, text, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, ";")
		if strings.Trim(part, " ") != "" || more {
			one, err := parseOverride(part, at)
			if err != nil {
				return nil, err
			}
			name := one.Namespace + "/" + one.Service
			if seen[name] {
				return nil, fmt.Errorf("byte %d: %s is given twice", at, name)
			}
			seen[name] = true
			all = append(all, one)
		}
		at += len(part) + len(";")
	}
	return all, nil
}

// parseOverride reads one service, which begins at byte `at` of the whole.
func parseOverride(part string, at int) (Override, error) {
	names, addresses, ok := strings.Cut(part, "=")
	if !ok {
		return Override{}, fmt.Errorf("byte %d: %s has no '='; write namespace/service=host:port", at, Quote(part))
	}
	begin := at + leadingSpaces(names)
	namespace, service, ok := strings.Cut(strings.Trim(names, " "), "/")
	if !ok {
		return Override{}, fmt.Errorf("byte %d: %s is no namespace/service", begin, Quote(strings.Trim(names, " ")))
	}
	if problem := namespaceRule.check(namespace, begin); problem != "" {
		return Override{}, fmt.Errorf("%s", problem)
	}
	if problem := serviceRule.check(service, begin+len(namespace)+1); problem != "" {
		return Override{}, fmt.Errorf("%s", problem)
	}
	one := Override{Namespace: namespace, Service: service}
	at += len(names) + len("=")
	for address := range strings.SplitSeq(addresses, ",") {
		trimmed := strings.Trim(address, " ")
		if KindOfAddress(trimmed) != AddressDialable {
			return Override{}, fmt.Errorf("byte %d: %s is no host:port, such as localhost:9000", at+leadingSpaces(address), Quote(trimmed))
		}
		one.Addresses = append(one.Addresses, trimmed)
		at += len(address) + len(",")
	}
	return one, nil
}

func leadingSpaces(text string) int { return len(text) - len(strings.TrimLeft(text, " ")) }
