// Package musterotel records what a Muster client does by OpenTelemetry.
//
//	observer, err := musterotel.New(musterotel.Config{})
//	client, err := muster.New(servers, muster.WithObserver(observer))
//	gauges, err := observer.Gauges(client)
//	defer gauges.Unregister()
//
// docs/telemetry.md lists the metrics and spans. The package uses the API
// alone: which SDK exports what, and where to, is the program's choice.
package musterotel
