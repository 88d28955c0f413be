//! The known cuts, each as scanners and as the regular expressions that were published.
//!
//! Which names stand for which cut is said in `pretokenizer`. Sources: the `tokenizer.json` of the models that the cuts
//! are named after; for Kimi K2 the pattern in its tokenizer's own code.

use super::letters::{
    is_asian, is_chinese_or_kana, is_deepseek_letter, is_deepseek_punctuation, is_digit, is_letter,
    is_newline, is_number, is_punctuation, is_word, run, run_bytes,
};
use super::words::{Before, Contractions, Lead, Letters, Numbers, Punctuation, Spaces, Tail, Words};

/// One way to cut a text into words.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Applied in order, each to the pieces of the one before.
    pub stages: &'static [Stage],
    /// The same as regular expressions, each applied to the pieces of the one before: what matches is a piece, and so
    /// is each gap.
    pub regexes: &'static [&'static str],
}

/// One pass over the text.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Words as GPT-2 and its heirs cut them.
    Words(Words),
    /// Bytes of the piece with which a text begins; 0 where none does.
    Find(fn(&str) -> usize),
    /// Where a whole piece is cut.
    Places(fn(&str) -> Vec<usize>),
}

const GPT_2_WORDS: Stage = Stage::Words(Words {
    before: Before::Nothing,
    contractions: Contractions::Small,
    lead: Lead::Space,
    letters: Letters::Plain,
    numbers: Numbers::Run,
    punctuation: Punctuation::Other,
    tail: Tail::Nothing,
    spaces: Spaces::Alike,
});
const GPT_2_REGEX: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

const LLAMA_3_WORDS: Words = Words {
    before: Before::Nothing,
    contractions: Contractions::AnyCase,
    lead: Lead::AllButLetterNumberNewline,
    letters: Letters::Plain,
    numbers: Numbers::Groups(3),
    punctuation: Punctuation::Other,
    tail: Tail::Newlines,
    spaces: Spaces::CutAfterNewline,
};
const QWEN_2_WORDS: Words = Words { numbers: Numbers::Groups(1), ..LLAMA_3_WORDS };
const QWEN_2_REGEX: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const GPT_4O_WORDS: Words = Words {
    contractions: Contractions::EndWords,
    letters: Letters::MixedCase,
    tail: Tail::NewlinesAndSlashes,
    ..LLAMA_3_WORDS
};
const GPT_4O_REGEX: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const LINES: Stage = Stage::Places(at_lines);
const LINES_REGEX: &str = r"[^\n]+|[\n]+";
const NUMBERS_BY_ONE: Stage = Stage::Find(|text| run(text, 1, is_number).1);
const NUMBERS_BY_THREE: Stage = Stage::Find(|text| run(text, 3, is_number).1);
const NUMBERS: Stage = Stage::Find(|text| run_bytes(text, is_number));
const THREE_DIGITS: Stage = Stage::Find(|text| match run(text, 3, |letter| letter.is_ascii_digit()) {
    (3, bytes) => bytes,
    _ => 0,
});
const NEWLINE: Stage = Stage::Find(|text| run(text, 1, is_newline).1);
const ASIAN: Stage = Stage::Find(|text| run_bytes(text, is_asian));
const ASIAN_REGEX: &str = "[一-龥ࠀ-一가-퟿]+";
const CHINESE_OR_KANA: Stage = Stage::Find(|text| run_bytes(text, is_chinese_or_kana));
const CHINESE_OR_KANA_REGEX: &str = r"[一-龥\u{3040}-ゟ゠-ヿ]+";
const SENTENCE: Stage = Stage::Find(|text| after(text, |lead| lead == ' ', is_in_sentence));
const SENTENCE_REGEX: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

pub(super) static GPT_2: Cut = Cut { stages: &[GPT_2_WORDS], regexes: &[GPT_2_REGEX] };

/// What llama.cpp takes where a file names no cut.
pub(super) static DEFAULT: Cut = Cut {
    stages: &[
        Stage::Find(|text| run_bytes(text, |letter| letter != '`' && is_falcon_punctuation(letter))),
        GPT_2_WORDS,
        NUMBERS,
        THREE_DIGITS,
    ],
    regexes: &[r"[\p{P}\$\+<=>\^~\|]+", GPT_2_REGEX, r"\p{N}+", "[0-9][0-9][0-9]"],
};

pub(super) static FALCON: Cut = Cut {
    stages: &[Stage::Find(|text| run_bytes(text, is_falcon_punctuation)), GPT_2_WORDS, THREE_DIGITS],
    regexes: &[r"[\p{P}\$\+<=>\^~\|`]+", GPT_2_REGEX, "[0-9][0-9][0-9]"],
};

pub(super) static STARCODER: Cut =
    Cut { stages: &[NUMBERS_BY_ONE, GPT_2_WORDS], regexes: &[r"\p{N}", GPT_2_REGEX] };

pub(super) static LLAMA_3: Cut = Cut {
    stages: &[Stage::Words(LLAMA_3_WORDS)],
    regexes: &[
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
};

pub(super) static MINICPM_5: Cut = Cut {
    stages: &[
        NUMBERS_BY_THREE,
        Stage::Words(Words { numbers: Numbers::Groups(usize::MAX), ..LLAMA_3_WORDS }),
    ],
    regexes: &[
        r"\p{N}{1,3}",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
};

pub(super) static QWEN_2: Cut = Cut { stages: &[Stage::Words(QWEN_2_WORDS)], regexes: &[QWEN_2_REGEX] };

pub(super) static QWEN_35: Cut = Cut {
    stages: &[Stage::Words(Words {
        letters: Letters::WithMarks,
        punctuation: Punctuation::OtherThanMarks,
        ..QWEN_2_WORDS
    })],
    regexes: &[
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
};

pub(super) static LAGUNA: Cut =
    Cut { stages: &[LINES, Stage::Words(QWEN_2_WORDS)], regexes: &[LINES_REGEX, QWEN_2_REGEX] };

/// Without English contractions, so that the endings of Turkish names stay with their apostrophe.
pub(super) static UFAKZEKA: Cut = Cut {
    stages: &[Stage::Words(Words { contractions: Contractions::Nowhere, ..QWEN_2_WORDS })],
    regexes: &[r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
};

pub(super) static BAILING: Cut = Cut {
    stages: &[Stage::Words(QWEN_2_WORDS)],
    regexes: &[
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    ],
};

pub(super) static SEED_CODER: Cut = Cut {
    stages: &[Stage::Words(Words { tail: Tail::Nothing, ..QWEN_2_WORDS })],
    regexes: &[
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
};

pub(super) static EXAONE_MOE: Cut = Cut {
    stages: &[Stage::Words(Words {
        letters: Letters::WithSpaces,
        tail: Tail::OneNewlineOrSlash,
        ..QWEN_2_WORDS
    })],
    regexes: &[
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
    ],
};

pub(super) static GPT_4O: Cut = Cut { stages: &[Stage::Words(GPT_4O_WORDS)], regexes: &[GPT_4O_REGEX] };

pub(super) static TEKKEN: Cut = Cut {
    stages: &[Stage::Words(Words {
        contractions: Contractions::Nowhere,
        numbers: Numbers::Groups(1),
        ..GPT_4O_WORDS
    })],
    regexes: &[
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
};

pub(super) static TINY_AYA: Cut = Cut {
    stages: &[Stage::Places(at_thousands_of_words), Stage::Words(GPT_4O_WORDS)],
    regexes: &[r"\d{1,3}(?=(?:\d{3})*\b)", GPT_4O_REGEX],
};

pub(super) static YOUTU: Cut = Cut {
    stages: &[
        Stage::Find(|text| {
            let classes: [fn(char) -> bool; 4] =
                [is_hangul, is_asian_punctuation, |letter| matches!(letter, 'ㄅ'..='ㄯ'), is_chinese_or_kana];
            classes.into_iter().map(|class| run_bytes(text, class)).find(|bytes| *bytes > 0).unwrap_or(0)
        }),
        Stage::Words(Words { numbers: Numbers::Groups(1), ..GPT_4O_WORDS }),
    ],
    regexes: &[
        r"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥\u{3040}-ゟ゠-ヿ]+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
};

pub(super) static KIMI_K2: Cut = Cut {
    stages: &[Stage::Words(Words {
        before: Before::Han,
        letters: Letters::MixedCaseNotHan,
        tail: Tail::Newlines,
        ..GPT_4O_WORDS
    })],
    regexes: &[
        r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
};

pub(super) static DEEPSEEK_LLM: Cut = Cut {
    stages: &[
        NEWLINE,
        Stage::Find(|text| after(text, char::is_whitespace, is_deepseek_letter)),
        Stage::Find(|text| after(text, char::is_whitespace, is_deepseek_punctuation)),
        Stage::Places(|text| vec![text.trim_end_matches(char::is_whitespace).len()]),
        ASIAN,
        NUMBERS_BY_ONE,
    ],
    regexes: &[
        r"[\r\n]",
        DEEPSEEK_LETTERS_REGEX,
        r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
        r"\s+$",
        ASIAN_REGEX,
        r"\p{N}",
    ],
};

pub(super) static DEEPSEEK_CODER: Cut = Cut {
    stages: &[
        NEWLINE,
        Stage::Find(|text| after(text, char::is_whitespace, is_letter)),
        Stage::Find(|text| after(text, char::is_whitespace, is_punctuation)),
        ASIAN,
        NUMBERS_BY_ONE,
    ],
    regexes: &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", ASIAN_REGEX, r"\p{N}"],
};

pub(super) static DEEPSEEK_V3: Cut = Cut {
    stages: &[
        NUMBERS_BY_THREE,
        CHINESE_OR_KANA,
        Stage::Words(Words {
            before: Before::MarkAndLetters,
            contractions: Contractions::Nowhere,
            lead: Lead::AllButLetterPunctuationNewline,
            letters: Letters::WithMarks,
            numbers: Numbers::Nowhere,
            punctuation: Punctuation::MarksAndSymbols,
            ..LLAMA_3_WORDS
        }),
    ],
    regexes: &[
        r"\p{N}{1,3}",
        CHINESE_OR_KANA_REGEX,
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
    ],
};

pub(super) static BLOOM: Cut = Cut { stages: &[SENTENCE], regexes: &[SENTENCE_REGEX] };

pub(super) static VIKING: Cut =
    Cut { stages: &[SENTENCE, NUMBERS_BY_ONE], regexes: &[SENTENCE_REGEX, r"\p{N}"] };

pub(super) static CHAMELEON: Cut = Cut {
    stages: &[
        Stage::Find(sentinel),
        Stage::Find(image),
        Stage::Find(|text| match text {
            _ if text.starts_with(['\t', '\n']) => 1,
            _ if text.starts_with("    ") => 4,
            _ if text.starts_with("  ") => 2,
            _ => 0,
        }),
        NUMBERS_BY_ONE,
        Stage::Find(|text| run(text, 1, |letter| letter.is_ascii_punctuation() || is_punctuation(letter)).1),
        GPT_2_WORDS,
    ],
    regexes: &[
        "<sentinel:[0-9]+>",
        "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
        r"([\t\n]|    |  )",
        r"\p{N}",
        r"[\p{P}!-/:-@\[-`{-~]",
        GPT_2_REGEX,
    ],
};

/// Words are not cut at all; digits are, into groups of three from the right.
pub(super) static SUPER_BPE: Cut =
    Cut { stages: &[NUMBERS, Stage::Places(at_thousands)], regexes: &[r"\p{N}+", r"(?=(\d{3})+(?!\d))"] };

/// Not cut but at lines: merges cross words.
pub(super) static WHOLE_LINES: Cut = Cut { stages: &[LINES], regexes: &[LINES_REGEX] };

/// Bytes of a run of a class, with one letter before it that may lead.
fn after(text: &str, may_lead: fn(char) -> bool, class: fn(char) -> bool) -> usize {
    let lead = run(text, 1, may_lead).1;
    match run_bytes(&text[lead..], class) {
        0 => run_bytes(text, class),
        bytes => lead + bytes,
    }
}

fn is_falcon_punctuation(letter: char) -> bool {
    is_punctuation(letter) || matches!(letter, '$' | '+' | '<' | '=' | '>' | '^' | '~' | '|' | '`')
}

fn is_in_sentence(letter: char) -> bool {
    let ends = ['(', '|', '.', ',', '!', '?', '…', '。', '，', '、', '।', '۔', '،', ')'];
    !letter.is_whitespace() && !ends.contains(&letter)
}

fn is_hangul(letter: char) -> bool {
    matches!(letter, '가'..='힣' | 'ㄱ'..='ㆎ')
}

fn is_asian_punctuation(letter: char) -> bool {
    matches!(letter, '！' | '…' | '“' | '”' | '‘' | '’' | '—' | '：' | '；' | '，' | '、'..='\u{303F}' | '︰'..='﹏')
}

fn sentinel(text: &str) -> usize {
    let head = "<sentinel:";
    let Some(rest) = text.strip_prefix(head) else { return 0 };
    let digits = run_bytes(rest, |letter| letter.is_ascii_digit());
    if digits > 0 && rest[digits..].starts_with('>') { head.len() + digits + 1 } else { 0 }
}

fn image(text: &str) -> usize {
    let head = "IMGIMG";
    let Some(rest) = text.strip_prefix(head) else { return 0 };
    let digits = run(rest, 4, |letter| matches!(letter, 'A'..='I')).1;
    if digits > 0 && rest[digits..].starts_with('Z') { head.len() + digits + 1 } else { 0 }
}

/// Where a text changes between new lines and other letters.
fn at_lines(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    (1..bytes.len()).filter(|at| (bytes[at - 1] == b'\n') != (bytes[*at] == b'\n')).collect()
}

/// Runs of digits, each with the places of its letters.
fn digits(text: &str) -> Vec<Vec<usize>> {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let mut end = None;
    for (at, letter) in text.char_indices().filter(|(_, letter)| is_digit(*letter)) {
        if end != Some(at) {
            runs.push(Vec::new());
        }
        runs.last_mut().expect("a run was begun at the first digit").push(at);
        end = Some(at + letter.len_utf8());
    }
    runs
}

/// Before each group of three digits, counted from the right.
fn at_thousands(text: &str) -> Vec<usize> {
    let grouped =
        |run: Vec<usize>| run.into_iter().rev().skip(2).step_by(3).collect::<Vec<_>>().into_iter().rev();
    digits(text).into_iter().flat_map(grouped).collect()
}

/// Around numbers that end where a word ends, and before each group of three of their digits.
fn at_thousands_of_words(text: &str) -> Vec<usize> {
    let mut places = Vec::new();
    for run in digits(text) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let end = last + text[last..].chars().next().map_or(0, char::len_utf8);
        if text[end..].chars().next().is_some_and(is_word) {
            continue;
        }
        places.push(first);
        places.extend(
            run[1..].iter().enumerate().filter(|(i, _)| (run.len() - 1 - i) % 3 == 0).map(|(_, at)| *at),
        );
        places.push(end);
    }
    places
}

#[rustfmt::skip]
const DEEPSEEK_LETTERS_REGEX: &str = "\\s?[A-Za-z\
    \u{B5}\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{1BA}\u{1BC}-\u{1BF}\u{1C4}-\u{293}\u{295}-\u{2AF}\u{370}-\
    \u{373}\u{376}\u{377}\u{37B}-\u{37D}\u{37F}\u{386}\u{388}-\u{38A}\u{38C}\u{38E}-\u{3A1}\u{3A3}-\u{3F5}\
    \u{3F7}-\u{481}\u{48A}-\u{52F}\u{531}-\u{556}\u{10A0}-\u{10C5}\u{13A0}-\u{13F5}\u{13F8}-\u{13FD}\
    \u{1C90}-\u{1CBA}\u{1CBD}-\u{1CBF}\u{1D00}-\u{1D2B}\u{1D6B}-\u{1D77}\u{1D79}-\u{1D9A}\u{1E00}-\u{1F15}\
    \u{1F18}-\u{1F1D}\u{1F20}-\u{1F45}\u{1F48}-\u{1F4D}\u{1F50}-\u{1F57}\u{1F59}\u{1F5B}\u{1F5D}\u{1F5F}-\
    \u{1F7D}\u{1F80}-\u{1FB4}\u{1FB6}-\u{1FBC}\u{1FBE}\u{1FC2}-\u{1FC4}\u{1FC6}-\u{1FCC}\u{1FD0}-\u{1FD3}\
    \u{1FD6}-\u{1FDB}\u{1FE0}-\u{1FEC}\u{1FF2}-\u{1FF4}\u{1FF6}-\u{1FFC}\u{2102}\u{2107}\u{210A}-\u{2113}\
    \u{2115}\u{2119}-\u{211D}\u{2124}\u{2126}\u{2128}\u{212A}-\u{212D}\u{212F}-\u{2134}\u{2139}\u{213C}-\
    \u{213F}\u{2145}-\u{2149}\u{214E}\u{2183}\u{2184}\u{2C00}-\u{2C7B}\u{2C7E}-\u{2CE4}\u{2CEB}-\u{2CEE}\
    \u{2CF2}\u{2CF3}\u{A640}-\u{A66D}\u{A680}-\u{A69B}\u{A722}-\u{A76F}\u{A771}-\u{A787}\u{A78B}-\u{A78E}\
    \u{AB70}-\u{ABBF}\u{FB00}-\u{FB06}\u{FB13}-\u{FB17}\u{FF21}-\u{FF3A}\u{FF41}-\u{FF5A}\u{10400}-\u{1044F}\
    \u{104B0}-\u{104D3}\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\
    \u{1E900}-\u{1E943}]+";
