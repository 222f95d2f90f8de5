//! Runs every file of the conformance vectors that names a rule.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use muster_rules::evaluate;
use serde_json::Value;

#[test]
fn vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors");
    let Ok(files) = fs::read_dir(folder) else {
        return; // this is the crate alone
    };
    let mut run = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        let content: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let Some(rule) = content["rule"].as_str() else {
            continue; // of another form; the client's own tests run it
        };
        run.insert(rule.to_owned());
        for case in content["cases"].as_array().unwrap() {
            let output = evaluate::call(rule, &case["input"].to_string())
                .map(|output| serde_json::from_str::<Value>(&output).unwrap());
            if output.as_ref() != Ok(&case["output"]) {
                wrong.push(format!(
                    "{}: {}\n  want {}\n  got  {output:?}",
                    path.display(),
                    case["name"],
                    case["output"]
                ));
            }
        }
    }
    for name in evaluate::names().filter(|name| !run.contains(*name)) {
        wrong.push(format!("no file of the vectors is about the rule {name}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
