use muster_proto::v1;
use tokio::time::{Instant, sleep};
use tonic::Request;

use super::fake::{Raw, known, reason, s, select_pay, spec};
use crate::testing::Registry;
use crate::{InstanceSpec, Selector};

fn of(service: &str) -> InstanceSpec {
    InstanceSpec::new("shop", service).id("x")
}

#[tokio::test(start_paused = true)]
async fn lookup_shows_own_writes() {
    let r = Registry::new();
    let client = r.client();
    client.register([spec("a")]).await.expect("registers");
    let view = client.lookup(Selector::service("shop", "pay")).await;
    assert_eq!(super::fake::ids(&view.expect("a view")), ["a"]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lookup_answers_unchanged() {
    let r = Registry::new();
    let mut c = Raw::of(&r).await;
    r.register([spec("a")]);
    let request = v1::LookupRequest {
        selector: Some(select_pay()),
        ..Default::default()
    };
    let full = c.discovery.lookup(request.clone()).await;
    let full = full.expect("an answer").into_inner();
    assert_eq!(full.result(), v1::LookupResult::Full);
    assert_eq!(full.instances.len(), 1);
    r.register([of("cart")]);
    let request = v1::LookupRequest {
        known: Some(known(full.header.as_ref())),
        ..request
    };
    let same = c.discovery.lookup(request).await;
    let same = same.expect("an answer").into_inner();
    assert_eq!(same.result(), v1::LookupResult::Unchanged);
    assert!(same.instances.is_empty());
    let revision = |h: Option<v1::ViewHeader>| h.expect("a header").revision;
    assert!(revision(same.header) > revision(full.header));
}

#[tokio::test(start_paused = true)]
async fn lookup_at_a_position_waits_for_it() {
    let r = Registry::new();
    let c = Raw::of(&r).await;
    let at = async |epoch: u64, revision: u64| {
        let request = v1::LookupRequest {
            selector: Some(select_pay()),
            min_position: Some(v1::Position { epoch, revision }),
            ..Default::default()
        };
        let began = Instant::now();
        let answer = c.discovery.clone().lookup(request).await;
        (reason(answer), began.elapsed().as_secs())
    };
    assert_eq!(at(9, 1).await, ("EPOCH_CHANGED".into(), 0));
    assert_eq!(at(1, 100).await, ("VIEW_BEHIND".into(), 2));
    let later = async {
        sleep(s(1)).await;
        r.register([spec("a")]);
    };
    let next = r.position().revision + 1;
    let (answer, ()) = tokio::join!(at(1, next), later);
    assert_eq!(answer, (String::new(), 1));
}

#[tokio::test(start_paused = true)]
async fn lookup_refuses_wrong_selectors() {
    let r = Registry::new();
    let mut c = Raw::of(&r).await;
    let names = (0..1_001).map(|n| v1::ServiceName {
        namespace: "shop".into(),
        service: format!("s{n}"),
    });
    let many = v1::Selector {
        names: Some(v1::selector::Names::Services(v1::ServiceNames {
            names: names.collect(),
        })),
        filter: None,
    };
    for (selector, want) in [(None, "INVALID_ARGUMENT"), (Some(many), "LIMIT_EXCEEDED")] {
        let request = v1::LookupRequest {
            selector,
            ..Default::default()
        };
        assert_eq!(reason(c.discovery.lookup(request).await), want);
    }
}

#[tokio::test(start_paused = true)]
async fn services_are_listed_by_pages() {
    let r = Registry::new();
    let mut c = Raw::of(&r).await;
    r.register(["pay", "cart", "payout", "user"].map(of));
    r.register([InstanceSpec::new("ops", "pay").id("x")]);
    let (mut all, mut pages, mut page_token) = (Vec::new(), 0, String::new());
    loop {
        let request = v1::ListServicesRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = c.discovery.list_services(request).await;
        let page = page.expect("a page").into_inner();
        for s in page.services {
            assert_eq!((s.instances, s.healthy), (1, 1));
            let state = s.state.expect("a state");
            all.push(format!("{}/{}", state.namespace, state.service));
        }
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let want = [
        "ops/pay",
        "shop/cart",
        "shop/pay",
        "shop/payout",
        "shop/user",
    ];
    assert_eq!((pages, all), (3, want.map(str::to_owned).to_vec()));
    let request = v1::ListServicesRequest {
        namespace: "shop".into(),
        prefix: "pay".into(),
        ..Default::default()
    };
    let page = c.discovery.list_services(request).await;
    assert_eq!(page.expect("a page").into_inner().services.len(), 2);
    let request = v1::ListServicesRequest {
        page_token: "!".into(),
        ..Default::default()
    };
    let refused = c.discovery.list_services(request).await;
    assert_eq!(reason(refused), "INVALID_ARGUMENT");
}

#[tokio::test(start_paused = true)]
async fn server_tells_what_it_serves() {
    let r = Registry::new();
    let mut c = Raw::of(&r).await;
    fn later<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        let nine = "9".parse().expect("ascii");
        request.metadata_mut().insert("muster-protocol", nine);
        request
    }
    let info = c.server.get_server_info(later(v1::GetServerInfoRequest {}));
    let info = info.await.expect("an answer").into_inner();
    assert_eq!(
        (info.cluster_id.as_str(), info.features.len()),
        ("mustertest", 14)
    );
    let lookup = c.discovery.lookup(later(v1::LookupRequest::default()));
    assert_eq!(reason(lookup.await), "PROTOCOL_NOT_SERVED");
    let outcomes = c
        .discovery
        .report_outcomes(v1::ReportOutcomesRequest::default());
    assert_eq!(reason(outcomes.await), "FEATURE_NOT_SERVED");
}
