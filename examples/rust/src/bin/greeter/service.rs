//! The greeter itself, as it would be without a registry.

use std::pin::Pin;

use muster_examples::greeter::greeter_service_server::GreeterService;
use muster_examples::greeter::{GreetManyRequest, GreetManyResponse, GreetRequest, GreetResponse};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// How many greetings one stream gives at most.
const MAX_GREETINGS: u32 = 1000;

/// Implements `greeter.v1.GreeterService`.
pub(crate) struct Greeter {
    pub(crate) id: String,
    pub(crate) version: String,
}

#[tonic::async_trait]
impl GreeterService for Greeter {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Status> {
        Ok(Response::new(GreetResponse {
            text: text(&request.get_ref().name),
            instance_id: self.id.clone(),
            version: self.version.clone(),
        }))
    }

    type GreetManyStream = Pin<Box<dyn Stream<Item = Result<GreetManyResponse, Status>> + Send>>;

    async fn greet_many(
        &self,
        request: Request<GreetManyRequest>,
    ) -> Result<Response<Self::GreetManyStream>, Status> {
        let GreetManyRequest { name, count } = request.into_inner();
        if count > MAX_GREETINGS {
            return Err(Status::invalid_argument(format!(
                "count {count} is more than {MAX_GREETINGS}"
            )));
        }
        let instance_id = self.id.clone();
        let greetings = (1..=count).map(move |number| {
            Ok(GreetManyResponse {
                text: text(&name),
                instance_id: instance_id.clone(),
                number,
            })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(greetings))))
    }
}

fn text(name: &str) -> String {
    format!("hello, {}", if name.is_empty() { "world" } else { name })
}
