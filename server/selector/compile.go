package selector

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector/semver"
)

// filter is a compiled InstanceFilter. All lists are sorted and unique; an
// empty one does not filter.
type filter struct {
	set           bool
	versions      semver.Range
	metadata      []metadataMatch
	capabilities  []string
	shard         *shardMatch
	healths       []uint32
	lifecycles    []uint32
	regions       []string
	zones         []string
	instanceIDs   []string
	endpointNames []string
}

// metadataMatch is a condition on one key; without values the key must exist.
type metadataMatch struct {
	key    string
	values []string
}

func (m metadataMatch) compare(other metadataMatch) int {
	return cmp.Or(cmp.Compare(m.key, other.key), slices.Compare(m.values, other.values))
}

// shardMatch asks for a key or, if byID, for a numbered shard.
type shardMatch struct {
	byID bool
	id   uint32
	key  []byte
}

func (s *Selector) compileNames(message *musterv1.Selector) error {
	if len(message.ProtoReflect().GetUnknown()) > 0 {
		return errors.New("selector: has fields that this server does not know; to ignore them would match too much")
	}
	switch names := message.GetNames().(type) {
	case *musterv1.Selector_Services:
		list := names.Services.GetNames()
		if len(list) == 0 {
			return errors.New("selector.services.names: is empty; name at least one service, or use prefix")
		}
		s.exact = make([]ServiceName, 0, len(list))
		for _, n := range list {
			s.exact = append(s.exact, ServiceName{n.GetNamespace(), n.GetService()})
		}
		slices.SortFunc(s.exact, ServiceName.Compare)
		s.exact = slices.Compact(s.exact)
	case *musterv1.Selector_Prefix:
		s.byPrefix = true
		s.namespace, s.prefix = names.Prefix.GetNamespace(), names.Prefix.GetPrefix()
		if s.namespace == "" && s.prefix != "" {
			return fmt.Errorf("selector.prefix.prefix: %q without a namespace; name the namespace, or leave both empty", s.prefix)
		}
	default:
		return errors.New("selector: names no services; set services or prefix")
	}
	return nil
}

func (f *filter) compile(message *musterv1.InstanceFilter) error {
	if len(message.ProtoReflect().GetUnknown()) > 0 {
		return errors.New("selector.filter: has fields that this server does not know; to ignore them would match too much")
	}
	var err error
	if f.versions, err = semver.ParseRange(message.GetVersionRange()); err != nil {
		return fmt.Errorf("selector.filter.version_range: %w", err)
	}
	for _, m := range message.GetMetadata() {
		f.metadata = append(f.metadata, metadataMatch{m.GetKey(), sortedSet(m.GetValues())})
	}
	slices.SortFunc(f.metadata, metadataMatch.compare)
	f.metadata = slices.CompactFunc(f.metadata, func(a, b metadataMatch) bool { return a.compare(b) == 0 })
	if f.shard, err = compileShard(message.GetShard()); err != nil {
		return err
	}
	if f.healths, err = enumSet("healths", musterv1.Health_name, message.GetHealths()); err != nil {
		return err
	}
	if f.lifecycles, err = enumSet("lifecycles", musterv1.Lifecycle_name, message.GetLifecycles()); err != nil {
		return err
	}
	f.capabilities = sortedSet(message.GetCapabilities())
	f.regions = sortedSet(message.GetRegions())
	f.zones = sortedSet(message.GetZones())
	f.instanceIDs = sortedSet(message.GetInstanceIds())
	f.endpointNames = sortedSet(message.GetEndpointNames())
	f.set = !f.versions.Empty() || f.shard != nil || len(f.metadata)+len(f.capabilities)+len(f.healths)+
		len(f.lifecycles)+len(f.regions)+len(f.zones)+len(f.instanceIDs)+len(f.endpointNames) > 0
	return nil
}

func compileShard(message *musterv1.ShardMatch) (*shardMatch, error) {
	if message == nil {
		return nil, nil //nolint:nilnil // no shard is wanted, and that is no error
	}
	switch kind := message.GetKind().(type) {
	case *musterv1.ShardMatch_Key:
		return &shardMatch{key: slices.Clone(kind.Key)}, nil
	case *musterv1.ShardMatch_ShardId:
		return &shardMatch{byID: true, id: kind.ShardId}, nil
	}
	return nil, errors.New("selector.filter.shard: says neither key nor shard_id; set one, or leave shard unset")
}

func sortedSet(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// enumSet refuses 0 and numbers that this server does not know: it could not
// tell which instances they are about.
func enumSet[E ~int32](field string, known map[int32]string, list []E) ([]uint32, error) {
	if len(list) == 0 {
		return nil, nil
	}
	set := make([]uint32, 0, len(list))
	for i, e := range list {
		if _, ok := known[int32(e)]; !ok || e == 0 {
			return nil, fmt.Errorf("selector.filter.%s[%d]: %d is no value to select by", field, i, e)
		}
		set = append(set, uint32(e))
	}
	slices.Sort(set)
	return slices.Compact(set), nil
}
