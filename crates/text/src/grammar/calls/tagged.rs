//! Calls whose arguments stand between tags, one by one: texts as they are, everything else as JSON.

use serde_json::{Map, Value as Json};

use super::{LAYOUT, Rules, Tool, listed};
use crate::answer::format::{Tagged, Typing};
use crate::grammar::{lark, schema};

/// What a call of a tool is.
///
/// # Errors
/// What of its schema cannot stand between tags.
pub(super) fn call(tagged: &Tagged, tool: &Tool<'_>, rules: &mut Rules) -> Result<String, String> {
    if tool.name.contains(['<', '{', '"', '\n', '>']) {
        return Err(format!("the name of the tool {:?} cannot stand between tags", tool.name));
    }
    let properties = listed(tool)?;
    let mut parts =
        vec![rules.words.terminals(tagged.name_opens), lark::literal(tool.name), name_ends(tagged, rules)];
    for (key, property, is_required) in properties {
        if key.contains(['<', '>', '"', '\n']) || key.trim() != key {
            return Err(format!("the name of the argument {key:?} cannot stand between tags"));
        }
        let argument = argument(tagged, key, property, &tool.arguments, rules)?;
        let often = if is_required { "" } else { "?" };
        parts.push(format!("({argument}){often}"));
    }
    parts.extend([LAYOUT.to_owned(), rules.words.terminals(tagged.ends)]);
    Ok(parts.join(" "))
}

/// What stands behind the name: nothing but the end of a line, where the next tag ends it too.
fn name_ends(tagged: &Tagged, rules: &Rules) -> String {
    match tagged.name_ends.contains(&tagged.key[0]) {
        true => String::new(),
        false => tagged.name_ends.first().map_or_else(String::new, |end| rules.words.terminals(end)),
    }
}

/// An argument, with the white space before it.
fn argument(
    tagged: &Tagged,
    key: &str,
    property: &Json,
    root: &Json,
    rules: &mut Rules,
) -> Result<String, String> {
    let is_text = property.get("type").and_then(Json::as_str) == Some("string");
    let opens = |typing: Typing| {
        let fits = |(_, found): &&(&str, Typing)| *found == typing || *found == Typing::Schema;
        tagged.value_opens.iter().find(fits).map(|(text, _)| *text)
    };
    let opens = match tagged.value_opens {
        [] => String::new(),
        _ => {
            let opens = opens(if is_text { Typing::Text } else { Typing::Json });
            let opens = opens.ok_or_else(|| format!("the argument {key:?} has no opening of its kind"))?;
            format!("{LAYOUT} {}", rules.words.terminals(opens))
        }
    };
    let value =
        if is_text { text(tagged, key, property, rules)? } else { json(tagged, property, root, rules) };
    let [before, behind] = tagged.key.map(|text| rules.words.terminals(text));
    let key = lark::literal(key);
    let padding = if tagged.padding.is_empty() { String::new() } else { lark::literal(tagged.padding) };
    Ok(format!("{LAYOUT} {before} {key} {behind} {opens} {padding} {value}"))
}

/// Keys that say something about a text.
const OF_TEXTS: &[&str] = &["pattern", "format", "minLength", "maxLength", "allOf", "anyOf", "oneOf", "$ref"];

/// A text up to and with what ends it.
fn text(tagged: &Tagged, key: &str, property: &Json, rules: &mut Rules) -> Result<String, String> {
    if let Some(wish) = OF_TEXTS.iter().find(|wish| property.get(**wish).is_some()) {
        return Err(format!("{wish:?} of the argument {key:?} cannot be held to between tags"));
    }
    let only = match (property.get("const"), property.get("enum").and_then(Json::as_array)) {
        (Some(one), _) => vec![one],
        (None, Some(some)) => some.iter().collect(),
        (None, None) => return Ok(rules.until(tagged.value_ends)),
    };
    let texts = only.into_iter().filter_map(Json::as_str).filter(|text| is_kept(tagged, text));
    let texts: Vec<String> = texts.map(lark::literal).collect();
    if texts.is_empty() {
        return Err(format!("no value of the argument {key:?} can stand between tags"));
    }
    Ok(format!("({}) {}", texts.join(" | "), ends(tagged, rules)))
}

/// Whether a text comes back as it is.
fn is_kept(tagged: &Tagged, text: &str) -> bool {
    !text.contains(tagged.value_ends) && (tagged.padding.is_empty() || !text.ends_with(tagged.padding))
}

/// Any value but a text, as JSON; texts of a list as they are too, where nobody could take them for JSON.
fn json(tagged: &Tagged, property: &Json, root: &Json, rules: &mut Rules) -> String {
    let bare = property.get("enum").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_free = |text: &&str| {
        is_kept(tagged, text) && !text.is_empty() && serde_json::from_str::<Json>(text.trim()).is_err()
    };
    let is_schema_typed = tagged.value_opens.iter().all(|(_, typing)| *typing == Typing::Schema);
    let bare = bare.iter().filter_map(Json::as_str).filter(|text| is_schema_typed && is_free(text));
    let mut values: Vec<String> = bare.map(lark::literal).collect();
    values.push(schema::embedded(with_definitions(property, root)));
    format!("({}) {}", values.join(" | "), ends(tagged, rules))
}

fn ends(tagged: &Tagged, rules: &Rules) -> String {
    let padding = if tagged.padding.is_empty() {
        String::new()
    } else {
        format!("({})?", lark::literal(tagged.padding))
    };
    format!("{padding} {}", rules.words.terminals(tagged.value_ends))
}

/// A part of a schema with the definitions that its references lead to.
pub(super) fn with_definitions(part: &Json, root: &Json) -> Json {
    let mut keys = match part {
        Json::Object(keys) => keys.clone(),
        _ => Map::new(),
    };
    for name in ["$defs", "definitions"] {
        if let (Some(all), false) = (root.get(name), keys.contains_key(name)) {
            keys.insert(name.to_owned(), all.clone());
        }
    }
    Json::Object(keys)
}
