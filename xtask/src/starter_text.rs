//! The text that the starter model learns from: conversations and short plain texts, written by this program.
//!
//! Is not a corpus: nothing is read, nothing is copied, every sentence follows from the seed and the templates in
//! the files beside this one. The same seed gives the same text on every machine. The questions that test the
//! model are another program's (`xtask/held-out`), whose phrasings nothing here can name.

mod chat;
mod copies;
mod greetings;
mod hearth;
mod home;
mod identity;
mod knowledge;
mod manner;
mod stories;
mod sums;
mod unknown;
mod write;

use base::Rng;
use serde_json::{Value, json};
use starter_words::conversation::Message;

pub use stories::held_out as held_out_story;
pub use write::run;

/// One text to learn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// A conversation.
    Chat(Vec<Message>),
    /// A text without roles, for plain completion.
    Plain(String),
}

impl Document {
    /// A conversation of questions and answers.
    fn exchanges(exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        Self::Chat(exchanges.into_iter().flat_map(Exchange::messages).collect())
    }

    /// The line of a `.jsonl` file: `{"messages": […]}` or `{"text": "…"}`.
    fn json(&self) -> Value {
        match self {
            Self::Chat(messages) => json!({ "messages": messages }),
            Self::Plain(text) => json!({ "text": text }),
        }
    }
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exchange {
    user: String,
    assistant: String,
}

impl Exchange {
    fn new(user: impl Into<String>, assistant: impl Into<String>) -> Self {
        Self { user: user.into(), assistant: assistant.into() }
    }

    fn messages(self) -> [Message; 2] {
        [Message::user(self.user), Message::assistant(self.assistant)]
    }
}

/// Writes one document.
type Writer = fn(&mut Rng) -> Document;

/// A subject: the name of its files, and of each part how many of a hundred documents are about it and how one is written.
struct Topic {
    name: &'static str,
    percent: [usize; N_PARTS],
    documents: [Writer; N_PARTS],
}

impl Topic {
    /// One that is the same in each part.
    const fn new(name: &'static str, percent: [usize; N_PARTS], document: Writer) -> Self {
        Self { name, percent, documents: [document; N_PARTS] }
    }
}

/// Parts of the training: a model goes on with the second that learned the first.
const N_PARTS: usize = 5;

/// The mixtures. What matters for learning is the share of tokens in answers, which the chore reports: of the first
/// part a third are sums, because a sum has to be seen often and its result is two digits long. The second is for what
/// comes last, whether a home has the tool that is needed; it makes a model refuse too often, and forget a little. The
/// third takes both back. The fourth and the fifth are
/// for commands and flags that came after a model was trained.
static TOPICS: &[Topic] = &[
    Topic::new("stories", [17, 8, 14, 8, 13], stories::document),
    Topic::new("sums", [34, 24, 27, 16, 14], sums::document),
    Topic {
        name: "home",
        percent: [15, 55, 28, 15, 13],
        documents: [
            home::document,
            home::which_tool,
            home::mostly_covered,
            home::mostly_covered,
            home::mostly_covered,
        ],
    },
    Topic::new("hearth", [19, 9, 19, 53, 52], hearth::document),
    Topic::new("chat", [7, 2, 9, 6, 5], chat::document),
    Topic::new("copies", [8, 2, 3, 2, 3], copies::document),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Documents of all topics, in turn.
    fn documents(seed: u64, n: usize) -> Vec<Document> {
        let mut rng = Rng::new(seed);
        let writers = TOPICS.iter().flat_map(|topic| topic.documents);
        writers.cycle().take(n).map(|document| document(&mut rng)).collect()
    }

    fn texts(document: &Document) -> Vec<&str> {
        match document {
            Document::Plain(text) => vec![text],
            Document::Chat(messages) => messages.iter().map(|message| message.content.as_str()).collect(),
        }
    }

    #[test]
    fn a_seed_gives_one_text_for_ever() {
        assert_eq!(documents(1, 200), documents(1, 200));
        assert_ne!(documents(1, 200), documents(2, 200));
        for part in 0..N_PARTS {
            assert_eq!(TOPICS.iter().map(|topic| topic.percent[part]).sum::<usize>(), 100);
        }
    }

    #[test]
    fn documents_are_hardly_ever_the_same() {
        let found = documents(3, 5000);
        let lines: BTreeSet<String> = found.iter().map(|document| document.json().to_string()).collect();
        assert!(lines.len() > 4600, "{} of 5000 documents differ", lines.len());
    }

    #[test]
    fn no_mark_of_a_template_is_left_and_every_answer_says_something() {
        for document in documents(4, 3000) {
            for text in texts(&document) {
                let is_json = text.contains("\": ") || text.contains("{\"role\"");
                let is_clean = is_json || !text.contains(['{', '}', '|', '@']);
                assert!(
                    is_clean && !text.contains("  ") && text.trim() == text && !text.is_empty(),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn a_conversation_has_turns_in_order_and_ends_with_an_answer() {
        for document in documents(5, 2000) {
            let Document::Chat(messages) = document else { continue };
            let roles: Vec<&str> = messages.iter().map(|message| message.role.as_str()).collect();
            let follows = |pair: &[&str]| {
                matches!(
                    (pair[0], pair[1]),
                    ("system" | "assistant", "user") | ("user" | "tool", "assistant") | ("assistant", "tool")
                )
            };
            assert!(roles.windows(2).all(follows), "{roles:?}");
            assert_eq!(roles.last(), Some(&"assistant"));
        }
    }
}
