//! What a picture has to show, as a line of a file says it.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Component, Path};

/// A line of the file.
#[derive(Clone, Deserialize)]
pub struct Item {
    pub file_name: String,
    pub text: String,
    pub expected: Expected,
}

/// What has to be seen; nothing is asked where there is null.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Expected {
    pub background: Option<String>,
    pub groups: Vec<Group>,
}

/// Some equal things.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Group {
    pub kind: String,
    pub colour: String,
    pub number: usize,
    pub size: Option<String>,
    /// In the picture where the group is alone, to the other one where there are two.
    pub place: Option<String>,
}

/// The items of a file of JSON lines.
pub fn read(path: &Path) -> Result<Vec<Item>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let items: Result<Vec<Item>> = text
        .lines()
        .enumerate()
        .map(|(at, line)| parse(line).with_context(|| format!("{}:{}", path.display(), at + 1)))
        .collect();
    items
}

fn parse(line: &str) -> Result<Item> {
    let item: Item = serde_json::from_str(line)?;
    let is_plain = Path::new(&item.file_name).components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(is_plain, "{} does not stay in the folder", item.file_name);
    ensure!((1..=2).contains(&item.expected.groups.len()), "one group or two are checked");
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_and_one_that_leaves_the_folder_is_refused() {
        let line = r#"{"file_name": "00001.png", "text": "a red star", "expected": {"background": null, "groups":
            [{"kind": "star", "colour": "red", "number": 1, "size": null, "place": "top"}]}}"#;
        let item = parse(line).unwrap();
        assert_eq!((item.expected.groups[0].number, item.expected.background), (1, None));
        for wrong in ["../1.png", "/a.png", "a/../../b.png"] {
            assert!(parse(&line.replace("00001.png", wrong)).is_err(), "{wrong}");
        }
        assert!(parse(&line.replace("groups", "things")).is_err());
    }
}
