//! Finds the instances of `demo/greeter` through the registry and calls them all the time. It
//! writes one JSON object per line to standard output: sums of calls, failed calls, and what
//! changes in its view.

mod calls;
mod signals;
mod view;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use muster_client::{Client, Selector, tonic_0_14};
use muster_examples::flags::Flags;
use muster_examples::greeter::greeter_service_client::GreeterServiceClient;
use tokio::task::JoinSet;

use calls::{Totals, Worker, sums};
use signals::Shutdown;
use view::watch;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let mut flags = Flags::of_process()?;
    let servers = flags.text("servers", "127.0.0.1:7070");
    let service = flags.text("service", "demo/greeter");
    let name = flags.text("name", "caller");
    let rate = flags.number("rate", 200)?;
    let workers = flags.number("workers", 4)?;
    let greetings = flags.count("greetings", 0)?;
    let timeout = flags.duration("timeout", "1s")?;
    let interval = flags.duration("interval", "100ms")?;
    flags.done()?;
    let shutdown = Shutdown::on_signals()?;

    let client = Client::builder(servers.split(',')).name(&name).build()?;
    // The channel and the subscription have equal selectors, so they share one watch. A program
    // that only calls needs the channel alone.
    let channel = tonic_0_14::Channel::new(&client, &format!("muster:///{service}"))?;
    let (namespace, service) = service.split_once('/').unwrap_or((&service, ""));
    let subscription = client.subscribe(Selector::service(namespace, service))?;

    let totals = Arc::new(Totals::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(watch(subscription.updates(), shutdown.clone()));
    // A caller that begins before the first view would only count failures.
    tokio::select! {
        ready = subscription.wait(1) => drop(ready?),
        () = shutdown.clone().wait() => return Ok(()),
    }
    for _ in 0..workers {
        let worker = Worker {
            greeter: GreeterServiceClient::new(channel.clone()),
            name: name.clone(),
            pause: Duration::from_secs(1) * workers / rate,
            timeout,
            greetings,
            totals: Arc::clone(&totals),
        };
        tasks.spawn(worker.run(shutdown.clone()));
    }
    tasks.spawn(sums(interval, subscription, totals, shutdown));
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    channel.close(Duration::from_secs(1)).await;
    client.close().await;
    Ok(())
}
