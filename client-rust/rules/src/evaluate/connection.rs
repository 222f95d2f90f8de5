use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::connection::{Action, Connection, Event, connect};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    connection: Connection,
    event: Event,
    now_ms: i64,
    word: Text<u64>,
}

#[derive(Serialize)]
struct Output {
    connection: Connection,
    action: &'static str,
    wait_ms: i64,
}

pub(super) fn connection(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |i: Input| {
        let (connection, action) = connect(i.connection, i.event, i.now_ms, i.word.0);
        let (action, wait_ms) = match action {
            Action::None => ("NONE", 0),
            Action::Dial => ("DIAL", 0),
            Action::Wait(ms) => ("WAIT", ms),
            Action::Abandon => ("ABANDON", 0),
        };
        Output {
            connection,
            action,
            wait_ms,
        }
    })
}
