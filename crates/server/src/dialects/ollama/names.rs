//! Names of models, as Ollama's clients write and read them: always with a tag.
//!
//! Source: docs/api.md, "Model names".

use crate::call::Call;
use crate::fields::{Field, SHORT};
use crate::refusal::Refusal;

pub const MODEL: Field = Field::may("model", SHORT, "The model; it has to be there.");
pub const NAME: Field = Field::may("name", SHORT, "The same, in its older name.");

/// The name of the model that a request is about.
///
/// # Errors
/// None, or what is no name: a request never names a file of this machine.
pub fn read(call: &Call) -> Result<String, Refusal> {
    let is_there = |name: &&str| !name.is_empty();
    match call.text("model").filter(is_there).or_else(|| call.text("name").filter(is_there)) {
        Some(name) => check("model", name),
        None => Err(Refusal::field("model", "it is missing")),
    }
}

/// A name that stands in `field`.
///
/// # Errors
/// What is no name.
pub fn check(field: &str, name: &str) -> Result<String, Refusal> {
    let (path, _) = name.split_once('@').unwrap_or((name, ""));
    let parts = || path.split(['/', ':']);
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if !parts().all(is_part) || parts().count() > 4 || path.to_ascii_lowercase().ends_with(".gguf") {
        return Err(Refusal::field(field, format!("{name:?} is no name of a model, such as qwen3:4b")));
    }
    Ok(name.to_owned())
}

/// A name with its tag.
pub fn shown(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.contains([':', '@']) {
        true => name.to_owned(),
        false => format!("{name}:latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_tag_and_are_no_paths() {
        assert_eq!(shown("starter"), "starter:latest");
        assert_eq!(shown("hf.co/user/repo"), "hf.co/user/repo:latest");
        assert_eq!(shown("qwen3:4b"), "qwen3:4b");
        for name in ["starter", "qwen3:4b", "hf.co/user/repo:Q4_K_M", "a/b", "a@sha256:00"] {
            assert!(check("model", name).is_ok(), "{name}");
        }
        for path in
            ["/etc/passwd", "../a", "a/../b", "./a", "~/a", "a\\b", "model.gguf", "C:\\a", "a b", ":a", "a/"]
        {
            assert!(check("model", path).is_err(), "{path}");
        }
    }
}
