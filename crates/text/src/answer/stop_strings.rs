//! Stop strings in a stream: finds the first one across the borders of pieces and holds back only what may
//! still become one.
//!
//! Knows nothing of tokens. Matching is by bytes of UTF-8, so what is let through is whole characters.

/// The state of one stream.
#[derive(Clone, Debug)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
    /// The stop string that was found.
    found: Option<usize>,
}

impl StopStrings {
    /// Empty stop strings are left out: they would stop every stream at once.
    pub fn new(stops: impl IntoIterator<Item = String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { stops, held: String::new(), found: None }
    }

    /// Text that is safe to show after this piece. After a stop string was found, nothing more.
    pub fn push(&mut self, piece: &str) -> String {
        if self.found.is_some() {
            return String::new();
        }
        self.held.push_str(piece);
        let first =
            self.stops.iter().enumerate().filter_map(|(index, stop)| Some((self.held.find(stop)?, index)));
        if let Some((at, index)) = first.min() {
            self.found = Some(index);
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let rest = self.held.split_off(self.held.len() - self.possible_prefix());
        std::mem::replace(&mut self.held, rest)
    }

    /// What was held back when the stream ends without a stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// The stop string that ended the stream.
    pub fn found(&self) -> Option<&str> {
        Some(&self.stops[self.found?])
    }

    /// Bytes at the end of `held` that are the beginning of a stop string.
    fn possible_prefix(&self) -> usize {
        let longest = self.stops.iter().map(|stop| stop.len() - 1).max().unwrap_or(0).min(self.held.len());
        let starts =
            (self.held.len() - longest..self.held.len()).filter(|at| self.held.is_char_boundary(*at));
        let mut tails = starts.map(|at| &self.held[at..]);
        tails.find(|tail| self.stops.iter().any(|stop| stop.starts_with(tail))).map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;

    #[test]
    fn only_a_possible_beginning_is_held_back() {
        let mut stops = StopStrings::new(["</s>".into(), "User:".into(), String::new()]);
        let said: Vec<String> =
            ["Hi <", "b> Us", "ual <", "/s> gone"].iter().map(|p| stops.push(p)).collect();
        assert_eq!(said, ["Hi ", "<b> ", "Usual ", ""]);
        assert_eq!(stops.found(), Some("</s>"));
        assert_eq!(stops.finish() + &stops.push("x"), "");
    }

    #[test]
    fn pieces_give_what_the_whole_text_gives() {
        let mut rng = Rng::new(5);
        for _ in 0..2000 {
            let mut word = |n: usize| -> String { (0..n).map(|_| ['a', 'b', 'é'][rng.below(3)]).collect() };
            let (text, stops) = (word(30), vec![word(4), word(3)]);
            let end = stops.iter().filter_map(|stop| text.find(stop.as_str())).min();
            let mut stream = StopStrings::new(stops);
            let mut shown = String::new();
            for letter in text.chars() {
                shown.push_str(&stream.push(letter.encode_utf8(&mut [0; 4])));
            }
            shown.push_str(&stream.finish());
            assert_eq!(shown, text[..end.unwrap_or(text.len())]);
            assert_eq!(stream.found().is_some(), end.is_some());
        }
    }
}
