package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type advertiseInput struct {
	Listener   string `json:"listener"`
	Advertise  string `json:"advertise"`
	PodIP      string `json:"pod_ip"`
	Interfaces []struct {
		Interface string `json:"interface"`
		Address   string `json:"address"`
	} `json:"interfaces"`
}

type advertiseOutput struct {
	Error   string `json:"error"`
	Address string `json:"address"`
}

var advertise = rule(func(in advertiseInput) advertiseOutput {
	interfaces := make([]rules.InterfaceAddress, len(in.Interfaces))
	for i, a := range in.Interfaces {
		interfaces[i] = rules.InterfaceAddress(a)
	}
	at, err := rules.Advertise(in.Listener, in.Advertise, in.PodIP, interfaces)
	return advertiseOutput{textOf(err), at}
})
