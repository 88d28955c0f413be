//! What both programs are asked: prompts from a file of texts, spread evenly over it.
//!
//! A plain file is cut into stretches of a few words. A `.jsonl` file has a `{"text": …}` or a `{"messages": […]}` on
//! each line: of a text its first words are continued; a conversation is put to the model through its chat template,
//! which Hearth fills in.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use starter_words::conversation::Message;
use std::path::Path;

/// Words of a text to continue, by turns.
const WORDS: [usize; 5] = [4, 9, 14, 20, 30];

/// One prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A text to be continued as it is.
    Plain(String),
    /// What a person says, and what the model is told before.
    Chat { system: Option<String>, user: String },
}

/// A line of a `.jsonl` file; what else stands in it is nothing to us.
#[derive(Deserialize)]
struct Line {
    text: Option<String>,
    messages: Option<Vec<Message>>,
}

/// Reads `n` prompts from a file.
pub fn read(path: &Path, n: usize) -> Result<Vec<Ask>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    if path.extension().is_some_and(|ending| ending == "jsonl") {
        return lines(&text, n).with_context(|| path.display().to_string());
    }
    Ok(stretches(&text, n).into_iter().map(Ask::Plain).collect())
}

/// Stretches of a text, evenly spread over it.
fn stretches(text: &str, n: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let stretch = |at: usize| {
        let length = WORDS[at % WORDS.len()].min(words.len());
        let from = (words.len() - length) * at / n;
        words[from..from + length].join(" ")
    };
    (0..n).map(stretch).collect()
}

/// Lines, evenly spread over the file: where it has fewer, all of them.
fn lines(text: &str, n: usize) -> Result<Vec<Ask>> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    ensure!(!lines.is_empty(), "there is no line");
    let n = n.min(lines.len());
    (0..n).map(|at| ask(lines[lines.len() * at / n], at)).collect()
}

fn ask(line: &str, at: usize) -> Result<Ask> {
    let shown = || line.chars().take(80).collect::<String>();
    let read: Line = serde_json::from_str(line).with_context(shown)?;
    if let Some(text) = read.text {
        let words: Vec<&str> = text.split_whitespace().take(WORDS[at % WORDS.len()]).collect();
        return Ok(Ask::Plain(words.join(" ")));
    }
    let messages = read.messages.with_context(|| format!("neither text nor messages: {}", shown()))?;
    // What came after the first question is answered by the model itself.
    let (system, rest) = match &messages[..] {
        [first, rest @ ..] if first.role == "system" => (Some(first.content.clone()), rest),
        all => (None, all),
    };
    let user = rest.first().filter(|message| message.role == "user");
    let user = user.with_context(|| format!("no question of a person begins it: {}", shown()))?;
    Ok(Ask::Chat { system, user: user.content.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_spread_over_the_text() {
        let text: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let found = stretches(&text.join(" "), 10);
        assert_eq!(found.len(), 10);
        assert!(found[0].starts_with("0 1 2") && found[9].starts_with("87"), "{found:?}");
        assert_eq!(stretches("one two", 3), ["one two"; 3]);
    }

    #[test]
    fn lines_are_texts_or_conversations_of_every_part_of_the_file() {
        let mut file = String::from("{\"text\":\"a b c d e f g h i j k\"}\n\n");
        for n in 0..6 {
            let system = if n == 0 { "{\"role\":\"system\",\"content\":\"S\"}," } else { "" };
            file.push_str(&format!(
                "{{\"kind\":\"x\",\"messages\":[{system}{{\"role\":\"user\",\"content\":\"{n}\"}}]}}\n"
            ));
        }
        let chat = |system: Option<&str>, user: &str| Ask::Chat {
            system: system.map(str::to_owned),
            user: user.to_owned(),
        };
        let expected =
            vec![Ask::Plain("a b c d".into()), chat(Some("S"), "0"), chat(None, "2"), chat(None, "4")];
        let mut found = lines(&file, 4).unwrap();
        // Of seven lines the first, the second, the fourth and the sixth.
        assert_eq!(found.len(), 4);
        assert_eq!(found, expected);
        found = lines(&file, 100).unwrap();
        assert_eq!((found.len(), &found[6]), (7, &chat(None, "5")));
    }

    #[test]
    fn a_line_that_asks_nothing_is_refused() {
        for line in
            ["", "{}", "[]", "{\"messages\":[]}", "{\"messages\":[{\"role\":\"tool\",\"content\":\"\"}]}"]
        {
            assert!(lines(line, 3).is_err(), "{line}");
        }
    }
}
