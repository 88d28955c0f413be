//! What was found, as a table of features and clients.

use serde::Deserialize;
use std::fmt::{self, Write};

/// What a script says of one feature of a client.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub client: String,
    #[serde(default)]
    pub version: String,
    pub feature: String,
    pub ok: bool,
    #[serde(default)]
    pub note: String,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.ok { "well" } else { "FAILED" };
        write!(f, "{}, {}: {word}: {}", self.client, self.feature, self.note)
    }
}

const HEAD: &str = "\
# Clients

Programs of other people that work with Hearth as they are: only their address is changed. `cargo xtask clients` runs
them against a server with the model in the box and writes this page; every cell is a test, and one that fails fails the
run. The scripts stand in `benches/clients`, `benches/lm-eval`, `benches/schemathesis` and, for the page in a browser,
`web/test`. An empty cell: the client has no such feature, or none of its own.

";

/// The whole page.
pub fn page(cells: &[Cell]) -> String {
    HEAD.to_owned() + &of(cells)
}

/// A row for each feature, in the order in which they come up; a column for each client.
pub fn of(cells: &[Cell]) -> String {
    let clients = different(cells.iter().map(|cell| (cell.client.as_str(), cell.version.as_str())));
    let features = different(cells.iter().map(|cell| cell.feature.as_str()));
    let mut out = String::from("| |");
    for (client, version) in &clients {
        let _ = write!(out, " {} |", format!("{client} {version}").trim_end());
    }
    let _ = writeln!(out, "\n|---|{}", "---|".repeat(clients.len()));
    for feature in features {
        let _ = write!(out, "| {feature} |");
        for (client, _) in &clients {
            let cell = cells.iter().find(|cell| cell.client == *client && cell.feature == feature);
            let _ = write!(out, "{}", cell.map_or(" |", |cell| if cell.ok { " ✓ |" } else { " ✗ |" }));
        }
        out.push('\n');
    }
    out
}

/// Each once, in the order in which they come up.
fn different<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(client: &str, feature: &str, ok: bool) -> Cell {
        Cell {
            client: client.into(),
            version: "1.2".into(),
            feature: feature.into(),
            ok,
            note: "slow".into(),
        }
    }

    #[test]
    fn features_are_rows_and_clients_columns() {
        let cells = [cell("a", "chat", true), cell("a", "tools", false), cell("b", "chat", true)];
        let expected = "| | a 1.2 | b 1.2 |\n|---|---|---|\n| chat | ✓ | ✓ |\n| tools | ✗ | |\n";
        assert_eq!(of(&cells), expected);
        assert!(page(&cells).ends_with(expected) && !page(&cells).contains("slow"));
    }

    #[test]
    fn what_is_wrong_is_told_in_a_line() {
        assert_eq!(cell("a", "tools", false).to_string(), "a, tools: FAILED: slow");
    }
}
