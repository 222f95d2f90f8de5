use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::servers::{Server, handover_order, order_servers};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    servers: Vec<String>,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    word: Text<u64>,
    /// A position in the order.
    #[serde(default)]
    from: i64,
}

#[derive(Serialize, Default)]
struct Output {
    error: String,
    order: Vec<String>,
    home: usize,
    handover: Vec<String>,
}

pub(super) fn servers(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let list: Result<Vec<Server>, String> =
            input.servers.iter().map(|s| Server::parse(s)).collect();
        let list = match list {
            Ok(list) => list,
            Err(error) => {
                return Output {
                    error,
                    ..Output::default()
                };
            }
        };
        let (order, home) = order_servers(&list, &input.zone, input.word.0);
        let order: Vec<String> = order.iter().map(|i| list[*i].address.clone()).collect();
        let from = usize::try_from(input.from).ok();
        let handover = match from.filter(|from| *from < order.len()) {
            Some(from) => handover_order(order.len(), home, from),
            None => Vec::new(),
        };
        Output {
            error: String::new(),
            handover: handover.iter().map(|p| order[*p].clone()).collect(),
            order,
            home,
        }
    })
}
