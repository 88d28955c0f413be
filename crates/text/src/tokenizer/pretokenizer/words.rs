//! The scanner of words: the cut of GPT-2 and of those that came after it, as a list of choices.
//!
//! Each choice is one alternative of the published regular expression, tried in this order: what comes first, a
//! contraction, letters, numbers, punctuation, white space. Every alternative looks at a letter a fixed number of times.

use super::letters::{
    is_han, is_letter, is_letter_or_mark, is_mark, is_newline, is_newline_or_slash, is_not_capital,
    is_not_capital_nor_han, is_not_small, is_not_small_nor_han, is_number, is_other, is_other_than_mark,
    is_punctuation_or_symbol, run, run_bytes,
};

/// What differs between GPT-2 and its heirs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub before: Before,
    pub contractions: Contractions,
    pub lead: Lead,
    pub letters: Letters,
    pub numbers: Numbers,
    pub punctuation: Punctuation,
    pub tail: Tail,
    pub spaces: Spaces,
}

/// An alternative that stands before all others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Before {
    Nothing,
    /// A run of Han letters.
    Han,
    /// A punctuation mark of ASCII with the letters of ASCII that follow it.
    MarkAndLetters,
}

/// Where `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` and `'d` are cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Contractions {
    Nowhere,
    /// Words of their own, in small letters.
    Small,
    /// Words of their own, in letters of any case.
    AnyCase,
    /// They end the word before them, in letters of any case.
    EndWords,
}

/// What may stand before the letters of a word.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lead {
    Space,
    AllButLetterNumberNewline,
    AllButLetterPunctuationNewline,
}

/// What the letters of a word are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Letters {
    Plain,
    WithMarks,
    /// Letters that are not small, then letters that are not capital.
    MixedCase,
    /// The same without Han letters.
    MixedCaseNotHan,
    /// Letters with their marks, and single spaces between them.
    WithSpaces,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers {
    /// They are no words: an earlier stage took them.
    Nowhere,
    /// A run, with a space before.
    Run,
    /// Groups of at most so many, without a space.
    Groups(usize),
}

/// Which letters punctuation is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Punctuation {
    Other,
    OtherThanMarks,
    MarksAndSymbols,
}

/// What ends a run of punctuation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tail {
    Nothing,
    Newlines,
    NewlinesAndSlashes,
    OneNewlineOrSlash,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Spaces {
    /// A new line is white space like any other.
    Alike,
    /// A run is cut after its last new line.
    CutAfterNewline,
}

impl Words {
    /// Bytes of the first word of a text that is not empty; 0 where no word begins.
    pub fn first_length(&self, text: &str) -> usize {
        self.before(text)
            .or_else(|| self.contraction(text))
            .or_else(|| self.letters(text))
            .or_else(|| self.numbers(text))
            .or_else(|| self.punctuation(text))
            .unwrap_or_else(|| self.spaces(text))
    }

    fn before(&self, text: &str) -> Option<usize> {
        let bytes = match self.before {
            Before::Nothing => 0,
            Before::Han => run_bytes(text, is_han),
            Before::MarkAndLetters if first(text).is_ascii_punctuation() => {
                let letters = run_bytes(&text[1..], |letter| letter.is_ascii_alphabetic());
                if letters > 0 { 1 + letters } else { 0 }
            }
            Before::MarkAndLetters => 0,
        };
        (bytes > 0).then_some(bytes)
    }

    fn contraction(&self, text: &str) -> Option<usize> {
        match self.contractions {
            Contractions::Small => contraction(text, |letter| letter),
            Contractions::AnyCase => contraction(text, small),
            Contractions::Nowhere | Contractions::EndWords => None,
        }
    }

    fn letters(&self, text: &str) -> Option<usize> {
        let lead = first(text);
        let may_lead = match self.lead {
            Lead::Space => lead == ' ',
            Lead::AllButLetterNumberNewline => !is_letter(lead) && !is_number(lead) && !is_newline(lead),
            Lead::AllButLetterPunctuationNewline => {
                !is_letter(lead) && !is_punctuation_or_symbol(lead) && !is_newline(lead)
            }
        };
        let lead = if may_lead { lead.len_utf8() } else { 0 };
        let end = self.word(text, lead)?;
        let tail = match self.contractions {
            Contractions::EndWords => contraction(&text[end..], small).unwrap_or(0),
            Contractions::Nowhere | Contractions::Small | Contractions::AnyCase => 0,
        };
        Some(end + tail)
    }

    /// Where the letters of a word end that begin after its lead, or in its place.
    fn word(&self, text: &str, lead: usize) -> Option<usize> {
        let starts = [lead, 0];
        let starts = if lead > 0 { &starts[..] } else { &starts[1..] };
        let mut alternatives = starts.iter().map(|start| (*start, &text[*start..]));
        let run_of = |class: fn(char) -> bool| {
            move |(start, rest): (usize, &str)| {
                let bytes = run_bytes(rest, class);
                (bytes > 0).then_some(start + bytes)
            }
        };
        match self.letters {
            Letters::Plain => alternatives.find_map(run_of(is_letter)),
            Letters::WithMarks => alternatives.find_map(run_of(is_letter_or_mark)),
            Letters::WithSpaces => alternatives.find_map(|(start, rest)| Some(start + with_spaces(rest)?)),
            Letters::MixedCase => mixed_case(text, starts, is_not_small, is_not_capital),
            Letters::MixedCaseNotHan => {
                mixed_case(text, starts, is_not_small_nor_han, is_not_capital_nor_han)
            }
        }
    }

    fn numbers(&self, text: &str) -> Option<usize> {
        let (lead, most) = match self.numbers {
            Numbers::Nowhere => return None,
            Numbers::Run => (space(text), usize::MAX),
            Numbers::Groups(most) => (0, most),
        };
        let (numbers, bytes) = run(&text[lead..], most, is_number);
        (numbers > 0).then_some(lead + bytes)
    }

    fn punctuation(&self, text: &str) -> Option<usize> {
        let class = match self.punctuation {
            Punctuation::Other => is_other,
            Punctuation::OtherThanMarks => is_other_than_mark,
            Punctuation::MarksAndSymbols => is_punctuation_or_symbol,
        };
        let lead = space(text);
        let bytes = run_bytes(&text[lead..], class);
        if bytes == 0 {
            return None;
        }
        let end = lead + bytes;
        let rest = &text[end..];
        Some(match self.tail {
            Tail::Nothing => end,
            Tail::Newlines => end + run_bytes(rest, is_newline),
            Tail::NewlinesAndSlashes => end + run_bytes(rest, is_newline_or_slash),
            Tail::OneNewlineOrSlash => end + run(rest, 1, is_newline_or_slash).1,
        })
    }

    /// A run of white space leaves its last letter to the word that follows.
    fn spaces(&self, text: &str) -> usize {
        let (letters, bytes) = run(text, usize::MAX, char::is_whitespace);
        let spaces = &text[..bytes];
        if self.spaces == Spaces::CutAfterNewline
            && let Some(last) = spaces.rfind(is_newline)
        {
            return last + 1;
        }
        let last = spaces.chars().next_back().map_or(0, char::len_utf8);
        if bytes < text.len() && letters > 1 { bytes - last } else { bytes }
    }
}

/// Letters that are not small and then at least one that is not capital; else at least one that is not small and then
/// any that are not capital. Each is tried from every start.
fn mixed_case(
    text: &str,
    starts: &[usize],
    not_small: fn(char) -> bool,
    not_capital: fn(char) -> bool,
) -> Option<usize> {
    let ends_small = |start: &usize| {
        let turn = start + run_bytes(&text[*start..], not_small);
        let tail = run_bytes(&text[turn..], not_capital);
        if tail > 0 {
            return Some(turn + tail);
        }
        // Of the first run, the last letter that also counts as not capital ends the word.
        let mut head = text[*start..turn].char_indices().rev();
        head.find(|(_, letter)| not_capital(*letter)).map(|(at, letter)| start + at + letter.len_utf8())
    };
    let begins_capital = |start: &usize| {
        let head = run_bytes(&text[*start..], not_small);
        (head > 0).then(|| start + head + run_bytes(&text[start + head..], not_capital))
    };
    starts.iter().find_map(ends_small).or_else(|| starts.iter().find_map(begins_capital))
}

/// Bytes of letters, each with its marks, with at most one space before each but the first.
fn with_spaces(text: &str) -> Option<usize> {
    let letter = |rest: &str| {
        let letter = rest.chars().next().filter(|letter| is_letter(*letter))?.len_utf8();
        Some(letter + run_bytes(&rest[letter..], is_mark))
    };
    let mut end = letter(text)?;
    loop {
        let gap = space(&text[end..]);
        let Some(more) = letter(&text[end + gap..]) else { return Some(end) };
        end += gap + more;
    }
}

/// Bytes of a contraction with which a text begins, its letters compared after `fold`.
fn contraction(text: &str, fold: fn(char) -> char) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let mut letters = rest.chars();
    let (one, two) = (letters.next()?, letters.next());
    match (fold(one), two.map(fold)) {
        ('s' | 't' | 'm' | 'd', _) => Some(1 + one.len_utf8()),
        ('r' | 'v', Some('e')) | ('l', Some('l')) => Some(1 + one.len_utf8() + two?.len_utf8()),
        _ => None,
    }
}

fn small(letter: char) -> char {
    match letter {
        // The long s folds to s in Unicode's simple case folding.
        '\u{17F}' => 's',
        letter => letter.to_ascii_lowercase(),
    }
}

fn first(text: &str) -> char {
    text.chars().next().expect("callers pass text that is not empty")
}

fn space(text: &str) -> usize {
    usize::from(text.starts_with(' '))
}
