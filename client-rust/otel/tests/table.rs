//! What is recorded is what conformance/telemetry.json says, alike in both clients.

use std::collections::{BTreeMap, BTreeSet};

use muster_client::{Client, Event, Header, Observer as _};
use muster_client_otel::Observer;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics, SumDataPoint,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::Value;

fn table() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../conformance/telemetry.json"
    );
    let text = std::fs::read_to_string(path).expect("the table");
    serde_json::from_str(&text).expect("JSON")
}

/// The names of the attributes of one point.
type Names = BTreeSet<String>;
/// A metric: its instrument, its unit, and its points.
type Metric = (String, String, Vec<Names>);

fn names<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Names {
    attributes.map(|a| a.key.to_string()).collect()
}

fn points<T>(data: &MetricData<T>) -> (&'static str, Vec<Names>) {
    match data {
        MetricData::Sum(s) => {
            let sets = s.data_points().map(|p| names(p.attributes())).collect();
            if s.is_monotonic() {
                ("counter", sets)
            } else {
                ("up_down_counter", sets)
            }
        }
        MetricData::Gauge(g) => {
            let sets = g.data_points().map(|p| names(p.attributes()));
            ("gauge", sets.collect())
        }
        MetricData::Histogram(h) => {
            let sets = h.data_points().map(|p| names(p.attributes()));
            ("histogram", sets.collect())
        }
        MetricData::ExponentialHistogram(_) => ("other", Vec::new()),
    }
}

fn in_memory() -> (SdkMeterProvider, InMemoryMetricExporter) {
    let metrics = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(metrics.clone()).build();
    (
        SdkMeterProvider::builder().with_reader(reader).build(),
        metrics,
    )
}

/// What comes of all samples of events.
async fn recorded() -> (BTreeMap<String, Metric>, Vec<SpanData>) {
    let (meters, metrics) = in_memory();
    let spans = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder()
        .with_simple_exporter(spans.clone())
        .build();
    let observer = Observer::with_providers(&meters, &tracers);
    let client = Client::builder(["a:1"]).observer(observer.clone()).build();
    let client = client.expect("a client");
    observer.gauges(&client);
    Event::samples(|e| observer.observe(e));
    meters.force_flush().expect("flushed");
    client.close().await;
    let mut all = BTreeMap::new();
    let finished = metrics.get_finished_metrics().expect("metrics");
    for m in finished
        .iter()
        .flat_map(ResourceMetrics::scope_metrics)
        .flat_map(ScopeMetrics::metrics)
    {
        let (kind, sets) = match m.data() {
            AggregatedMetrics::F64(d) => points(d),
            AggregatedMetrics::U64(d) => points(d),
            AggregatedMetrics::I64(d) => points(d),
        };
        let metric = (kind.to_owned(), m.unit().to_owned(), sets);
        all.insert(m.name().to_owned(), metric);
    }
    (all, spans.get_finished_spans().expect("spans"))
}

fn attributes(row: &Value) -> Names {
    let list = row["attributes"].as_array().expect("a list").iter();
    list.map(|a| a.as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn metrics_are_those_of_the_table() {
    let (mut metrics, _) = recorded().await;
    for row in table()["metrics"].as_array().expect("rows") {
        let name = row["name"].as_str().expect("a name");
        let recorded = metrics.remove(name);
        let (kind, unit, sets) = recorded.unwrap_or_else(|| panic!("{name} is not recorded"));
        assert_eq!(kind, row["instrument"], "{name}");
        assert_eq!(unit, row["unit"], "{name}");
        assert!(!sets.is_empty(), "{name} has no value");
        for set in sets {
            assert_eq!(set, attributes(row), "{name}");
        }
    }
    let left: Vec<_> = metrics.keys().collect();
    assert!(left.is_empty(), "not in the table: {left:?}");
}

#[tokio::test]
async fn spans_are_those_of_the_table() {
    let (_, spans) = recorded().await;
    let table = table();
    let rows = table["spans"].as_array().expect("rows");
    let mut seen = BTreeSet::new();
    for span in spans {
        let row = rows.iter().find(|r| r["name"] == *span.name);
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", span.name));
        let kind = format!("{:?}", span.span_kind).to_lowercase();
        assert_eq!(kind, row["kind"], "{}", span.name);
        let got = names(span.attributes.iter());
        assert_eq!(got, attributes(row), "{}", span.name);
        seen.insert(span.name.to_string());
    }
    assert_eq!(seen.len(), rows.len(), "recorded {seen:?}");
}

#[tokio::test]
async fn spans_join_the_callers_trace() {
    let (_, spans) = recorded().await;
    let line = |s: &SpanData| {
        let trace = s.span_context.trace_id().to_string();
        let joined = trace == "0af7651916cd43dd8448eb211c80319c"
            && s.parent_span_id.to_string() == "b7ad6b7169203331";
        let failed = matches!(s.status, Status::Error { .. });
        let took = s.end_time.duration_since(s.start_time).unwrap_or_default();
        (s.name.to_string(), joined, failed, took.as_secs() >= 1)
    };
    let lines: Vec<_> = spans.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            ("muster.call".to_owned(), true, false, true),
            ("muster.call".to_owned(), false, true, true),
            ("muster.apply".to_owned(), true, false, false),
        ],
        "name, joined, failed, long"
    );
    assert_eq!(spans[0].span_kind, SpanKind::Client);
}

#[test]
fn headers_carry_the_trace_context() {
    let observer = Observer::new();
    assert_eq!(observer.headers(), [], "without a span");
    let tracers = SdkTracerProvider::builder().build();
    let context = Context::new().with_span(tracers.tracer("test").start("caller"));
    let span = context.span().span_context().clone();
    let _current = context.attach();
    let want = format!("00-{}-{}-01", span.trace_id(), span.span_id());
    assert_eq!(observer.headers(), [Header::new("traceparent", want)]);
}

#[tokio::test]
async fn registrations_that_hold_a_lease_are_counted() {
    let (meters, metrics) = in_memory();
    let observer = Observer::with_providers(&meters, &SdkTracerProvider::builder().build());
    let mut counts = Vec::new();
    Event::samples(|e| {
        if !matches!(e, Event::RegistrationChanged { .. }) {
            return;
        }
        observer.observe(e);
        metrics.reset();
        meters.force_flush().expect("flushed");
        let finished = metrics.get_finished_metrics().expect("metrics");
        let scopes = finished.iter().flat_map(ResourceMetrics::scope_metrics);
        for m in scopes.flat_map(ScopeMetrics::metrics) {
            if let AggregatedMetrics::I64(MetricData::Sum(sum)) = m.data() {
                counts.extend(sum.data_points().map(SumDataPoint::value));
            }
        }
    });
    assert_eq!(counts, [1, 1, 1, 0, 1, 0]);
}
