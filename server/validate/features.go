package validate

// The names of the optional features, as GetServerInfo and the metadata key
// muster-features carry them. docs/protocol.md says what each one means.
const (
	FeatureAck                 = "ack"
	FeatureAuthorization       = "authorization"
	FeatureChecks              = "checks"
	FeatureDrainBarrier        = "drain_barrier"
	FeatureFederation          = "federation"
	FeatureLinearizable        = "linearizable"
	FeatureLookupUnchanged     = "lookup_unchanged"
	FeatureMassExpiryGuard     = "mass_expiry_guard"
	FeatureOverrides           = "overrides"
	FeatureRecovery            = "recovery"
	FeatureReportOutcomes      = "report_outcomes"
	FeatureServerSideSelectors = "server_side_selectors"
	FeatureSuspect             = "suspect"
	FeatureTrafficPolicy       = "traffic_policy"
)

// AllFeatures lists every feature that this version of the contract knows,
// sorted.
func AllFeatures() []string {
	return []string{
		FeatureAck, FeatureAuthorization, FeatureChecks, FeatureDrainBarrier, FeatureFederation,
		FeatureLinearizable, FeatureLookupUnchanged, FeatureMassExpiryGuard, FeatureOverrides,
		FeatureRecovery, FeatureReportOutcomes, FeatureServerSideSelectors, FeatureSuspect, FeatureTrafficPolicy,
	}
}
