package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// parseService reads "namespace/service".
func parseService(text string) (*musterv1.ServiceName, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
		return nil, usage("%q is not namespace/service, such as shop/pay", text)
	}
	return &musterv1.ServiceName{Namespace: parts[0], Service: parts[1]}, nil
}

// parseInstance reads "namespace/service/id".
func parseInstance(text string) (*musterv1.InstanceKey, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return nil, usage("%q is not namespace/service/id, such as shop/pay/pay-1", text)
	}
	return &musterv1.InstanceKey{Namespace: parts[0], Service: parts[1], InstanceId: parts[2]}, nil
}

// parsePrefix reads "namespace/prefix*", or "*" for everything.
func parsePrefix(text string) (*musterv1.ServicePrefix, error) {
	namespace, rest, found := strings.Cut(strings.TrimSuffix(text, "*"), "/")
	if text == "*" || found && namespace != "" && !strings.ContainsAny(rest, "/*") {
		return &musterv1.ServicePrefix{Namespace: namespace, Prefix: rest}, nil
	}
	return nil, usage("%q is not namespace/prefix*, such as shop/* or shop/pay*, or * for everything", text)
}

// arguments says how many arguments a command takes; an example says what they
// are.
func arguments(least, most int, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("%s: an argument is missing, such as in: %s", cmd.Name(), example)
		case len(args) > most:
			return fmt.Errorf("%s: the argument %q is one too many; an example is: %s", cmd.Name(), args[most], example)
		default:
			return nil
		}
	}
}

func keyName(k *musterv1.InstanceKey) string {
	return k.GetNamespace() + "/" + k.GetService() + "/" + k.GetInstanceId()
}

func instanceName(i *musterv1.Instance) string {
	return i.GetNamespace() + "/" + i.GetService() + "/" + i.GetInstanceId()
}

func serviceName(s interface {
	GetNamespace() string
	GetService() string
},
) string {
	return s.GetNamespace() + "/" + s.GetService()
}

// short is an enum's name without the prefix that all of its values share.
func short(name interface{ String() string }, prefix string) string {
	return strings.TrimPrefix(name.String(), prefix)
}
