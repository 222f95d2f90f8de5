//! Evaluates rules for programs that compare languages: each line of standard input is
//! `{"rule": name, "input": {...}}`, each line of standard output `{"output": {...}}` or
//! `{"error": text}`.

use std::io::{self, BufRead, Write};

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
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        serde_json::to_writer(&mut out, &answer(&line?))?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(line: &str) -> Answer {
    let question: Question = match serde_json::from_str(line) {
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
