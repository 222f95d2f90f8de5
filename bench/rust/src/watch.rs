//! When this client's view of a service came to which revision.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use muster_client::{Client, Selector};
use tokio::io::{AsyncReadExt, stdin};

/// Watches a service until standard input ends, and then prints each revision with the time at
/// which a program saw a view of it, in nanoseconds since 1970.
pub(crate) async fn watch(
    server: &str,
    namespace: &str,
    service: &str,
) -> Result<(), Box<dyn Error>> {
    let client = Client::builder([server]).name("bench-rust").build()?;
    let mut subscription = client.subscribe(Selector::service(namespace, service))?;
    subscription.wait(0).await?;
    println!("{{\"ready\":true}}");
    let (mut input, mut buffer) = (stdin(), [0; 64]);
    let mut seen: Vec<(u64, u128)> = Vec::with_capacity(1 << 14);
    loop {
        tokio::select! {
            view = subscription.changed() => {
                let view = view?;
                seen.push((view.position().revision, now()?));
            }
            read = input.read(&mut buffer) => {
                if read? == 0 {
                    break;
                }
            }
        }
    }
    for (revision, at) in seen {
        println!("{{\"revision\":{revision},\"at_ns\":{at}}}");
    }
    client.close().await;
    Ok(())
}

fn now() -> Result<u128, Box<dyn Error>> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())
}
