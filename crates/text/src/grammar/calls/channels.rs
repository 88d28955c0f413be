//! Calls in a channel: thinking that may come first, then a head that names the tool, then its arguments as JSON.

use super::{Rules, Tool};
use crate::answer::format::Heads;
use crate::grammar::{lark, schema};

/// A call without what stands before its name.
///
/// # Errors
/// A name that a head cannot have.
pub(super) fn behind(heads: &Heads, tools: &[Tool<'_>], rules: &Rules) -> Result<String, String> {
    let call = |tool: &Tool<'_>| {
        let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
        // What is called `python` is a program there.
        if tool.name == "python" || tool.name.is_empty() || !tool.name.chars().all(is_letter) {
            return Err(format!("the name of the tool {:?} is none in a head", tool.name));
        }
        let (name, ends) = (lark::literal(tool.name), rules.words.terminals(heads.name_ends));
        Ok(format!("{name} {ends} {}", schema::embedded(tool.arguments.clone())))
    };
    let calls = tools.iter().map(call).collect::<Result<Vec<_>, _>>()?;
    // Where what closes a call ends the answer too, the end comes in its place.
    Ok(format!("({}) ({})?", calls.join(" | "), rules.words.terminals(heads.closes)))
}

/// An answer that may think, and calls.
pub(super) fn whole(heads: &Heads, behind: &str, rules: &mut Rules) -> String {
    let thinks = rules.words.terminals(heads.thinking[0]);
    let (ends, next) = (rules.until(heads.thinking[1]), rules.words.terminals(heads.next));
    let opens = rules.words.terminals(heads.name_opens);
    format!("({thinks} {ends} {next})? {opens} {behind}")
}
