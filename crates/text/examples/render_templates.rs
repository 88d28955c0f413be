//! `cargo run -p text --example render_templates -- FOLDER`: renders every chat template of a folder with the
//! conversations of `fixtures/templates`, and prints the same JSON that `fixtures/templates/render.py` prints; with
//! `--expressions` for the folder, the small templates there.
#![allow(clippy::unwrap_used, reason = "an example may panic")]

#[allow(dead_code, reason = "tests use the rest")]
#[path = "../tests/support/golden.rs"]
mod golden;

use serde_json::{Map, Value as Json};

fn main() {
    let folder = std::env::args().nth(1).expect("the folder of templates is the argument");
    let mut all = Map::new();
    if folder == "--expressions" {
        all.extend(golden::expressions());
    } else {
        for (template, conversation, outcome) in golden::outcomes(folder.as_ref()) {
            let outcomes = all.entry(template).or_insert_with(|| Json::Object(Map::new()));
            outcomes[conversation] = outcome;
        }
    }
    println!("{:#}", Json::Object(all));
}
