//! Offers the service `demo/greeter`: it listens, registers, greets whoever calls, and on SIGTERM
//! or Ctrl-C drains before it stops.

mod service;

use std::process::ExitCode;

use muster_client::{
    Client, EndpointSpec, InstanceSpec, Lifecycle, Registration, advertise_from, tonic_0_14,
};
use muster_examples::flags::Flags;
use muster_examples::greeter::greeter_service_server::GreeterServiceServer;
use muster_examples::jsonl;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use service::Greeter;

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
    let id = flags.text("id", "");
    let version = flags.text("version", "1.0.0");
    let zone = flags.text("zone", "");
    let host = flags.text("host", "127.0.0.1");
    let port = flags.count("port", 0)?;
    let advertise = flags.text("advertise", "");
    let ttl = flags.duration("ttl", "15s")?;
    flags.done()?;

    let listener = TcpListener::bind((host, u16::try_from(port)?)).await?;
    let address = match advertise.as_str() {
        "" => advertise_from(listener.local_addr()?)?,
        given => given.to_owned(),
    };
    let client = Client::builder(servers.split(','))
        .name(&id)
        .ttl(ttl)
        .build()?;
    let (namespace, service) = service.split_once('/').unwrap_or((&service, ""));
    let spec = InstanceSpec::new(namespace, service)
        .id(&id)
        .version(&version)
        .locality("", &zone)
        .endpoint(EndpointSpec::new("grpc", &address))
        .lifecycle(Lifecycle::Starting); // serve says SERVING once it listens
    let registration = client.register([spec]).await?;
    let told = tokio::spawn(tell(registration.clone(), address));

    let greeter = Greeter {
        id: registration.keys()[0].instance_id.clone(),
        version,
    };
    let router =
        tonic::transport::Server::builder().add_service(GreeterServiceServer::new(greeter));
    // The future that never ends leaves the end to SIGTERM and Ctrl-C.
    let served = tonic_0_14::serve(
        router,
        TcpListenerStream::new(listener),
        registration,
        std::future::pending(),
    )
    .await;
    client.close().await;
    told.await?;
    Ok(served?)
}

/// Writes where the greeter listens, and each state of its registration.
async fn tell(mut registration: Registration, address: String) {
    jsonl::write("listening", &json!({ "address": address }));
    loop {
        let status = registration.status();
        jsonl::write(
            "registration",
            &json!({
                "state": status.state.as_str(),
                "incarnation": status.incarnation,
                "message": status.reason,
            }),
        );
        if status.state.is_final() {
            return;
        }
        registration.changed().await;
    }
}
