//! Registers this process as an instance of shop/pay, and prints what changes there.
//!
//! Start a registry with `muster server`, then this as often as you like:
//! `cargo run -p muster-client --example hello`. Stop one with Ctrl-C, another with `kill -9`, and
//! see what the others print.
#![allow(clippy::print_stdout, reason = "it is an example")]

use futures_util::StreamExt;
use muster_client::{Client, EndpointSpec, InstanceSpec, Selector, Update, advertise_from};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers = std::env::var("MUSTER_SERVERS").unwrap_or("127.0.0.1:7070".into());
    let client = Client::builder(servers.split(',')).name("hello").build()?;

    let listener = TcpListener::bind("0.0.0.0:0").await?;
    let address = advertise_from(listener.local_addr()?)?;
    let spec = InstanceSpec::new("shop", "pay").endpoint(EndpointSpec::new("grpc", address));
    let registration = client.register([spec]).await?;
    println!("registered {}", registration.keys()[0]);

    let mut updates = client
        .subscribe(Selector::service("shop", "pay"))?
        .updates();
    loop {
        tokio::select! {
            update = updates.next() => match update {
                Some(update) => print(&update?),
                None => break,
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    client.close().await;
    Ok(())
}

fn print(update: &Update) {
    let view = update.view();
    match update {
        Update::Snapshot { cause, .. } => {
            println!("{} instances ({cause})", view.instances().len())
        }
        Update::Delta {
            upserted, removed, ..
        } => {
            for i in upserted {
                println!("  + {} {} {}", i.key, i.lifecycle, i.health);
            }
            for r in removed {
                println!("  - {} {}", r.key, r.reason);
            }
        }
        Update::Freshness { from, to, .. } => println!("  the view was {from}, is {to}"),
        _ => {}
    }
}
