package hub

import (
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/view"
)

// Digest is the digest and count of what a selector matches at the hub's
// view, and that view.
func (h *Hub) Digest(sel *selector.Selector, accessClass string) (v *view.View, digest, count uint64) {
	h.mu.Lock()
	v = h.view
	if g := h.groups[sel.ViewID(accessClass)]; g != nil {
		digest, count = g.digest, g.count
		h.mu.Unlock()
		return v, digest, count
	}
	h.mu.Unlock()
	// The view is immutable: nobody has to wait while it is added up.
	digest, count = SetDigest(v, sel)
	return v, digest, count
}

// SetDigest is the digest and count of what a selector matches in a view.
func SetDigest(v *view.View, sel *selector.Selector) (digest, count uint64) {
	g := &group{sel: sel}
	g.eachService(v, func(s *view.Service) {
		d, n := g.sum(s)
		digest += d
		count += n
	})
	return digest, count
}

// EachService calls f for every service that a selector names and a view has,
// in the order of their names.
func EachService(v *view.View, sel *selector.Selector, f func(*view.Service)) {
	(&group{sel: sel}).eachService(v, f)
}

// Each calls f for every service that a selector names and a view has, with
// the instances that pass the filter. The slice is f's to keep.
func Each(v *view.View, sel *selector.Selector, f func(*view.Service, []*view.Instance)) {
	g := &group{sel: sel}
	g.eachService(v, func(s *view.Service) {
		in := make([]*view.Instance, 0, s.Len())
		for i := range s.Instances {
			if g.holds(i) {
				in = append(in, i)
			}
		}
		f(s, in)
	})
}
