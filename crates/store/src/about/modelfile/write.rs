//! From the value to the text of a Modelfile, which reads back as the same value.
//!
//! Does not: leave anything out in silence. A parameter that the format cannot say becomes a comment.

use super::read::is_end;
use super::{Modelfile, ModelfileProblem as Problem};
use crate::{Error, Result};

impl Modelfile {
    /// The text of this Modelfile.
    ///
    /// # Errors
    /// [`Error::BadModelfile`] for a text that the format cannot hold: it knows no escaping.
    pub fn to_text(&self) -> Result<String> {
        let mut lines = Vec::new();
        let single = |text: &Option<String>| text.iter().cloned().collect::<Vec<_>>();
        for (instruction, values) in [
            ("FROM", self.from.clone()),
            ("ADAPTER", self.adapters.clone()),
            ("DRAFT", self.drafts.clone()),
            ("REQUIRES", single(&self.requires)),
            ("RENDERER", single(&self.renderer)),
            ("PARSER", single(&self.parser)),
            ("TEMPLATE", single(&self.template)),
            ("SYSTEM", single(&self.system)),
        ] {
            for value in values {
                lines.push(format!("{instruction} {}", quoted(instruction, &value)?));
            }
        }
        let (sayable, unsayable) = self.parameters.lines();
        for (key, value) in sayable {
            lines.push(format!("PARAMETER {key} {}", quoted("PARAMETER", &value)?));
        }
        for (key, value) in unsayable {
            // As JSON, so that neither the name nor the value can end the comment's line.
            lines.push(format!("# no line of a Modelfile says {}: {value}", serde_json::Value::from(key)));
        }
        for message in &self.messages {
            let content = quoted("MESSAGE", &message.content)?;
            lines.push(format!("MESSAGE {} {content}", message.role.word()));
        }
        for license in &self.licenses {
            lines.push(format!("LICENSE {}", quoted("LICENSE", license)?));
        }
        lines.push(String::new());
        Ok(lines.join("\n"))
    }
}

/// A value as it can stand in a Modelfile: bare where that says the same, else between as few quotes as hold it.
fn quoted(instruction: &'static str, text: &str) -> Result<String> {
    let is_bare = !text.is_empty() && text.trim() == text && !text.starts_with('"') && !text.contains(is_end);
    if is_bare {
        return Ok(text.to_owned());
    }
    // No line but the last may end with the quotes, or the text would end there.
    let before_last = text.rsplit_once(is_end).map_or("", |(before, _)| before);
    let fits = |quote: &str| !before_last.split(is_end).any(|line| line.trim_end().ends_with(quote));
    let short = format!("\"{text}\"");
    if fits("\"") && !short.starts_with("\"\"\"") {
        return Ok(short);
    }
    if fits("\"\"\"") {
        return Ok(format!("\"\"\"{text}\"\"\""));
    }
    Err(Error::BadModelfile { line: None, problem: Problem::NotWritable { instruction } })
}
