//! From typed lines to entries: what is said to the model, what is an order to the chat.
//!
//! `"""` begins and ends a text of several lines; a backslash at a line's end goes on in the next;
//! `/word` at the beginning is an order. Text that was pasted with line breaks is one entry.

/// Bytes of one entry at most, far beyond any context.
const MAX_ENTRY_BYTES: usize = 4 << 20;
const FENCE: &str = "\"\"\"";

/// What a line led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// More lines are needed.
    Open,
    /// Nothing was said.
    Blank,
    /// Too long; it was dropped.
    TooLong,
    /// Said to the model.
    Said(String),
    /// `/name rest`.
    Order { name: String, rest: String },
}

/// Puts lines together.
#[derive(Debug, Default)]
pub struct Collector {
    text: String,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Fresh,
    /// Until a line without a backslash.
    Continued,
    /// Until a line that ends with the fence.
    Fenced,
}

impl Collector {
    /// What stands before the cursor.
    pub fn prompt(&self) -> &'static str {
        if self.state == State::Fresh { ">>> " } else { "... " }
    }

    /// Takes a line.
    pub fn push(&mut self, line: &str) -> Entry {
        if self.text.len().saturating_add(line.len()) > MAX_ENTRY_BYTES {
            self.abandon();
            return Entry::TooLong;
        }
        match self.state {
            State::Fresh => self.begin(line),
            State::Continued => self.go_on(line),
            State::Fenced => self.until_fence(line),
        }
    }

    /// Drops what is open; says whether anything was.
    pub fn abandon(&mut self) -> bool {
        std::mem::take(self).state != State::Fresh
    }

    fn begin(&mut self, line: &str) -> Entry {
        if let Some(rest) = line.trim_start().strip_prefix(FENCE) {
            self.state = State::Fenced;
            // A fence alone on its line adds no empty line.
            return if rest.is_empty() { Entry::Open } else { self.until_fence(rest) };
        }
        if let Some(order) = line.strip_prefix('/') {
            let (name, rest) = order.split_once(char::is_whitespace).unwrap_or((order, ""));
            return Entry::Order { name: name.to_owned(), rest: rest.trim().to_owned() };
        }
        self.go_on(line)
    }

    fn go_on(&mut self, line: &str) -> Entry {
        if let Some(line) = line.strip_suffix('\\') {
            self.text.push_str(line);
            self.text.push('\n');
            self.state = State::Continued;
            return Entry::Open;
        }
        self.text.push_str(line);
        self.close()
    }

    fn until_fence(&mut self, line: &str) -> Entry {
        if let Some(line) = line.trim_end().strip_suffix(FENCE) {
            self.text.push_str(line);
            if line.is_empty() && self.text.ends_with('\n') {
                self.text.pop();
            }
            return self.close();
        }
        self.text.push_str(line);
        self.text.push('\n');
        Entry::Open
    }

    fn close(&mut self) -> Entry {
        let text = std::mem::take(self).text;
        if text.trim().is_empty() { Entry::Blank } else { Entry::Said(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of all lines, without those that are only open.
    fn entries(lines: &[&str]) -> Vec<Entry> {
        let mut collector = Collector::default();
        lines.iter().map(|line| collector.push(line)).filter(|entry| *entry != Entry::Open).collect()
    }

    fn said(text: &str) -> Vec<Entry> {
        vec![Entry::Said(text.to_owned())]
    }

    fn order(name: &str, rest: &str) -> Vec<Entry> {
        vec![Entry::Order { name: name.to_owned(), rest: rest.to_owned() }]
    }

    #[test]
    fn one_line_and_pasted_lines_are_one_entry() {
        assert_eq!(entries(&["hello"]), said("hello"));
        assert_eq!(entries(&["a\n/b\nc"]), said("a\n/b\nc"));
        assert_eq!(entries(&["", "   "]), [Entry::Blank, Entry::Blank]);
    }

    #[test]
    fn fences_hold_lines_together() {
        assert_eq!(entries(&["\"\"\"", "a", "", "/clear", "\"\"\""]), said("a\n\n/clear"));
        assert_eq!(entries(&["\"\"\"a", "b\"\"\""]), said("a\nb"));
        assert_eq!(entries(&["\"\"\"a\"\"\""]), said("a"));
        assert_eq!(entries(&["\"\"\"a\nb\"\"\""]), said("a\nb"));
        assert_eq!(entries(&["\"\"\"", "\"\"\""]), [Entry::Blank]);
    }

    #[test]
    fn a_backslash_goes_on() {
        assert_eq!(entries(&["a\\", "b\\", "/c"]), said("a\nb\n/c"));
        let mut collector = Collector::default();
        assert_eq!((collector.push("a\\"), collector.prompt()), (Entry::Open, "... "));
        assert!(collector.abandon());
        assert!(!collector.abandon());
        assert_eq!((collector.push("b"), collector.prompt()), (Entry::Said("b".into()), ">>> "));
    }

    #[test]
    fn orders_begin_with_a_slash() {
        assert_eq!(entries(&["/set  temperature 0.5 "]), order("set", "temperature 0.5"));
        assert_eq!(entries(&["/bye"]), order("bye", ""));
        assert_eq!(entries(&[" /etc/passwd is a file"]), said(" /etc/passwd is a file"));
    }

    #[test]
    fn an_entry_is_bounded() {
        let mut collector = Collector::default();
        collector.push("\"\"\"");
        let line = "x".repeat(1 << 20);
        let last = (0..5).map(|_| collector.push(&line)).find(|entry| *entry != Entry::Open);
        assert_eq!(last, Some(Entry::TooLong));
        assert_eq!(collector.push("a"), Entry::Said("a".into()));
    }
}
