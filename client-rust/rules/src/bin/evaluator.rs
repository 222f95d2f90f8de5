//! Evaluates rules for programs that compare languages: each line of standard input is
//! `{"rule": name, "input": {...}}`, each line of standard output `{"output": {...}}` or
//! `{"error": text}`.

use std::io::{self, BufRead, BufReader, BufWriter, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Question {
    rule: String,
    input: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Output(Box<RawValue>),
    Error(String),
}

fn main() -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut out = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        serde_json::to_writer(&mut out, &answer(&line))?;
        out.write_all(b"\n")?;
        // Who asks in batches is answered in batches.
        if input.buffer().is_empty() {
            out.flush()?;
        }
        line.clear();
    }
    out.flush()
}

fn answer(line: &[u8]) -> Answer {
    let question: Question = match serde_json::from_slice(line) {
        Ok(question) => question,
        Err(e) => return Answer::Error(e.to_string()),
    };
    match muster_rules::evaluate::call(&question.rule, question.input.get()) {
        Ok(output) => match RawValue::from_string(output) {
            Ok(output) => Answer::Output(output),
            Err(e) => Answer::Error(e.to_string()),
        },
        Err(e) => Answer::Error(e),
    }
}
