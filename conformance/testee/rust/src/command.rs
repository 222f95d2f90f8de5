//! What the harness sends: one command a line, and how its words are read.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use muster_client::Error;
use serde::Deserialize;
use serde_json::Value;
use tonic::Status;

/// One line of standard input.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Command {
    pub(crate) id: u64,
    pub(crate) r#do: String,
    pub(crate) client: String,
    pub(crate) args: Vec<String>,
    pub(crate) with: BTreeMap<String, String>,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client said so.
    Client(Error),
    /// A call through a channel said so.
    Call(Box<Status>),
    /// The harness asked to give up.
    Cancelled,
    /// The command is wrong.
    Command(String),
}

/// What a command is answered with.
pub(crate) type Answer = Result<Value, Failure>;

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure::Client(e)
    }
}

impl From<Status> for Failure {
    fn from(s: Status) -> Failure {
        Failure::Call(Box::new(s))
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::Command(text)
    }
}

impl Command {
    /// The argument that names what the command is about, such as `s1`.
    pub(crate) fn name(&self) -> &str {
        self.args.first().map_or("", String::as_str)
    }

    /// The argument of this number.
    pub(crate) fn arg(&self, number: usize, what: &str) -> Result<&str, Failure> {
        match self.args.get(number) {
            Some(text) => Ok(text),
            None => Err(format!("{}: {what} is missing", self.r#do).into()),
        }
    }

    /// An option that is a duration.
    pub(crate) fn duration(&self, option: &str) -> Result<Option<Duration>, Failure> {
        self.with.get(option).map(|text| duration(text)).transpose()
    }

    /// Waits for the end of a call, as long as option `timeout` says; `None` if that is too short.
    pub(crate) async fn bounded<F: Future>(&self, call: F) -> Result<Option<F::Output>, Failure> {
        match self.duration("timeout")? {
            None => Ok(Some(call.await)),
            Some(limit) => Ok(tokio::time::timeout(limit, call).await.ok()),
        }
    }

    /// The error of a name that nothing has.
    pub(crate) fn missing(&self, what: &str) -> Failure {
        format!(
            "{} {}: there is no {what} of this name",
            self.r#do,
            self.name()
        )
        .into()
    }

    /// The error of an option that a command does not have.
    pub(crate) fn unknown(&self, option: &str) -> Failure {
        format!("{}: unknown option {option}", self.r#do).into()
    }
}

/// Reads `200ms`, `2s`, `10m` or `1h`; with a fraction, as the harness may write it.
pub(crate) fn duration(text: &str) -> Result<Duration, Failure> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    for (unit, ms) in units {
        let Some(number) = text.strip_suffix(unit) else {
            continue;
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if let (Ok(n), Ok(places)) = (digits.parse::<u64>(), u32::try_from(fraction.len())) {
            return Ok(Duration::from_millis(n * ms / 10_u64.pow(places)));
        }
    }
    Err(format!("{text} is no duration such as 200ms or 2s").into())
}

/// Finds the value that is written so.
pub(crate) fn named<T: Copy + fmt::Display>(text: &str, values: &[T]) -> Result<T, Failure> {
    values
        .iter()
        .find(|v| v.to_string() == text)
        .copied()
        .ok_or_else(|| format!("{text} is not known here").into())
}

/// Reads a number.
pub(crate) fn number<N: std::str::FromStr>(text: &str) -> Result<N, Failure> {
    text.parse()
        .map_err(|_| format!("{text} is no number that fits here").into())
}

/// A duration as JSON has it.
pub(crate) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
