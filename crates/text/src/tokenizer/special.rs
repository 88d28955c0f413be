//! Finds the tokens that are matched as whole texts before the algorithm runs.
//!
//! Two kinds: special tokens, which steer the model and count only in trusted text, and added tokens, which are
//! ordinary text and count everywhere. Matching is leftmost, then longest.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::parts::TokenType;

/// A stretch of the text: a token already, or text for the algorithm.
#[derive(Debug, PartialEq)]
pub(crate) enum Stretch {
    Token(u32, Range<usize>),
    Text(Range<usize>),
}

#[derive(Debug)]
pub(crate) struct SpecialTokens {
    automaton: Option<AhoCorasick>,
    /// For each pattern its token and whether it needs trust.
    patterns: Vec<(u32, Needs)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Needs {
    Trust,
    Nothing,
}

impl SpecialTokens {
    pub fn new<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = T>, types: &[TokenType]) -> Self {
        let mut texts = Vec::new();
        let mut patterns = Vec::new();
        for (id, (token, token_type)) in (0u32..).zip(tokens.into_iter().zip(types)) {
            let needs = match token_type {
                TokenType::Control | TokenType::Unknown => Needs::Trust,
                TokenType::UserDefined => Needs::Nothing,
                TokenType::Normal | TokenType::Unused | TokenType::Byte => continue,
            };
            if !token.as_ref().is_empty() {
                texts.push(token);
                patterns.push((id, needs));
            }
        }
        // An automaton over so few short texts can only fail by size; without it text stays text.
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts).ok();
        Self { automaton: automaton.filter(|_| !patterns.is_empty()), patterns }
    }

    /// Cuts a text. `trusted` are the stretches, ascending, in which special tokens count; a special token counts
    /// only if all of it lies inside one of them.
    pub fn cut(&self, text: &str, trusted: &[Range<usize>]) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        let (mut gap, mut from, mut span) = (0, 0, 0);
        while let Some(found) = self.automaton.as_ref().and_then(|all| all.find(&text[from..])) {
            let (start, end) = (from + found.start(), from + found.end());
            let (id, needs) = self.patterns[found.pattern().as_usize()];
            while trusted.get(span).is_some_and(|span| span.end <= start) {
                span += 1;
            }
            let is_trusted = trusted.get(span).is_some_and(|span| span.start <= start && end <= span.end);
            if needs == Needs::Trust && !is_trusted {
                from = text.ceil_char_boundary(start + 1);
                continue;
            }
            stretches.extend((gap < start).then_some(Stretch::Text(gap..start)));
            stretches.push(Stretch::Token(id, start..end));
            (gap, from) = (end, end);
        }
        stretches.extend((gap < text.len()).then_some(Stretch::Text(gap..text.len())));
        stretches
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one trusted stretch is meant")]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_count_only_in_trusted_text() {
        let tokens = ["<s>", "<s>>", "tab", "x"].map(String::from);
        let types = [TokenType::Control, TokenType::Control, TokenType::UserDefined, TokenType::Normal];
        let matcher = SpecialTokens::new(&tokens, &types);
        let check = |text: &str, trusted: &[Range<usize>], expected: &[Stretch]| {
            assert_eq!(matcher.cut(text, trusted), expected, "{text:?} {trusted:?}");
        };
        use Stretch::{Text, Token};
        check("", &[], &[]);
        check("a<s>b", &[0..5], &[Text(0..1), Token(0, 1..4), Text(4..5)]);
        check("a<s>b", &[], &[Text(0..5)]);
        check("<s>>tab", &[0..7], &[Token(1, 0..4), Token(2, 4..7)]);
        check("<s>tab<s>", &[6..9], &[Text(0..3), Token(2, 3..6), Token(0, 6..9)]);
        // Half trusted is not trusted, whichever half.
        check("<s>", &[0..2], &[Text(0..3)]);
        check("<s>", &[1..3], &[Text(0..3)]);
        check("<s>", &[0..2, 2..3], &[Text(0..3)]);
    }
}
