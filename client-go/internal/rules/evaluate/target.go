package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type addressInput struct {
	Address string `json:"address"`
}

type addressOutput struct {
	Kind string `json:"kind"`
}

var address = rule(func(in addressInput) addressOutput {
	return addressOutput{string(rules.KindOfAddress(in.Address))}
})

type targetInput struct {
	Target string `json:"target"`
}

type targetOutput struct {
	Error     string `json:"error"`
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Endpoint  string `json:"endpoint"`
}

var target = rule(func(in targetInput) targetOutput {
	t, err := rules.ParseTarget(in.Target)
	return targetOutput{textOf(err), t.Namespace, t.Service, t.Endpoint}
})
