package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// instanceFlags are the fields of an instance that the command line can set.
type instanceFlags struct {
	set          *pflag.FlagSet
	version      string
	endpoints    []string
	weight       uint32
	metadata     map[string]string
	region, zone string
	capabilities []string
	lifecycle    string
	health       string
	healthReason string
}

func addInstanceFlags(cmd *cobra.Command) *instanceFlags {
	f := &instanceFlags{set: cmd.Flags()}
	f.set.StringArrayVar(&f.endpoints, "endpoint", nil, "what clients dial, `[name=][scheme://]host:port`; may be repeated")
	f.set.StringVar(&f.version, "version", "", "release, as semantic version, such as `1.4.0`")
	f.set.Uint32Var(&f.weight, "weight", defaultWeight, "share of new requests relative to others, a `number`; 0 takes none")
	f.set.StringToStringVar(&f.metadata, "metadata", nil, "`key=value` for anything else; may be repeated")
	f.set.StringVar(&f.region, "region", "", "`region` that it runs in")
	f.set.StringVar(&f.zone, "zone", "", "`zone` within the region")
	f.set.StringSliceVar(&f.capabilities, "capability", nil, "`name` of an optional ability; may be repeated")
	f.set.StringVar(&f.lifecycle, "lifecycle", "", "`state`: starting or serving")
	f.set.StringVar(&f.health, "health", "", "what it says of itself, a `state`: healthy, degraded or unhealthy")
	f.set.StringVar(&f.healthReason, "health-reason", "", "why, a `text` for people")
	return f
}

// instance makes an instance of the flags, and a mask of those that were given.
func (f *instanceFlags) instance(key *musterv1.InstanceKey) (*musterv1.Instance, *fieldmaskpb.FieldMask, error) {
	i := &musterv1.Instance{
		Namespace: key.GetNamespace(), Service: key.GetService(), InstanceId: key.GetInstanceId(),
		Version: f.version, Metadata: f.metadata, Capabilities: f.capabilities,
	}
	for _, text := range f.endpoints {
		e, err := parseEndpoint(text)
		if err != nil {
			return nil, nil, err
		}
		i.Endpoints = append(i.Endpoints, e)
	}
	if f.set.Changed("weight") {
		i.Weight = &f.weight
	}
	if f.region != "" || f.zone != "" {
		i.Locality = &musterv1.Locality{Region: f.region, Zone: f.zone}
	}
	var err error
	if i.Lifecycle, err = f.parseLifecycle(); err != nil {
		return nil, nil, err
	}
	if i.SelfHealth, err = f.parseHealth(); err != nil {
		return nil, nil, err
	}
	return i, f.mask(), nil
}

// mask names the fields whose flags were given.
func (f *instanceFlags) mask() *fieldmaskpb.FieldMask {
	fields := map[string]string{
		"version": "version", "endpoint": "endpoints", "weight": "weight", "metadata": "metadata",
		"region": "locality", "zone": "locality", "capability": "capabilities", "lifecycle": "lifecycle",
		"health": "self_health",
	}
	mask := &fieldmaskpb.FieldMask{}
	f.set.Visit(func(flag *pflag.Flag) {
		if field := fields[flag.Name]; field != "" {
			mask.Paths = append(mask.Paths, field)
		}
	})
	mask.Normalize()
	return mask
}

func (f *instanceFlags) parseLifecycle() (musterv1.Lifecycle, error) {
	switch f.lifecycle {
	case "":
		return musterv1.Lifecycle_LIFECYCLE_UNSPECIFIED, nil
	case "starting":
		return musterv1.Lifecycle_LIFECYCLE_STARTING, nil
	case "serving":
		return musterv1.Lifecycle_LIFECYCLE_SERVING, nil
	case "draining":
		return 0, usage("--lifecycle: draining is set by \"muster drain\"")
	default:
		return 0, usage("--lifecycle: %q is not allowed; use starting or serving", f.lifecycle)
	}
}

func (f *instanceFlags) parseHealth() (*musterv1.SelfHealth, error) {
	if f.health == "" {
		if f.healthReason != "" {
			return nil, usage("--health-reason says why the health is what --health says, which is missing")
		}
		return nil, nil //nolint:nilnil // nothing was said, which is no error
	}
	value, ok := musterv1.Health_value["HEALTH_"+strings.ToUpper(f.health)]
	if !ok || value == 0 {
		return nil, usage("--health: %q is not allowed; use healthy, degraded or unhealthy", f.health)
	}
	return &musterv1.SelfHealth{Health: musterv1.Health(value), Reason: f.healthReason}, nil
}
