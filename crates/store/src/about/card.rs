//! A model's card: the README that comes with it, and the facts in its front matter.
//!
//! Does not: render Markdown, or believe what the card claims. Front matter that cannot be read costs the facts,
//! never the text. Source: Hugging Face's documentation, "Model Cards", metadata specification; YAML 1.2.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most bytes of front matter: the reader takes about a hundred for each letter of the worst text. Cards that
/// list many evaluations have up to half of this.
const MAX_FRONT_BYTES: usize = 512 << 10;

/// The most values of one fact, and the most bytes of a value.
const MAX_VALUES: usize = 256;
const MAX_VALUE_BYTES: usize = 1024;

/// A model's card.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Card {
    /// The licence's identifier, such as `apache-2.0` or `other`.
    pub license: Option<String>,
    /// The licence's own name, where the identifier is `other`.
    pub license_name: Option<String>,
    /// Where its text stands.
    pub license_link: Option<String>,
    /// The models that this one was made from.
    pub base_models: Vec<String>,
    /// How: `finetune`, `quantized`, `adapter`, `merge`.
    pub base_model_relation: Option<String>,
    /// The languages that it speaks, as ISO 639 codes.
    pub languages: Vec<String>,
    /// What it is for, such as `text-generation`.
    pub task: Option<String>,
    /// The library that it was made for.
    pub library: Option<String>,
    /// The data that it learned from.
    pub datasets: Vec<String>,
    /// Words that its makers gave it.
    pub tags: Vec<String>,
    /// The text below the front matter, in Markdown.
    pub text: String,
    /// Why there are no facts although there is front matter.
    pub problem: Option<CardProblem>,
}

/// Why a card's front matter could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CardProblem {
    /// It has no end.
    #[error("its front matter has no closing ---")]
    NotClosed,
    /// It is too long.
    #[error("its front matter is over the limit of {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// It is no YAML, or no map.
    #[error("its front matter cannot be read: {message}")]
    NotTheFormat {
        /// What the reader says, made safe to show.
        message: String,
    },
}

impl Card {
    /// Reads a card. Any text is one.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let Some(after) = after_line(text, "---") else {
            return Self { text: text.to_owned(), ..Self::default() };
        };
        let Some((front, body)) = split_at_line(after, "---") else {
            return Self { text: text.to_owned(), problem: Some(CardProblem::NotClosed), ..Self::default() };
        };
        let card = if front.len() > MAX_FRONT_BYTES {
            Err(CardProblem::TooLong { limit: MAX_FRONT_BYTES })
        } else {
            read(front)
        };
        let card = card.unwrap_or_else(|problem| Self { problem: Some(problem), ..Self::default() });
        Self { text: body.to_owned(), ..card }
    }
}

fn read(front: &str) -> Result<Card, CardProblem> {
    if front.trim().is_empty() {
        return Ok(Card::default());
    }
    yaml_serde::from_str::<Facts>(front).map(|facts| facts.0).map_err(|error| {
        let message = crate::error::shown(&error.to_string());
        CardProblem::NotTheFormat { message }
    })
}

/// What follows the first line, if that line is `mark`.
fn after_line<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.trim_end() == mark).then_some(rest)
}

/// What stands before and after the first line that is `mark`.
fn split_at_line<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == mark {
            return Some((&text[..at], &text[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// The facts of a front matter. Read by hand, since anything may stand under any name, and since what is not
/// wanted must be passed over without following its aliases (a small text can unfold to gigabytes).
struct Facts(Card);

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FactsVisitor)
    }
}

struct FactsVisitor;

impl<'de> Visitor<'de> for FactsVisitor {
    type Value = Facts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Facts, A::Error> {
        let mut card = Card::default();
        while let Some(Texts(key)) = map.next_key()? {
            let list = match key.first().map(String::as_str) {
                Some("base_model") => &mut card.base_models,
                Some("language") => &mut card.languages,
                Some("datasets") => &mut card.datasets,
                Some("tags") => &mut card.tags,
                key => {
                    let fact = match key {
                        Some("license") => &mut card.license,
                        Some("license_name") => &mut card.license_name,
                        Some("license_link") => &mut card.license_link,
                        Some("base_model_relation") => &mut card.base_model_relation,
                        Some("pipeline_tag") => &mut card.task,
                        Some("library_name") => &mut card.library,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *fact = map.next_value::<Texts>()?.0.into_iter().next();
                    continue;
                }
            };
            *list = map.next_value::<Texts>()?.0;
        }
        Ok(Facts(card))
    }
}

/// A text or a list of texts; of anything else, nothing.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor { depth: 0 }).map(Self)
    }
}

/// Reads texts; `depth` is 1 inside a list, where no further list is looked into.
struct TextsVisitor {
    depth: usize,
}

impl<'de> serde::de::DeserializeSeed<'de> for TextsVisitor {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(if text.len() <= MAX_VALUE_BYTES { vec![text.to_owned()] } else { Vec::new() })
    }

    fn visit_bool<E>(self, value: bool) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_i64<E>(self, value: i64) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_u64<E>(self, value: u64) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_f64<E>(self, value: f64) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_unit<E>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        while self.depth == 0 && texts.len() < MAX_VALUES {
            match list.next_element_seed(TextsVisitor { depth: 1 })? {
                Some(found) => texts.extend(found),
                None => return Ok(texts),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(texts)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_in_all_their_forms() {
        let card = Card::parse(
            "---\r\nlicense: other\nlicense_name: llama3.2\nlicense_link: https://a.example/b\n\
             base_model:\n- meta-llama/Llama-3.2-1B\n- 7\nlanguage: no\ntags: [a, [b], {c: d}, e]\n\
             pipeline_tag: text-generation\nlibrary_name: transformers\nmodel-index:\n- name: x\n  results: []\n\
             datasets:\nbase_model_relation: finetune\n1: 2\n---\n# Title\n\n---\nmore\n",
        );
        assert_eq!(card.problem, None);
        assert_eq!(card.license.as_deref(), Some("other"));
        assert_eq!(card.license_name.as_deref(), Some("llama3.2"));
        assert_eq!(card.license_link.as_deref(), Some("https://a.example/b"));
        assert_eq!(card.base_models, ["meta-llama/Llama-3.2-1B", "7"]);
        assert_eq!(card.languages, ["no"], "Norwegian is no boolean");
        assert_eq!(card.tags, ["a", "e"]);
        assert_eq!(card.datasets, [""; 0]);
        assert_eq!(card.task.as_deref(), Some("text-generation"));
        assert_eq!(card.library.as_deref(), Some("transformers"));
        assert_eq!(card.base_model_relation.as_deref(), Some("finetune"));
        assert_eq!(card.text, "# Title\n\n---\nmore\n");
    }

    #[test]
    fn a_text_without_facts_is_a_card() {
        for text in ["", "# Title\n", "--- x\n", "----\na\n---\n"] {
            assert_eq!(Card::parse(text), Card { text: text.into(), ..Card::default() });
        }
        assert_eq!(Card::parse("---\n---\nbody").text, "body");
        assert_eq!(Card::parse("---\n---\nbody").problem, None);
    }

    #[test]
    fn front_matter_that_cannot_be_read_costs_the_facts_only() {
        let check = |text: &str, body: &str, fits: fn(&CardProblem) -> bool| {
            let card = Card::parse(text);
            assert!(card.problem.as_ref().is_some_and(fits), "{:?}: {:.60}", card.problem, text);
            assert_eq!(card.text, body);
        };
        check("---\nlicense: mit\n", "---\nlicense: mit\n", |problem| *problem == CardProblem::NotClosed);
        let not_the_format = |problem: &CardProblem| matches!(problem, CardProblem::NotTheFormat { .. });
        check("---\na: [\n---\nb", "b", not_the_format);
        check("---\n- a\n---\nb", "b", not_the_format);
        check("---\nlicense: *x\n---\nb", "b", not_the_format);
        check(&format!("---\nlicense: {}\n---\nb", "[".repeat(10_000)), "b", not_the_format);
        let long = format!("---\na: {}\n---\nb", "x".repeat(MAX_FRONT_BYTES));
        check(&long, "b", |problem| matches!(problem, CardProblem::TooLong { .. }));
    }

    #[test]
    fn aliases_do_not_unfold() {
        let mut front = format!("a0: &a0 [{}]\n", "x,".repeat(1000));
        for level in 1..40 {
            let before = level - 1;
            front += &format!("a{level}: &a{level} [{}]\n", format!("*a{before},").repeat(50));
        }
        front += "tags: *a39\nlicense: mit\nlanguage: *a0\n";
        let card = Card::parse(&format!("---\n{front}---\nb"));
        assert!(card.tags.is_empty(), "{:?}", card.tags);
        let n_languages = if card.problem.is_none() { MAX_VALUES } else { 0 };
        assert_eq!(card.languages.len(), n_languages, "{:?}", card.problem);
        assert_eq!(Card::parse(&format!("---\nlicense: {}\n---\n", "x".repeat(2000))).license, None);
    }
}
