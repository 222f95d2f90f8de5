package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type serversInput struct {
	Servers []string `json:"servers"`
	Zone    string   `json:"zone"`
	Word    uint64   `json:"word,string"`
	// From is a position in the order.
	From int `json:"from"`
}

type serversOutput struct {
	Error    string   `json:"error"`
	Order    []string `json:"order"`
	Home     int      `json:"home"`
	Handover []string `json:"handover"`
}

var servers = rule(func(in serversInput) serversOutput {
	out := serversOutput{Order: []string{}, Handover: []string{}}
	var list []rules.Server
	for _, text := range in.Servers {
		server, err := rules.ParseServer(text)
		if err != nil {
			out.Error = err.Error()
			return out
		}
		list = append(list, server)
	}
	order, home := rules.OrderServers(list, in.Zone, in.Word)
	for _, i := range order {
		out.Order = append(out.Order, list[i].Address)
	}
	out.Home = home
	if in.From >= 0 && in.From < len(order) {
		for _, position := range rules.HandoverOrder(len(order), home, in.From) {
			out.Handover = append(out.Handover, out.Order[position])
		}
	}
	return out
})
