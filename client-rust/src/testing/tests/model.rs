use std::time::Duration;

use tokio::time::sleep;

use super::fake::{reach, registered, s, spec, subscribe, unharmed};
use crate::testing::Registry;
use crate::{Registration, Selector};

/// Does anything in any order, and then looks whether clients hold what the registry does, without
/// having been told anything that they could not verify.
#[tokio::test(start_paused = true)]
async fn clients_agree_with_the_registry() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let r = Registry::new();
        let (owner, watching) = (r.client(), r.client());
        let mut all = subscribe(&watching);
        let selector = Selector::service("shop", "pay").metadata("tier", ["gold"]);
        let mut gold = watching.subscribe(selector).expect("subscribes");
        let own = owner.register([spec("own")]).await.expect("registers");
        for _ in 0..200 {
            play(&mut random, &r, &own).await;
        }
        r.heal();
        sleep(s(120)).await; // until recovery and backoff are over
        let want = registered(&r);
        assert!(want.contains(&"own".to_owned()), "seed {seed}: {want:?}");
        let want: Vec<&str> = want.iter().map(String::as_str).collect();
        reach(&mut all, s(1), &want).await;
        let tiers = r.instances("shop/pay").into_iter();
        let golden: Vec<String> = tiers
            .filter(|i| i.metadata.get("tier").is_some_and(|t| t == "gold"))
            .map(|i| i.key.instance_id)
            .collect();
        let golden: Vec<&str> = golden.iter().map(String::as_str).collect();
        reach(&mut gold, s(1), &golden).await;
        unharmed(&watching);
        owner.close().await;
        watching.close().await;
    }
}

/// Does one thing.
async fn play(random: &mut fastrand::Rng, r: &Registry, own: &Registration) {
    let id = char::from(b'a' + random.u8(0..6)).to_string();
    let tier = if random.bool() { "gold" } else { "iron" };
    let is_registered = registered(r).contains(&id);
    let key = format!("shop/pay/{id}");
    match random.u8(0..100) {
        0..30 => r.register([spec(&id).metadata("tier", tier)]),
        30..45 if is_registered => r.deregister(&key),
        45..50 if is_registered => r.expire(&key),
        50..55 if is_registered => r.drain(&key),
        55..60 => own.set_weight(random.u32(0..1_000)),
        60..63 => r.compact(),
        63..66 => r.cut(),
        66..72 => r.heal(),
        72..75 => r.restart(),
        75 => r.lose_history(),
        _ => sleep(Duration::from_millis(random.u64(0..3_000))).await,
    }
}
