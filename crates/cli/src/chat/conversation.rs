//! What was said so far. A question stays only with an answer, so that the roles always alternate.

use app::job::Message;

use crate::prompt::message;

/// The turns of a chat.
#[derive(Debug, Default)]
pub struct Conversation {
    pub system: Option<String>,
    turns: Vec<Message>,
    /// The last question, where nothing was answered.
    unanswered: Option<String>,
}

impl Conversation {
    pub fn ask(&mut self, text: &str) {
        self.unanswered = None;
        self.turns.push(message("user", text));
    }

    /// Ends the question with what was said, were it only a beginning.
    pub fn answer(&mut self, text: &str) {
        if text.is_empty() {
            self.unanswered = self.turns.pop().map(|question| question.content);
        } else {
            self.turns.push(message("assistant", text));
        }
    }

    /// Takes back the last question and its answer, to ask it again.
    pub fn take_last(&mut self) -> Option<String> {
        if let Some(question) = self.unanswered.take() {
            return Some(question);
        }
        self.turns.pop()?;
        self.turns.pop().map(|question| question.content)
    }

    /// Forgets what was said, not what the system says.
    pub fn clear(&mut self) {
        self.turns.clear();
        self.unanswered = None;
    }

    /// All messages, the system's first.
    pub fn messages(&self) -> Vec<Message> {
        let system = self.system.as_deref().map(|text| message("system", text));
        system.into_iter().chain(self.turns.iter().cloned()).collect()
    }

    /// How many questions were answered.
    pub fn n_answers(&self) -> usize {
        self.turns.len() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(conversation: &Conversation) -> Vec<String> {
        conversation.messages().iter().map(|m| format!("{}:{}", m.role, m.content)).collect()
    }

    #[test]
    fn roles_alternate_whatever_fails() {
        let mut conversation = Conversation { system: Some("s".into()), ..Default::default() };
        assert_eq!(conversation.take_last(), None);
        conversation.ask("a");
        conversation.answer("A");
        conversation.ask("b");
        conversation.answer("");
        assert_eq!(roles(&conversation), ["system:s", "user:a", "assistant:A"]);
        assert_eq!(conversation.take_last().as_deref(), Some("b"));
        assert_eq!(conversation.take_last().as_deref(), Some("a"));
        assert_eq!(roles(&conversation), ["system:s"]);
        conversation.ask("c");
        conversation.answer("C");
        conversation.clear();
        assert_eq!((conversation.n_answers(), conversation.take_last()), (0, None));
    }
}
