//! Arguments in notations that are no JSON: Python's literals, and those of Gemma 4 with quotes of their own.
//!
//! Sources: "The Python Language Reference", "Literals"; the chat template of Gemma 4.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::tagged::with_definitions;
use super::{Rules, Tool, listed, properties_of, repeated};
use crate::grammar::{lark, schema};

/// Texts in Python, in either quote.
const PYTHON_TEXT: &str = r#"(/"([^"\\\x00-\x1f]|\\["'\\nrt])*"/ | /'([^'\\\x00-\x1f]|\\["'\\nrt])*'/)"#;
/// Values of any kind are nested so deep at most: readers have an end too.
const ANY_DEPTH: usize = 8;

/// A way to write values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Notation {
    Python,
    /// With these quotes around texts.
    Braces(&'static str),
}

impl Notation {
    fn word(self, value: &Json) -> Option<&'static str> {
        match (self, value) {
            (Self::Python, Json::Bool(true)) => Some("True"),
            (Self::Python, Json::Bool(false)) => Some("False"),
            (Self::Python, Json::Null) => Some("None"),
            (Self::Braces(_), Json::Bool(true)) => Some("true"),
            (Self::Braces(_), Json::Bool(false)) => Some("false"),
            (Self::Braces(_), Json::Null) => Some("null"),
            _ => None,
        }
    }

    fn comma(self) -> &'static str {
        match self {
            Self::Python => "/, ?/",
            Self::Braces(_) => "\",\"",
        }
    }
}

/// What a call of a tool is: `name(key=value)`, or `before` and `name{key:value}`.
///
/// # Errors
/// What of its schema, or which name, cannot be written so.
pub(super) fn call(notation: Notation, tool: &Tool<'_>, rules: &mut Rules) -> Result<String, String> {
    let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
    if tool.name.is_empty() || tool.name == "print" || !tool.name.chars().all(is_letter) {
        return Err(format!("the name of the tool {:?} is none in their notation", tool.name));
    }
    let properties = listed(tool)?;
    let mut writer =
        Writer { notation, root: &tool.arguments, rules, known: HashMap::new(), any: HashMap::new() };
    let entries = writer.entries(&properties, Keys::Bare)?;
    let name = lark::literal(tool.name);
    Ok(match notation {
        Notation::Python => format!("{name} \"(\" {entries} \")\""),
        Notation::Braces(_) => format!("{name} \"{{\" {entries} \"}}\""),
    })
}

/// How the keys of an object are written.
#[derive(Clone, Copy, PartialEq)]
enum Keys {
    Bare,
    /// As texts.
    Quoted,
}

struct Writer<'a, 'r> {
    notation: Notation,
    root: &'a Json,
    rules: &'r mut Rules,
    /// Rules of definitions that references lead to.
    known: HashMap<&'a str, String>,
    /// Rules of any value, by how deep it may be nested.
    any: HashMap<usize, String>,
}

impl<'a> Writer<'a, '_> {
    /// Entries between commas: those that are required, the others or not, in their order.
    fn entries(&mut self, entries: &[(&'a str, &'a Json, bool)], keys: Keys) -> Result<String, String> {
        // What may follow where nothing stands before it, and where something does.
        let (mut first, mut next) = ("\"\"".to_owned(), "\"\"".to_owned());
        for (key, value, is_required) in entries.iter().rev() {
            let entry = format!("{} {}", self.key(key, keys)?, self.value(value)?);
            let comma = self.notation.comma();
            let (with, behind) = (format!("{entry} {next}"), format!("{comma} {entry} {next}"));
            first = self.rules.named(&if *is_required { with } else { format!("{with} | {first}") });
            next = self.rules.named(&if *is_required { behind } else { format!("{behind} | {next}") });
        }
        Ok(first)
    }

    fn key(&mut self, key: &str, keys: Keys) -> Result<String, String> {
        let is_end = |letter: char| letter.is_whitespace() || ",:=()[]{}\"'<|".contains(letter);
        if key.is_empty() || key.contains(is_end) {
            return Err(format!("the name of the argument {key:?} is none in their notation"));
        }
        Ok(match (self.notation, keys) {
            (Notation::Python, Keys::Bare) => lark::literal(&format!("{key}=")),
            (Notation::Python, Keys::Quoted) => format!("{} /: ?/", self.text(key)?),
            (Notation::Braces(_), _) => lark::literal(&format!("{key}:")),
        })
    }

    /// A given text.
    fn text(&mut self, text: &str) -> Result<String, String> {
        match self.notation {
            Notation::Python => {
                let mut inner = String::new();
                for letter in text.chars() {
                    match letter {
                        '\n' => inner.push_str("\\n"),
                        '\t' => inner.push_str("\\t"),
                        '\r' => inner.push_str("\\r"),
                        '"' | '\'' | '\\' => inner.extend(['\\', letter]),
                        letter if letter.is_control() => {
                            return Err(format!("the text {text:?} is none in Python"));
                        }
                        letter => inner.push(letter),
                    }
                }
                let [double, single] =
                    ['"', '\''].map(|quote| lark::literal(&format!("{quote}{inner}{quote}")));
                Ok(format!("({double} | {single})"))
            }
            Notation::Braces(quote) if text.contains(quote) => {
                Err(format!("the text {text:?} has what ends texts in it"))
            }
            Notation::Braces(quote) => {
                let quote = self.rules.words.terminals(quote);
                let text = if text.is_empty() { String::new() } else { lark::literal(text) };
                Ok(format!("{quote} {text} {quote}"))
            }
        }
    }

    /// What a schema describes.
    fn value(&mut self, schema: &'a Json) -> Result<String, String> {
        let Json::Object(keys) = schema else { return Ok(self.any(ANY_DEPTH)) };
        if let Some(at) = keys.get("$ref").and_then(Json::as_str) {
            return self.definition(at);
        }
        if let Some(all) = keys.get("anyOf").or_else(|| keys.get("oneOf")).and_then(Json::as_array) {
            let all = all.iter().map(|one| self.value(one)).collect::<Result<Vec<_>, _>>()?;
            return Ok(format!("({})", all.join(" | ")));
        }
        let only = keys.get("const").map(std::slice::from_ref);
        if let Some(some) = only.or_else(|| keys.get("enum").and_then(Json::as_array).map(Vec::as_slice)) {
            let some = some.iter().map(|one| self.one(one)).collect::<Result<Vec<_>, _>>()?;
            return Ok(format!("({})", some.join(" | ")));
        }
        let kinds: Vec<&str> = match keys.get("type") {
            Some(Json::String(kind)) => vec![kind],
            Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
            _ => return Ok(self.any(ANY_DEPTH)),
        };
        let all = kinds.iter().map(|kind| self.of_kind(kind, schema)).collect::<Result<Vec<_>, _>>()?;
        Ok(format!("({})", all.join(" | ")))
    }

    /// One value that a schema names.
    fn one(&mut self, value: &Json) -> Result<String, String> {
        match (value, self.notation.word(value)) {
            (_, Some(word)) => Ok(lark::literal(word)),
            (Json::String(text), _) => self.text(text),
            (Json::Number(number), _) => Ok(lark::literal(&number.to_string())),
            _ => Err(format!("the value {value} is none that can be named in their notation")),
        }
    }

    fn of_kind(&mut self, kind: &str, schema: &'a Json) -> Result<String, String> {
        let refused = |wishes: &[&str]| match wishes.iter().find(|wish| schema.get(**wish).is_some()) {
            Some(wish) => Err(format!("{wish:?} cannot be held to in their notation")),
            None => Ok(()),
        };
        match kind {
            "string" => {
                refused(&["pattern", "format", "minLength", "maxLength"])?;
                Ok(self.any_text())
            }
            "integer" | "number" => {
                let mut number = with_definitions(schema, &Json::Null);
                number["type"] = Json::from(kind);
                Ok(schema::embedded(number))
            }
            "boolean" => Ok(format!("({} | {})", self.one(&json!(true))?, self.one(&json!(false))?)),
            "null" => self.one(&Json::Null),
            "array" => {
                refused(&["prefixItems", "uniqueItems", "contains"])?;
                self.list(schema)
            }
            "object" => {
                refused(&["patternProperties", "minProperties", "maxProperties", "propertyNames", "allOf"])?;
                self.object(schema)
            }
            other => Err(format!("there is no kind {other:?}")),
        }
    }

    fn list(&mut self, schema: &'a Json) -> Result<String, String> {
        let items = schema.get("items");
        let item = match items {
            Some(items) => self.value(items)?,
            None => self.any(ANY_DEPTH),
        };
        let item = self.rules.named(&item);
        let number = |key: &str| schema.get(key).and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok());
        let (least, most) = (number("minItems").unwrap_or(0), number("maxItems"));
        let next = format!("({} {item})", self.notation.comma());
        let behind = repeated(&next, least.saturating_sub(1), most.map(|most| most.saturating_sub(1)));
        let some = format!("{item} {behind}");
        Ok(match (least, most) {
            (_, Some(0)) => "\"[\" \"]\"".to_owned(),
            (0, _) => format!("\"[\" ({some})? \"]\""),
            _ => format!("\"[\" {some} \"]\""),
        })
    }

    fn object(&mut self, schema: &'a Json) -> Result<String, String> {
        if schema.get("additionalProperties").is_some_and(Json::is_object) {
            return Err(
                "\"additionalProperties\" with a schema cannot be held to in their notation".to_owned()
            );
        }
        let Some(properties) = properties_of(schema)? else {
            let any = self.any(ANY_DEPTH);
            return Ok(self.any_object(&any));
        };
        let entries = self.entries(&properties, Keys::Quoted)?;
        Ok(format!("\"{{\" {entries} \"}}\""))
    }

    fn definition(&mut self, at: &'a str) -> Result<String, String> {
        if let Some(rule) = self.known.get(at) {
            return Ok(rule.clone());
        }
        let found = at.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let schema = found.ok_or_else(|| format!("the reference {at:?} leads nowhere"))?;
        // It may lead back here.
        let rule = self.rules.reserve();
        self.known.insert(at, rule.clone());
        let body = self.value(schema)?;
        self.rules.add(&rule, &body);
        Ok(rule)
    }

    fn any_text(&mut self) -> String {
        match self.notation {
            Notation::Python => PYTHON_TEXT.to_owned(),
            Notation::Braces(quote) => {
                let opens = self.rules.words.terminals(quote);
                format!("{opens} {}", self.rules.until(quote))
            }
        }
    }

    /// Any value that is nested no deeper.
    fn any(&mut self, depth: usize) -> String {
        if let Some(rule) = self.any.get(&depth) {
            return rule.clone();
        }
        let [yes, no, nothing] = [json!(true), json!(false), Json::Null]
            .map(|value| lark::literal(self.notation.word(&value).unwrap_or_default()));
        let number = schema::embedded(json!({ "type": "number" }));
        let mut all = vec![self.any_text(), number, yes, no, nothing];
        if depth > 0 {
            let inner = self.any(depth - 1);
            let comma = self.notation.comma();
            all.push(format!("\"[\" ({inner} ({comma} {inner})*)? \"]\""));
            all.push(self.any_object(&inner));
        }
        let rule = self.rules.named(&all.join(" | "));
        self.any.insert(depth, rule.clone());
        rule
    }

    fn any_object(&mut self, inner: &str) -> String {
        let key = match self.notation {
            Notation::Python => format!("{PYTHON_TEXT} /: ?/"),
            Notation::Braces(_) => "/[A-Za-z0-9_\\-]{1,64}:/".to_owned(),
        };
        let comma = self.notation.comma();
        format!("\"{{\" ({key} {inner} ({comma} {key} {inner})*)? \"}}\"")
    }
}
