//! Pre-tokenizers: how a byte-level vocabulary cuts text into words before merging, one row per known cut.
//!
//! The cuts are published as regular expressions; here they are scanners that look at each letter once, so that
//! no text makes them slow or fail. A test holds every row against its regular expression. Sources: the
//! `tokenizer.json` of the models that the rows are named after.

use std::ops::Range;

use unicode_general_category::{GeneralCategory as Category, get_general_category};

use crate::Error;

/// One known cut. Adding one is a row in [`PRE_TOKENIZERS`].
#[derive(Debug)]
pub(crate) struct PreTokenizer {
    /// Names in `tokenizer.ggml.pre`, the main one first.
    pub names: &'static [&'static str],
    /// Applied in order, each to the pieces of the one before.
    pub stages: &'static [Stage],
    /// Whether a word that is a token is that token, whatever the merges say.
    pub whole_words_first: bool,
    /// Whether prompts begin with the begin token where the file says nothing.
    pub adds_bos: bool,
    /// The same cut as regular expressions, each applied to the pieces of the one before.
    pub regexes: &'static [&'static str],
}

/// One pass over the text.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Cuts all of the text into words as GPT-2 and its heirs do.
    Words(Words),
    /// Makes runs of a class pieces of their own: at least `min` letters, at most `max`.
    Isolate { class: fn(char) -> bool, min: usize, max: usize },
}

/// What differs between GPT-2 and its heirs.
#[derive(Debug)]
pub(crate) struct Words {
    contractions: Case,
    /// What may stand before the letters of a word.
    lead: Lead,
    numbers: Numbers,
    newlines: Newlines,
}

#[derive(Debug, PartialEq)]
enum Case {
    Exact,
    Any,
}

#[derive(Debug)]
enum Lead {
    Space,
    AllButLetterNumberNewline,
}

#[derive(Debug)]
enum Numbers {
    /// A run, with a space before.
    Run,
    /// Groups of at most so many, without a space.
    Groups(usize),
}

#[derive(Debug, PartialEq)]
enum Newlines {
    LikeSpaces,
    /// They end punctuation, and a run of white space is cut after its last one.
    Cut,
}

/// The name of GPT-2's cut, which is also that of an empty name.
pub(crate) const GPT_2_NAME: &str = "gpt-2";

const GPT_2: Stage = Stage::Words(Words {
    contractions: Case::Exact,
    lead: Lead::Space,
    numbers: Numbers::Run,
    newlines: Newlines::LikeSpaces,
});
const GPT_2_REGEX: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

const fn like_llama_3(digits: usize) -> Stage {
    Stage::Words(Words {
        contractions: Case::Any,
        lead: Lead::AllButLetterNumberNewline,
        numbers: Numbers::Groups(digits),
        newlines: Newlines::Cut,
    })
}

/// All known cuts.
pub(crate) static PRE_TOKENIZERS: &[PreTokenizer] = &[
    PreTokenizer {
        names: &[GPT_2_NAME, "gpt2", "phi-2", "olmo", "jina-v2-es", "jina-v2-de", "roberta-bpe"],
        stages: &[GPT_2],
        whole_words_first: false,
        adds_bos: false,
        regexes: &[GPT_2_REGEX],
    },
    PreTokenizer {
        names: &["falcon"],
        stages: &[
            Stage::Isolate { class: is_falcon_punctuation, min: 1, max: usize::MAX },
            GPT_2,
            Stage::Isolate { class: |letter| letter.is_ascii_digit(), min: 3, max: 3 },
        ],
        whole_words_first: false,
        adds_bos: false,
        regexes: &[r"[\p{P}\$\+<=>\^~\|`]+", GPT_2_REGEX, r"[0-9][0-9][0-9]"],
    },
    PreTokenizer {
        names: &["llama-bpe", "llama3", "llama-v3", "smaug-bpe", "falcon3"],
        stages: &[like_llama_3(3)],
        whole_words_first: true,
        adds_bos: true,
        regexes: &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    },
    PreTokenizer {
        names: &["qwen2", "deepseek-r1-qwen", "stablelm2"],
        stages: &[like_llama_3(1)],
        whole_words_first: false,
        adds_bos: false,
        regexes: &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    },
    PreTokenizer {
        names: &["smollm", "starcoder", "refact", "command-r", "codeshell"],
        stages: &[Stage::Isolate { class: is_number, min: 1, max: 1 }, GPT_2],
        whole_words_first: false,
        adds_bos: false,
        regexes: &[r"\p{N}", GPT_2_REGEX],
    },
];

/// The row with this name; an empty name is GPT-2's.
pub(crate) fn find(name: &str) -> Result<&'static PreTokenizer, Error> {
    let wanted = if name.is_empty() { GPT_2_NAME } else { name };
    if let Some(row) = PRE_TOKENIZERS.iter().find(|row| row.names.contains(&wanted)) {
        return Ok(row);
    }
    let short: String = name.chars().take(64).collect();
    let nearest = PRE_TOKENIZERS
        .iter()
        .flat_map(|row| row.names)
        .min_by_key(|known| edit_distance(&short, known))
        .expect("the list has rows");
    Err(Error::UnknownPreTokenizer { name: short, nearest })
}

impl PreTokenizer {
    /// Cuts a text into words; together they are the text.
    pub fn split(&self, text: &str) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        pieces.extend((!text.is_empty()).then_some(0..text.len()));
        for stage in self.stages {
            let mut finer = Vec::with_capacity(pieces.len());
            for piece in pieces {
                stage.split(text, piece, &mut finer);
            }
            pieces = finer;
        }
        pieces
    }
}

impl Stage {
    fn split(&self, text: &str, piece: Range<usize>, out: &mut Vec<Range<usize>>) {
        match self {
            Self::Words(words) => {
                let mut start = piece.start;
                while start < piece.end {
                    let end = start + words.first_length(&text[start..piece.end]);
                    out.push(start..end);
                    start = end;
                }
            }
            Self::Isolate { class, min, max } => isolate(text, piece, class, (*min, *max), out),
        }
    }
}

fn isolate(
    text: &str,
    piece: Range<usize>,
    class: &fn(char) -> bool,
    (min, max): (usize, usize),
    out: &mut Vec<Range<usize>>,
) {
    let (mut gap, mut start) = (piece.start, piece.start);
    while start < piece.end {
        let rest = &text[start..piece.end];
        let (letters, bytes) = run(rest, max, class);
        if letters < min || letters == 0 {
            start += if bytes > 0 { bytes } else { first(rest).len_utf8() };
            continue;
        }
        out.extend((gap < start).then_some(gap..start));
        out.push(start..start + bytes);
        start += bytes;
        gap = start;
    }
    out.extend((gap < piece.end).then_some(gap..piece.end));
}

impl Words {
    /// Bytes of the first word of a text that is not empty; at least one letter.
    fn first_length(&self, text: &str) -> usize {
        self.contraction(text)
            .or_else(|| self.letters(text))
            .or_else(|| self.numbers(text))
            .or_else(|| self.punctuation(text))
            .unwrap_or_else(|| self.spaces(text))
    }

    fn contraction(&self, text: &str) -> Option<usize> {
        let rest = text.strip_prefix('\'')?;
        let fold = |letter: char| match (&self.contractions, letter) {
            (Case::Exact, letter) => letter,
            // The long s folds to s in Unicode's simple case folding.
            (Case::Any, '\u{17F}') => 's',
            (Case::Any, letter) => letter.to_ascii_lowercase(),
        };
        let mut letters = rest.chars();
        let (one, two) = (letters.next()?, letters.next());
        match (fold(one), two.map(fold)) {
            ('s' | 't' | 'm' | 'd', _) => Some(1 + one.len_utf8()),
            ('r' | 'v', Some('e')) | ('l', Some('l')) => Some(1 + one.len_utf8() + two?.len_utf8()),
            _ => None,
        }
    }

    fn letters(&self, text: &str) -> Option<usize> {
        let lead = first(text);
        let may_lead = match self.lead {
            Lead::Space => lead == ' ',
            Lead::AllButLetterNumberNewline => !is_letter(lead) && !is_number(lead) && !is_newline(lead),
        };
        let lead = if may_lead { lead.len_utf8() } else { 0 };
        let (letters, bytes) = run(&text[lead..], usize::MAX, &(is_letter as fn(char) -> bool));
        (letters > 0).then_some(lead + bytes)
    }

    fn numbers(&self, text: &str) -> Option<usize> {
        let (lead, most) = match self.numbers {
            Numbers::Run => (space(text), usize::MAX),
            Numbers::Groups(most) => (0, most),
        };
        let (numbers, bytes) = run(&text[lead..], most, &(is_number as fn(char) -> bool));
        (numbers > 0).then_some(lead + bytes)
    }

    fn punctuation(&self, text: &str) -> Option<usize> {
        let lead = space(text);
        let (marks, bytes) = run(&text[lead..], usize::MAX, &(is_other as fn(char) -> bool));
        if marks == 0 {
            return None;
        }
        let end = lead + bytes;
        Some(match self.newlines {
            Newlines::LikeSpaces => end,
            Newlines::Cut => end + run(&text[end..], usize::MAX, &(is_newline as fn(char) -> bool)).1,
        })
    }

    /// A run of white space leaves its last letter to the word that follows.
    fn spaces(&self, text: &str) -> usize {
        let (letters, bytes) = run(text, usize::MAX, &(char::is_whitespace as fn(char) -> bool));
        let spaces = &text[..bytes];
        if self.newlines == Newlines::Cut
            && let Some(last) = spaces.rfind(is_newline)
        {
            return last + 1;
        }
        let last = spaces.chars().next_back().map_or(0, char::len_utf8);
        if bytes < text.len() && letters > 1 { bytes - last } else { bytes }
    }
}

/// Letters and bytes of the run of a class with which a text begins.
fn run(text: &str, most: usize, class: &fn(char) -> bool) -> (usize, usize) {
    let mut bytes = 0;
    let mut letters = 0;
    for letter in text.chars().take(most).take_while(|letter| class(*letter)) {
        letters += 1;
        bytes += letter.len_utf8();
    }
    (letters, bytes)
}

fn first(text: &str) -> char {
    text.chars().next().expect("callers pass text that is not empty")
}

fn space(text: &str) -> usize {
    usize::from(text.starts_with(' '))
}

fn is_newline(letter: char) -> bool {
    matches!(letter, '\r' | '\n')
}

fn is_letter(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_alphabetic();
    }
    matches!(
        get_general_category(letter),
        Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::ModifierLetter
            | Category::OtherLetter
    )
}

fn is_number(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_digit();
    }
    matches!(
        get_general_category(letter),
        Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber
    )
}

/// Neither white space nor letter nor number.
fn is_other(letter: char) -> bool {
    !letter.is_whitespace() && !is_letter(letter) && !is_number(letter)
}

/// Unicode's punctuation, without symbols.
pub(crate) fn is_punctuation(letter: char) -> bool {
    matches!(
        get_general_category(letter),
        Category::ConnectorPunctuation
            | Category::DashPunctuation
            | Category::OpenPunctuation
            | Category::ClosePunctuation
            | Category::InitialPunctuation
            | Category::FinalPunctuation
            | Category::OtherPunctuation
    )
}

fn is_falcon_punctuation(letter: char) -> bool {
    is_punctuation(letter) || matches!(letter, '$' | '+' | '<' | '=' | '>' | '^' | '~' | '|' | '`')
}

/// Levenshtein's distance in letters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;
    use fancy_regex::Regex;

    /// Splits as the published regular expressions do: matches and the gaps between them are pieces.
    fn split_by_regexes(regexes: &[Regex], text: &str) -> Vec<Range<usize>> {
        let whole = 0..text.len();
        let mut pieces = vec![whole];
        for regex in regexes {
            let mut finer = Vec::new();
            for piece in pieces {
                let (inside, mut gap) = (&text[piece.clone()], 0);
                for found in regex.find_iter(inside).map(|found| found.unwrap()) {
                    finer.push(piece.start + gap..piece.start + found.start());
                    finer.push(piece.start + found.start()..piece.start + found.end());
                    gap = found.end();
                }
                finer.push(piece.start + gap..piece.end);
            }
            pieces = finer.into_iter().filter(|piece| !piece.is_empty()).collect();
        }
        pieces
    }

    fn random_text(rng: &mut Rng) -> String {
        const PARTS: &[&str] = &[
            " ", "  ", "\n", "\r\n", "\t", "\u{A0}", "\u{3000}", "\u{85}", "a", "Ab", "é", "ß", "我", "ა",
            "ǅ", "ʰ", "1", "23", "½", "Ⅷ", "٣", "'s", "'S", "'ſ", "'ll", "'lL", "'Re", "'ve", "'", "!",
            "...", "_", "$", "+", "`", "|", "🦙", "\u{200D}", "\u{FE0F}", "\u{301}", "្", "～", "«", "€",
            "\u{0}", "\u{E000}", "\u{FFFD}",
        ];
        (0..rng.below(24)).map(|_| PARTS[rng.below(PARTS.len())]).collect()
    }

    #[test]
    fn every_row_cuts_as_its_regular_expressions() {
        for row in PRE_TOKENIZERS {
            let regexes: Vec<Regex> = row.regexes.iter().map(|regex| Regex::new(regex).unwrap()).collect();
            let mut rng = Rng::new(11);
            for _ in 0..4000 {
                let text = random_text(&mut rng);
                assert_eq!(row.split(&text), split_by_regexes(&regexes, &text), "{:?}: {text:?}", row.names);
            }
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_the_nearest() {
        let check = |name: &str, near: &str| match find(name) {
            Err(Error::UnknownPreTokenizer { nearest, .. }) => assert_eq!(nearest, near),
            other => panic!("{other:?}"),
        };
        check("qwen-2", "qwen2");
        check("lama-bpe", "llama-bpe");
        check(&"x".repeat(1 << 20), "gpt-2");
        assert_eq!(find("").unwrap().names[0], "gpt-2");
    }
}
