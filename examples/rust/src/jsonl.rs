//! What the programs tell: one JSON object per line on standard output, for other programs to read.

use std::io::Write;

use serde::Serialize;

#[derive(Serialize)]
struct Line<'a, T> {
    time_us: u64,
    event: &'a str,
    #[serde(flatten)]
    fields: &'a T,
}

/// Writes one line: when, what the event is, and its fields. Lines of several tasks do not mix.
/// Whether somebody reads them is none of the program's business.
pub fn write(event: &str, fields: &impl Serialize) {
    let line = Line {
        time_us: now_us(),
        event,
        fields,
    };
    if let Ok(mut text) = serde_json::to_vec(&line) {
        text.push(b'\n');
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&text).and_then(|()| out.flush());
    }
}

#[expect(
    clippy::disallowed_types,
    reason = "lines of several processes are compared by the machine's clock"
)]
fn now_us() -> u64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
