package muster

import (
	"os"
	"strings"
	"time"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// NewFromEnvironment makes a client by the environment variables of
// docs/client-spec.md section 10: MUSTER_SERVERS, MUSTER_NAME, MUSTER_TTL,
// MUSTER_TLS_CA, MUSTER_TLS_CERT, MUSTER_TLS_KEY, MUSTER_TLS_SERVER_NAME,
// MUSTER_TOKEN_FILE, MUSTER_CACHE_DIR, MUSTER_REGION, MUSTER_ZONE,
// MUSTER_GRACE_PERIOD and MUSTER_OVERRIDE. Options go before them. Variables that are set and mean
// nothing are told to the logger. The error is INVALID_ARGUMENT and names the
// variable.
func NewFromEnvironment(options ...Option) (*Client, error) {
	var variables []rules.Variable
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		variables = append(variables, rules.Variable{Name: name, Value: value})
	}
	settings, err := rules.ParseEnvironment(variables)
	if err != nil {
		return nil, newError(ReasonInvalidArgument, optionCode, "new", "environment", err.Error())
	}
	c, err := New(settings.Servers, append(environmentOptions(settings), options...)...)
	if err == nil && len(settings.Unknown) > 0 {
		c.config.Logger.Warn(textUnknownVariables(settings.Unknown))
	}
	return c, err
}

// environmentOptions are the options that variables stand for.
func environmentOptions(s rules.Settings) []Option {
	options := []Option{WithName(s.Name), WithLocality(s.Region, s.Zone)}
	if s.TTLMs > 0 {
		options = append(options, WithTTL(time.Duration(s.TTLMs)*time.Millisecond))
	}
	if s.GracePeriodMs > 0 {
		options = append(options, WithGracePeriod(time.Duration(s.GracePeriodMs)*time.Millisecond))
	}
	if s.TLSCA+s.TLSCert+s.TLSServerName != "" {
		options = append(options, WithTLS(TLSConfig{CAFile: s.TLSCA, CertFile: s.TLSCert, KeyFile: s.TLSKey, ServerName: s.TLSServerName}))
	}
	if s.TokenFile != "" {
		options = append(options, WithToken(TokenFile(s.TokenFile)))
	}
	if s.CacheDir != "" {
		options = append(options, WithCacheDir(s.CacheDir))
	}
	if len(s.Overrides) > 0 {
		options = append(options, WithOverride(overrideSpecs(s.Overrides)...))
	}
	return options
}
