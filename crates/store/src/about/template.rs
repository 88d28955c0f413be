//! In which language a chat template is written.
//!
//! Not an engine, and not a parser: a template is told by its first tag, so a broken one has a language too.
//!
//! Source: the Jinja documentation, "Template Designer"; the Go documentation, package `text/template`, "Actions".

use serde::{Deserialize, Serialize};

/// The language of a chat template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TemplateLanguage {
    /// Jinja, which Hearth renders; also a text without any tag, which is the same in all languages.
    Jinja,
    /// Go's `text/template`, in which Ollama writes. It is kept and handed on, but not rendered: a model then
    /// falls back on the Jinja template in its weights.
    Go,
}

/// The words with which an action of a Go template begins that is no value.
const GO_WORDS: [&str; 10] =
    ["if", "range", "end", "else", "with", "define", "template", "block", "break", "continue"];

impl TemplateLanguage {
    /// The language of this template.
    pub fn of(template: &str) -> Self {
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            rest = &rest[at + 1..];
            match rest.as_bytes().first() {
                Some(b'%' | b'#') => return Self::Jinja,
                Some(b'{') => return Self::of_expression(&rest[1..]),
                _ => {}
            }
        }
        Self::Jinja
    }

    /// The `format` of a template's file.
    pub fn format(self) -> &'static str {
        match self {
            Self::Jinja => "jinja",
            Self::Go => "go-template",
        }
    }

    /// What follows `{{`: a value of Go begins with a dot, a dollar or a parenthesis before one of them; a
    /// statement of Go is a word that in Jinja would stand between `{%` and `%}`.
    fn of_expression(text: &str) -> Self {
        let text = text.strip_prefix('-').unwrap_or(text).trim_start_matches([' ', '\t', '\r', '\n', '(']);
        let word: &str =
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let is_comment = text.starts_with("/*");
        let is_value = text.starts_with(['.', '$', '`']);
        // A function that is called with a dot or dollar, such as `eq .Role "user"` or `len .Messages`.
        let after = text[word.len()..].trim_start_matches(' ');
        let is_call =
            !word.is_empty() && text[word.len()..].starts_with(' ') && after.starts_with(['.', '$']);
        if is_comment || is_value || is_call || GO_WORDS.contains(&word) { Self::Go } else { Self::Jinja }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tag_tells_the_language() {
        for (template, expected) in [
            ("", TemplateLanguage::Jinja),
            ("plain { text }", TemplateLanguage::Jinja),
            ("{% for message in messages %}{{ message.content }}{% endfor %}", TemplateLanguage::Jinja),
            ("{{ bos_token }}{% if x %}", TemplateLanguage::Jinja),
            ("{{- bos_token }}", TemplateLanguage::Jinja),
            ("{#- a comment -#}{{ .x }}", TemplateLanguage::Jinja),
            ("{{ if_this }}", TemplateLanguage::Jinja),
            ("{{ .System }} {{ .Prompt }}", TemplateLanguage::Go),
            ("{{- if .System }}<|system|>{{ .System }}{{ end }}", TemplateLanguage::Go),
            ("{{- range $i, $_ := .Messages }}", TemplateLanguage::Go),
            ("{{ $last := 1 }}", TemplateLanguage::Go),
            ("{{- /* what */ -}}", TemplateLanguage::Go),
            ("a { b {{ eq .Role \"user\" }}", TemplateLanguage::Go),
            ("{{ (len .Messages) }}", TemplateLanguage::Go),
            ("{{", TemplateLanguage::Jinja),
            ("{{é", TemplateLanguage::Jinja),
        ] {
            assert_eq!(TemplateLanguage::of(template), expected, "{template}");
        }
    }
}
