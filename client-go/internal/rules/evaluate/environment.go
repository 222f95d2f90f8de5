package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type environmentInput struct {
	Variables []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"variables"`
}

type environmentOutput struct {
	Error         string           `json:"error"`
	Servers       []string         `json:"servers"`
	Name          string           `json:"name"`
	TTLMs         int64            `json:"ttl_ms"`
	GracePeriodMs int64            `json:"grace_period_ms,omitempty"`
	TLSCA         string           `json:"tls_ca"`
	TLSCert       string           `json:"tls_cert"`
	TLSKey        string           `json:"tls_key"`
	TLSServerName string           `json:"tls_server_name"`
	TokenFile     string           `json:"token_file"`
	CacheDir      string           `json:"cache_dir"`
	Region        string           `json:"region"`
	Zone          string           `json:"zone"`
	Overrides     []overrideOutput `json:"overrides"`
	Unknown       []string         `json:"unknown"`
}

type overrideOutput struct {
	Namespace string   `json:"namespace"`
	Service   string   `json:"service"`
	Addresses []string `json:"addresses"`
}

var environment = rule(func(in environmentInput) environmentOutput {
	variables := make([]rules.Variable, len(in.Variables))
	for i, v := range in.Variables {
		variables[i] = rules.Variable{Name: v.Name, Value: v.Value}
	}
	s, err := rules.ParseEnvironment(variables)
	overrides := make([]overrideOutput, len(s.Overrides))
	for i, o := range s.Overrides {
		overrides[i] = overrideOutput(o)
	}
	return environmentOutput{
		textOf(err), append([]string{}, s.Servers...), s.Name, s.TTLMs, s.GracePeriodMs, s.TLSCA, s.TLSCert, s.TLSKey, s.TLSServerName,
		s.TokenFile, s.CacheDir, s.Region, s.Zone, overrides, append([]string{}, s.Unknown...),
	}
})
