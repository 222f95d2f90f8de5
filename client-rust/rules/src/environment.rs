//! What environment variables say.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::advertise::ADVERTISE_VARIABLE;
use crate::grace::{LONGEST_GRACE_MS, SHORTEST_GRACE_MS};
use crate::name::LONGEST_NAME;
use crate::overrides::{Override, parse_overrides};
use crate::quote::quote;
use crate::semver::parse_number;
use crate::servers::Server;

/// What environment variables say. A field is empty if its variable is unset or empty; explicit
/// options of a program win over all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Servers of the registry, `host:port` or `host:port@zone` (`MUSTER_SERVERS`).
    pub servers: Vec<String>,
    /// The name of the client, for people (`MUSTER_NAME`).
    pub name: String,
    /// The TTL of leases in milliseconds (`MUSTER_TTL`); 0 if unset.
    pub ttl_ms: i64,
    /// What the process has between being told to stop and being killed, in milliseconds
    /// (`MUSTER_GRACE_PERIOD`); 0 if unset.
    pub grace_period_ms: i64,
    /// The file of the authorities that sign servers' certificates (`MUSTER_TLS_CA`).
    pub tls_ca: String,
    /// The file of the client's certificate (`MUSTER_TLS_CERT`).
    pub tls_cert: String,
    /// The file of the client's key (`MUSTER_TLS_KEY`).
    pub tls_key: String,
    /// The name that servers' certificates must show (`MUSTER_TLS_SERVER_NAME`).
    pub tls_server_name: String,
    /// The file that holds the token (`MUSTER_TOKEN_FILE`).
    pub token_file: String,
    /// The directory that keeps views (`MUSTER_CACHE_DIR`).
    pub cache_dir: String,
    /// The region in which this process runs (`MUSTER_REGION`).
    pub region: String,
    /// The zone in which this process runs (`MUSTER_ZONE`).
    pub zone: String,
    /// Services that are replaced (`MUSTER_OVERRIDE`).
    pub overrides: Vec<Override>,
    /// The variables that begin with `MUSTER_` and mean nothing, sorted: most likely misspelt.
    pub unknown: Vec<String>,
}

const VARIABLE_PREFIX: &str = "MUSTER_";
/// The TTLs that leases may have, in milliseconds.
pub const TTL_MS: RangeInclusive<i64> = 1_000..=3_600_000;
/// What a process may have between being told to stop and being killed, in milliseconds.
pub const GRACE_MS: RangeInclusive<i64> = SHORTEST_GRACE_MS..=LONGEST_GRACE_MS;
const LONGEST_CLIENT: usize = 128;
/// The variables that are not taken as they are: they are parsed, or another rule reads them
/// (`advertise`).
const OTHER_VARIABLES: [&str; 5] = [
    "MUSTER_SERVERS",
    "MUSTER_TTL",
    "MUSTER_GRACE_PERIOD",
    "MUSTER_OVERRIDE",
    ADVERTISE_VARIABLE,
];

impl Settings {
    /// Reads the variables that concern a client; of one that occurs twice the last counts.
    ///
    /// # Errors
    ///
    /// The variable, its value and what is allowed.
    pub fn parse<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Settings, String> {
        let mut s = Settings::default();
        let values: BTreeMap<&str, &str> = variables.into_iter().collect();
        for (name, value) in &values {
            if let Some(setting) = s.setting(name) {
                (*value).clone_into(setting);
            } else if !OTHER_VARIABLES.contains(name)
                && name.starts_with(VARIABLE_PREFIX)
                && !value.is_empty()
            {
                s.unknown.push((*name).to_owned());
            }
        }
        let value = |name| values.get(name).copied().unwrap_or_default();
        s.servers = servers(value("MUSTER_SERVERS"))?;
        s.ttl_ms = duration("MUSTER_TTL", value("MUSTER_TTL"), &TTL_MS, "1s to 1h")?;
        let grace = value("MUSTER_GRACE_PERIOD");
        s.grace_period_ms = duration("MUSTER_GRACE_PERIOD", grace, &GRACE_MS, "3s to 24h")?;
        let overrides = value("MUSTER_OVERRIDE");
        s.overrides = parse_overrides(overrides)
            .map_err(|problem| refuse("MUSTER_OVERRIDE", overrides, &problem))?;
        s.check()?;
        Ok(s)
    }

    /// The field of a variable that is taken as it is; none for others.
    fn setting(&mut self, variable: &str) -> Option<&mut String> {
        match variable {
            "MUSTER_NAME" => Some(&mut self.name),
            "MUSTER_TLS_CA" => Some(&mut self.tls_ca),
            "MUSTER_TLS_CERT" => Some(&mut self.tls_cert),
            "MUSTER_TLS_KEY" => Some(&mut self.tls_key),
            "MUSTER_TLS_SERVER_NAME" => Some(&mut self.tls_server_name),
            "MUSTER_TOKEN_FILE" => Some(&mut self.token_file),
            "MUSTER_CACHE_DIR" => Some(&mut self.cache_dir),
            "MUSTER_REGION" => Some(&mut self.region),
            "MUSTER_ZONE" => Some(&mut self.zone),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.name.len() > LONGEST_CLIENT || !self.name.bytes().all(is_printable) {
            let allowed = "use at most 128 printable ASCII characters";
            return Err(refuse("MUSTER_NAME", &self.name, allowed));
        }
        if self.region.len() > LONGEST_NAME {
            return Err(refuse(
                "MUSTER_REGION",
                &self.region,
                "use at most 63 bytes",
            ));
        }
        if self.zone.len() > LONGEST_NAME {
            return Err(refuse("MUSTER_ZONE", &self.zone, "use at most 63 bytes"));
        }
        match (self.tls_cert.as_str(), self.tls_key.as_str()) {
            ("", "") => Ok(()),
            (cert, "") => Err(refuse(
                "MUSTER_TLS_CERT",
                cert,
                "set MUSTER_TLS_KEY as well",
            )),
            ("", key) => Err(refuse("MUSTER_TLS_KEY", key, "set MUSTER_TLS_CERT as well")),
            _ => Ok(()),
        }
    }
}

fn servers(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = Vec::new();
    for part in text.split(',') {
        let server = part.trim_matches(' ');
        Server::parse(server).map_err(|problem| refuse("MUSTER_SERVERS", text, &problem))?;
        list.push(server.to_owned());
    }
    Ok(list)
}

/// Reads a number and its unit, such as 15s, as milliseconds; 0 if the text is empty.
fn duration(
    variable: &str,
    text: &str,
    range: &RangeInclusive<i64>,
    allowed: &str,
) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let ms = parse_number(digits).unwrap_or(0).saturating_mul(unit);
    match i64::try_from(ms) {
        Ok(ms) if range.contains(&ms) => Ok(ms),
        _ => {
            let allowed = format!("use {allowed}: a whole number and ms, s, m or h");
            Err(refuse(variable, text, &allowed))
        }
    }
}

pub(crate) fn is_printable(c: u8) -> bool {
    (b' '..=b'~').contains(&c)
}

pub(crate) fn refuse(variable: &str, value: &str, problem: &str) -> String {
    format!(
        "environment variable {variable} is {}: {problem}",
        quote(value)
    )
}
