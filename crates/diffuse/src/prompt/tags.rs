//! Tags in prompts that name adapters: `<lora:name:0.8>`.
//!
//! Source: the syntax of AUTOMATIC1111's stable-diffusion-webui: a kind, a name, and weights by place (the text
//! encoder's, then the image model's) or by name (`te=`, `unet=`).

use crate::Error;

/// The largest number of tags in one prompt.
const MAX_TAGS: usize = 64;

/// A tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    /// What it asks for: `lora`, `lyco`, `hypernet` or what else stands before the first colon.
    pub kind: String,
    /// The name of what is asked for.
    pub name: String,
    /// How strongly it acts on the text encoder; 1 where nothing is said.
    pub text_weight: f64,
    /// How strongly it acts on the image model; the text encoder's where nothing is said.
    pub weight: f64,
}

/// The prompt without its tags, and the tags.
///
/// # Errors
/// `Prompt` for a weight that is no number, for too many tags, and above `MAX_PROMPT_BYTES`.
pub fn without_tags(prompt: &str) -> Result<(String, Vec<Tag>), Error> {
    super::expect_length(prompt)?;
    let (mut text, mut tags) = (String::new(), Vec::new());
    let mut rest = prompt;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((kind, arguments, behind)) = tag_at(rest) else {
            text.push('<');
            rest = &rest[1..];
            continue;
        };
        if tags.len() == MAX_TAGS {
            return Err(Error::Prompt(format!("there are more than {MAX_TAGS} tags")));
        }
        tags.push(tag(kind, arguments)?);
        rest = behind;
    }
    text.push_str(rest);
    Ok((text, tags))
}

/// The kind, the arguments and what is behind, if the text begins with a tag.
fn tag_at(text: &str) -> Option<(&str, &str, &str)> {
    let inside = text.strip_prefix('<')?;
    let end = inside.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))?;
    let (kind, after) = inside.split_at(end);
    let (arguments, behind) = after.strip_prefix(':')?.split_once('>')?;
    (!kind.is_empty() && !arguments.is_empty()).then_some((kind, arguments, behind))
}

fn tag(kind: &str, arguments: &str) -> Result<Tag, Error> {
    let (mut by_place, mut text_weight, mut weight) = (Vec::new(), None, None);
    for argument in arguments.split(':') {
        match argument.split_once('=').map(|(key, value)| (key.trim(), value)) {
            Some(("te", value)) => text_weight = Some(number(value, arguments)?),
            Some(("unet", value)) => weight = Some(number(value, arguments)?),
            _ => by_place.push(argument.trim()),
        }
    }
    let mut weights = by_place.iter().skip(1).take(2).map(|value| number(value, arguments));
    let (first, second) = (weights.next().transpose()?, weights.next().transpose()?);
    let text_weight = text_weight.or(first).unwrap_or(1.0);
    let weight = weight.or(second).unwrap_or(text_weight);
    let name = by_place.first().copied().unwrap_or_default().to_owned();
    Ok(Tag { kind: kind.to_owned(), name, text_weight, weight })
}

fn number(text: &str, arguments: &str) -> Result<f64, Error> {
    let value: Option<f64> = text.trim().parse().ok();
    value.filter(|value| value.is_finite() && value.abs() <= super::MAX_WEIGHT).ok_or_else(|| {
        let shown: String = arguments.chars().take(80).collect();
        Error::Prompt(format!(
            "in the tag {shown}: the weight is no number that can be used; write <lora:NAME:0.8>"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prompt: &str, text: &str, expected: &[(&str, &str, f64, f64)]) {
        let (found, tags) = without_tags(prompt).unwrap();
        assert_eq!(found, text, "{prompt}");
        let tags: Vec<_> = tags
            .iter()
            .map(|tag| (tag.kind.as_str(), tag.name.as_str(), tag.text_weight, tag.weight))
            .collect();
        assert_eq!(tags, expected, "{prompt}");
    }

    #[test]
    fn tags_are_taken_out() {
        check("a <lora:name:0.8> b", "a  b", &[("lora", "name", 0.8, 0.8)]);
        check("<lora:name>", "", &[("lora", "name", 1.0, 1.0)]);
        check(
            "<lora:n:0.5:0.7>x<lyco:m:te=0.2:unet=-1>",
            "x",
            &[("lora", "n", 0.5, 0.7), ("lyco", "m", 0.2, -1.0)],
        );
        check("<lora:a b-c_d.e:1>", "", &[("lora", "a b-c_d.e", 1.0, 1.0)]);
        check(
            "1 < 2, <b>, <:a>, <lora:>, <<lora:x>>, <lora:open",
            "1 < 2, <b>, <:a>, <lora:>, <>, <lora:open",
            &[("lora", "x", 1.0, 1.0)],
        );
    }

    #[test]
    fn weights_that_are_no_numbers_are_told() {
        for prompt in ["<lora:x:much>", "<lora:x:inf>", "<lora:x:1:NaN>", "<lora:x:te=>"] {
            assert!(matches!(without_tags(prompt), Err(Error::Prompt(_))), "{prompt}");
        }
        assert!(without_tags(&"<lora:x>".repeat(MAX_TAGS + 1)).is_err());
    }
}
