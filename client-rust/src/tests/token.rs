//! Rules of tokens.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::sleep;
use tonic::Code;

use super::fake::Fake;
use super::registration::{next_status, registers, spec, until_status};
use super::tls::{Scratch, with_tls};
use super::watch::until_view;
use crate::status::status_of;
use crate::testset::{Model, VIEW};
use crate::{
    Client, FixedToken, Reason, RegistrationState as State, Selector, Token, TokenFile, TokenSource,
};

/// Gives tokens t1, t2 and so on.
#[derive(Clone, Default)]
struct Issuer(Arc<Mutex<Issued>>);

#[derive(Default)]
struct Issued {
    valid_for: Option<Duration>,
    fail: bool,
    count: u32,
}

impl Issuer {
    fn asked(&self) -> u32 {
        self.0.lock().expect("not poisoned").count
    }

    fn fail(&self, fail: bool) {
        self.0.lock().expect("not poisoned").fail = fail;
    }
}

impl TokenSource for Issuer {
    fn token(&self) -> BoxFuture<'_, Result<Token, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async {
            let mut issued = self.0.lock().expect("not poisoned");
            if issued.fail {
                return Err("the issuer is away".into());
            }
            issued.count += 1;
            let token = Token::new(format!("t{}", issued.count));
            Ok(match issued.valid_for {
                Some(time) => token.valid_for(time),
                None => token,
            })
        })
    }
}

/// A registry that speaks TLS and accepts one token.
fn accepting(token: &str) -> (Fake, Scratch, crate::TlsConfig) {
    let (fake, scratch) = (Fake::new(1), Scratch::new("token"));
    let (_, config) = with_tls(&fake, &scratch, &["s0"]);
    accept(&fake, token);
    (fake, scratch, config)
}

fn accept(fake: &Fake, token: &str) {
    fake.lock().accepted = Some(token.to_owned());
}

fn pay() -> Selector {
    Selector::service("shop", "pay")
}

#[tokio::test(start_paused = true)]
async fn token_is_sent_and_kept_until_shortly_before_it_expires() {
    let (fake, _scratch, tls) = accepting("t1");
    fake.lock().lookup = super::servers::answer(&Model::with(1, 10, &["a"]));
    let issuer = Issuer::default();
    issuer.0.lock().expect("one").valid_for = Some(Duration::from_secs(60));
    let client = fake.builder().tls(tls).token(issuer.clone()).build();
    let client = client.expect("a client");
    for _ in 0..3 {
        client.lookup(pay()).await.expect("an answer");
        assert_eq!(issuer.asked(), 1);
    }
    sleep(Duration::from_secs(47)).await;
    client.lookup(pay()).await.expect("an answer");
    assert_eq!(issuer.asked(), 1, "13 s before it expires");
    sleep(Duration::from_secs(2)).await;
    issuer.fail(true);
    client.lookup(pay()).await.expect("it is still valid");
    issuer.fail(false);
    accept(&fake, "t2");
    client.lookup(pay()).await.expect("an answer");
    assert_eq!(issuer.asked(), 2);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn refused_token_is_refreshed_once() {
    let (fake, _scratch, tls) = accepting("t2");
    fake.lock().lookup = super::servers::answer(&Model::with(1, 10, &["a"]));
    let issuer = Issuer::default();
    let client = fake.builder().tls(tls).token(issuer.clone()).build();
    let client = client.expect("a client");
    client.lookup(pay()).await.expect("an answer");
    assert_eq!(issuer.asked(), 2);
    accept(&fake, "none");
    let e = client.lookup(pay()).await.expect_err("refused");
    assert_eq!(issuer.asked(), 3);
    assert_eq!(
        e.to_string(),
        "muster: lookup shop/pay: server s0:7070: refused for the test: UNAUTHENTICATED [UNAUTHENTICATED]"
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn streams_go_on_with_a_fresh_token() {
    let (fake, _scratch, tls) = accepting("t1");
    let issuer = Issuer::default();
    let client = fake.builder().tls(tls).token(issuer.clone()).build();
    let client = client.expect("a client");
    let sub = client.subscribe(pay()).expect("subscribed");
    let first = fake.next_watch().await;
    accept(&fake, "t2");
    let expired = status_of(Code::Unauthenticated, "UNAUTHENTICATED", &[], None);
    first.open(VIEW).await;
    first.fail(expired).await;
    let model = Model::with(1, 10, &["a"]);
    let next = fake.next_watch().await;
    next.open(VIEW).await;
    next.snapshot(model.snapshot(muster_proto::v1::SnapshotCause::First))
        .await;
    until_view(&sub, |v| v.instances().len() == 1).await;
    assert_eq!(issuer.asked(), 2);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn registration_outlives_a_token_that_is_renewed_too_late() {
    let (fake, _scratch, tls) = accepting("t1");
    let issuer = Issuer::default();
    let client = fake.builder().tls(tls).token(issuer.clone()).build();
    let client = client.expect("a client");
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    sleep(Duration::from_secs(1)).await; // the keepalive stream is open
    issuer.fail(true);
    accept(&fake, "t2");
    let id = fake.only_lease().lease.lease_id;
    fake.expire(&id);
    assert_eq!(next_status(&mut reg).await.state, State::Registering);
    sleep(Duration::from_secs(60)).await;
    let status = reg.status();
    assert_eq!(status.state, State::Registering);
    let want = "no token to call the registry with: the issuer is away; check the token source [UNAUTHENTICATED]";
    assert!(status.reason.contains(want), "{}", status.reason);
    issuer.fail(false);
    until_status(&mut reg, |s| s.state == State::Active).await;
    assert_eq!(fake.calls(registers).len(), 2);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn token_source_that_fails_is_told() {
    async fn refused(source: impl TokenSource + 'static, want: &str) {
        let (fake, _scratch, tls) = accepting("t1");
        let client = fake.builder().tls(tls).token(source).build();
        let client = client.expect("a client");
        let e = client.register([spec("pay-1")]).await.expect_err(want);
        assert_eq!(
            e.to_string(),
            format!(
                "muster: no token to call the registry with: {want}; check the token source [UNAUTHENTICATED]"
            )
        );
        client.close().await;
    }
    let missing = TokenFile::new("/nonexistent/token");
    refused(
        missing,
        "file /nonexistent/token: no such file or directory",
    )
    .await;
    refused(FixedToken::new(""), "the token is empty").await;
    let odd = "the token has characters other than printable ASCII";
    refused(FixedToken::new("a\nb"), odd).await;
    let long = "the token has 8193 bytes, at most 8192 are allowed";
    refused(FixedToken::new("x".repeat(8_193)), long).await;
}

#[tokio::test(start_paused = true)]
async fn token_file_is_read_again() {
    let (fake, scratch, tls) = accepting("first");
    fake.lock().lookup = super::servers::answer(&Model::with(1, 10, &["a"]));
    let path = scratch.write("token", "first\n");
    let client = fake.builder().tls(tls).token(TokenFile::new(path)).build();
    let client = client.expect("a client");
    client.lookup(pay()).await.expect("an answer");
    scratch.write("token", "second");
    let good = client.lookup(pay()).await;
    good.expect("what was read is good for a while");
    accept(&fake, "second");
    client.lookup(pay()).await.expect("refused, so read again");
    scratch.write("token", "third");
    sleep(Duration::from_secs(11)).await;
    accept(&fake, "third");
    client.lookup(pay()).await.expect("old, so read again");
    client.close().await;
}

#[tokio::test]
async fn token_without_tls_is_refused_at_construction() {
    let built = Client::builder(["a:1"])
        .token(FixedToken::new("secret"))
        .build();
    let e = built.expect_err("plaintext");
    assert_eq!(e.reason(), Reason::InvalidArgument);
    assert_eq!(
        e.to_string(),
        "muster: option token: a token without TLS is not allowed; it is never sent in plaintext; set tls, too [INVALID_ARGUMENT]"
    );
}
