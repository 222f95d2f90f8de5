//! What is wrong is named, by texts that are equal in Go, apart from the names of options.

use std::time::Duration;

use crate::tests::cache_files::TempDir;
use crate::{
    Client, ClientBuilder, EndpointSpec, Error, InstanceSpec, Lifecycle, Reason, Selector, Shard,
};

fn check(result: Result<(), Error>, want: &str, reason: Reason) {
    let e = result.expect_err(want);
    assert_eq!(e.to_string(), format!("muster: {want} [{reason}]"));
}

#[tokio::test]
async fn wrong_input_is_named() {
    let dir = TempDir::new();
    let file = dir.path().join("empty.pem");
    std::fs::write(&file, "").expect("written");
    let below = file.join("x");
    let (file, below) = (file.display().to_string(), below.display().to_string());
    let b = || Client::builder(["a:1"]);
    let ms = Duration::from_millis;
    let long = "x".repeat(64);
    let tls = crate::TlsConfig::new;
    let none = dir.path().join("none.pem").display().to_string();
    let strange = InstanceSpec::new("shop", "pay").id("pay@1");
    let cases: Vec<(String, ClientBuilder)> = vec![
        ("no registry servers given; pass at least one address, such as 127.0.0.1:7070".into(), Client::builder::<&str>([])),
        ("registry server \"http://a:1\" is no host:port, such as 127.0.0.1:7070".into(), Client::builder(["http://a:1"])),
        ("registry server \"a:0\" is no host:port, such as 127.0.0.1:7070".into(), Client::builder(["a:1", "a:0"])),
        ("option name: \"a\\x0ab\" is not allowed; use at most 128 printable ASCII characters".into(), b().name("a\nb")),
        (format!("option region: \"{long}\" is not allowed; use at most 63 bytes"), b().locality(&long, "")),
        (format!("option zone: \"{long}\" is not allowed; use at most 63 bytes"), b().locality("", &long)),
        ("option ttl: 10ms is not allowed; use 1s to 1h in whole milliseconds".into(), b().ttl(ms(10))),
        ("option ttl: 7200s is not allowed; use 1s to 1h in whole milliseconds".into(), b().ttl(ms(7_200_000))),
        ("option freshness: 5s, 1s is not allowed; both must be positive, and the second longer".into(), b().freshness(ms(5_000), ms(1_000))),
        ("option grace_period: 2.5s is not allowed; use 3s to 24h in whole milliseconds".into(), b().grace_period(ms(2_500))),
        ("option grace_period: 90000s is not allowed; use 3s to 24h in whole milliseconds".into(), b().grace_period(ms(90_000_000))),
        ("option cache_dir: \"views\" is not allowed; use an absolute path, or leave the option out for no cache".into(), b().cache_dir("views")),
        (format!("option cache_dir: \"{below}\" is not allowed; it cannot be written to (not a directory); name a directory that this process may write"), b().cache_dir(&below)),
        ("option token: a token without TLS is not allowed; it is never sent in plaintext; set tls, too".into(), b().token(crate::FixedToken::new("secret"))),
        (format!("option tls.ca_file: file {none} cannot be used: no such file or directory"), b().tls(tls().ca_file(&none))),
        (format!("option tls.ca_file: file {file} cannot be used: it holds no certificate in PEM form"), b().tls(tls().ca_file(&file))),
        ("option tls.server_name: \"a b\" is not allowed; use a DNS name or an IP address".into(), b().tls(tls().server_name("a b"))),
        ("shop/pay: instance_id \"pay@1\" is not allowed: 1 to 128 of a-z, A-Z, 0-9, '-', '.', '_' and ':', beginning and ending with a letter or a digit".into(), b().overrides([strange])),
    ];
    for (want, builder) in cases {
        check(builder.build().map(drop), &want, Reason::InvalidArgument);
    }
}

#[tokio::test]
async fn wrong_instances_are_named() {
    type Break = fn(&mut InstanceSpec);
    let client = Client::builder(["a:1"]).build().expect("a client");
    let good = InstanceSpec::new("shop", "pay").id("a");
    let none = client.register([]).await.map(drop);
    check(
        none,
        "registration: no instances; pass at least one InstanceSpec",
        Reason::InvalidArgument,
    );
    let same = client
        .register([good.clone(), good.clone()])
        .await
        .map(drop);
    check(
        same,
        "registration: instance shop/pay/a occurs twice; give each its own id",
        Reason::InvalidArgument,
    );
    let cases: [(&str, Break); 10] = [
        (
            "Shop/pay: namespace \"Shop\" is not allowed: 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or a digit",
            |s| s.namespace = "Shop".into(),
        ),
        (
            "shop/: service \"\" is not allowed: 1 to 63 of a-z, 0-9, '-', '.' and '_', beginning and ending with a letter or a digit",
            |s| s.service.clear(),
        ),
        (
            "shop/pay: version \"v1\" is not allowed: a semantic version without \"v\", such as 1.4.2",
            |s| s.version = "v1".into(),
        ),
        (
            "shop/pay: weight \"2000000\" is not allowed: at most 1000000",
            |s| s.weight = 2_000_000,
        ),
        (
            "shop/pay: lifecycle \"DRAINING\" is not allowed: STARTING or SERVING; use drain to drain",
            |s| s.lifecycle = Lifecycle::Draining,
        ),
        (
            "shop/pay: endpoint name \"Web\" is not allowed: 1 to 63 of a-z, 0-9 and '-'",
            |s| s.endpoints = vec![EndpointSpec::new("Web", "10.0.0.1:80")],
        ),
        (
            "shop/pay: metadata key \"a b\" is not allowed: 1 to 63 of a-z, A-Z, 0-9, '-', '.', '_' and '/'",
            |s| {
                s.metadata.insert("a b".into(), String::new());
            },
        ),
        (
            "shop/pay: metadata \"1 keys, 16385 bytes\" is not allowed: at most 64 keys and 16384 bytes together",
            |s| {
                s.metadata.insert("a".into(), "x".repeat(16 << 10));
            },
        ),
        (
            "shop/pay: capability \"a\" is not allowed: each once",
            |s| s.capabilities = vec!["a".into(), "a".into()],
        ),
        (
            "shop/pay: shard ids \"[2, 1]\" is not allowed: ascending, at most 1024",
            |s| s.shard = Some(Shard::Ids(vec![2, 1])),
        ),
    ];
    for (want, change) in cases {
        let mut spec = good.clone();
        change(&mut spec);
        let result = client.register([spec]).await.map(drop);
        check(result, want, Reason::InvalidArgument);
    }
    for (want, address) in [
        (
            "endpoint \"grpc\" of shop/pay: address :80 cannot be dialled by others; pass a reachable address or use advertise_from(listener)",
            ":80",
        ),
        (
            "endpoint \"grpc\" of shop/pay: address \"a b:80\" is not allowed: host:port, with a DNS name, an IPv4 address or an IPv6 address in brackets, and a port from 1 to 65535",
            "a b:80",
        ),
    ] {
        let spec = good.clone().endpoint(EndpointSpec::new("grpc", address));
        let result = client.register([spec]).await.map(drop);
        check(result, want, Reason::InvalidEndpoint);
    }
}

#[tokio::test]
async fn wrong_selectors_are_named() {
    let client = Client::builder(["a:1"]).build().expect("a client");
    for (want, selector) in [
        (
            "selector: no services; name at least one",
            Selector::services([]),
        ),
        (
            "selector: prefix \"pa\" needs a namespace",
            Selector::prefix("", "pa"),
        ),
        (
            "selector Shop/pay: namespace \"Shop\" is not allowed: 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or a digit",
            Selector::service("Shop", "pay"),
        ),
        (
            "selector shop/pay (filtered): version range \"latest\" is not allowed: comparators joined by spaces, such as >=1.2.0 <2.0.0",
            Selector::service("shop", "pay").version_range("latest"),
        ),
    ] {
        let result = client.subscribe(selector.clone()).map(drop);
        check(result, want, Reason::InvalidArgument);
        let result = client.lookup(selector).await.map(drop);
        check(result, want, Reason::InvalidArgument);
    }
}
