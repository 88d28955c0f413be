//! The classes of letters that pre-tokenizers cut by, and runs of them.
//!
//! Not for WordPiece, which has its own idea of words. Source: the Unicode Character Database (general categories, the
//! property White_Space, the script Han) and, for DeepSeek's list, the `tokenizer.json` of that model.

use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// Letters and bytes of the run of a class with which a text begins.
pub(super) fn run(text: &str, most: usize, class: fn(char) -> bool) -> (usize, usize) {
    let mut bytes = 0;
    let mut letters = 0;
    for letter in text.chars().take(most).take_while(|letter| class(*letter)) {
        letters += 1;
        bytes += letter.len_utf8();
    }
    (letters, bytes)
}

/// Bytes of the run of a class with which a text begins.
pub(super) fn run_bytes(text: &str, class: fn(char) -> bool) -> usize {
    run(text, usize::MAX, class).1
}

pub(super) fn is_newline(letter: char) -> bool {
    matches!(letter, '\r' | '\n')
}

pub(super) fn is_newline_or_slash(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '/')
}

pub(crate) fn is_letter(letter: char) -> bool {
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

/// Accents and other marks that join the letter before them.
pub(super) fn is_mark(letter: char) -> bool {
    !letter.is_ascii()
        && matches!(
            get_general_category(letter),
            Category::NonspacingMark | Category::SpacingMark | Category::EnclosingMark
        )
}

pub(super) fn is_letter_or_mark(letter: char) -> bool {
    is_letter(letter) || is_mark(letter)
}

/// What may begin a word of mixed case: letters that are not small, and marks.
pub(super) fn is_not_small(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_uppercase();
    }
    matches!(
        get_general_category(letter),
        Category::UppercaseLetter
            | Category::TitlecaseLetter
            | Category::ModifierLetter
            | Category::OtherLetter
    ) || is_mark(letter)
}

/// What may end a word of mixed case: letters that are not capital, and marks.
pub(super) fn is_not_capital(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_lowercase();
    }
    matches!(
        get_general_category(letter),
        Category::LowercaseLetter | Category::ModifierLetter | Category::OtherLetter
    ) || is_mark(letter)
}

pub(super) fn is_not_small_nor_han(letter: char) -> bool {
    is_not_small(letter) && !is_han(letter)
}

pub(super) fn is_not_capital_nor_han(letter: char) -> bool {
    is_not_capital(letter) && !is_han(letter)
}

pub(crate) fn is_number(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_digit();
    }
    matches!(
        get_general_category(letter),
        Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber
    )
}

/// A digit of any script that writes numbers by place.
pub(super) fn is_digit(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_digit();
    }
    get_general_category(letter) == Category::DecimalNumber
}

/// What a regular expression calls a word letter (Unicode Technical Standard 18, annex C).
pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphabetic()
        || is_digit(letter)
        || is_mark(letter)
        || get_general_category(letter) == Category::ConnectorPunctuation
        || matches!(letter, '\u{200C}' | '\u{200D}')
}

/// Neither white space nor letter nor number.
pub(super) fn is_other(letter: char) -> bool {
    !letter.is_whitespace() && !is_letter(letter) && !is_number(letter)
}

/// Neither white space nor letter nor number nor mark.
pub(super) fn is_other_than_mark(letter: char) -> bool {
    is_other(letter) && !is_mark(letter)
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

pub(super) fn is_punctuation_or_symbol(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_punctuation();
    }
    is_punctuation(letter)
        || matches!(
            get_general_category(letter),
            Category::MathSymbol
                | Category::CurrencySymbol
                | Category::ModifierSymbol
                | Category::OtherSymbol
        )
}

/// Unicode's script Han.
pub(super) fn is_han(letter: char) -> bool {
    matches!(u32::from(letter),
        0x2E80..=0x2E99 | 0x2E9B..=0x2EF3 | 0x2F00..=0x2FD5 | 0x3005 | 0x3007 | 0x3021..=0x3029 | 0x3038..=0x303B
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFA6D | 0xFA70..=0xFAD9 | 0x16FE2..=0x16FE3
        | 0x16FF0..=0x16FF1 | 0x20000..=0x2A6DF | 0x2A700..=0x2B739 | 0x2B740..=0x2B81D | 0x2B820..=0x2CEA1
        | 0x2CEB0..=0x2EBE0 | 0x2EBF0..=0x2EE5D | 0x2F800..=0x2FA1D | 0x30000..=0x3134A | 0x31350..=0x323AF)
}

/// Chinese letters and Japanese kana, as DeepSeek's and Youtu's vocabularies mean them.
pub(super) fn is_chinese_or_kana(letter: char) -> bool {
    matches!(letter, '\u{4E00}'..='\u{9FA5}' | '\u{3040}'..='\u{30FF}')
}

/// The blocks that DeepSeek's first vocabularies keep apart as Asian.
pub(super) fn is_asian(letter: char) -> bool {
    matches!(letter, '\u{800}'..='\u{9FA5}' | '\u{AC00}'..='\u{D7FF}')
}

/// The letters with case that DeepSeek's first language model lists one by one.
pub(super) fn is_deepseek_letter(letter: char) -> bool {
    letter.is_ascii_alphabetic() || in_ranges(letter, DEEPSEEK_LETTERS)
}

pub(super) fn is_deepseek_punctuation(letter: char) -> bool {
    matches!(letter, '!'..='/' | ':'..='~' | '！'..='／' | '：'..='～' | '\u{2018}'..='\u{201F}' | '\u{3000}'..='\u{3002}')
}

/// Whether a list of pairs, first and last of each range in ascending order, holds a letter.
fn in_ranges(letter: char, ranges: &[(char, char)]) -> bool {
    let place = ranges.partition_point(|(_, last)| *last < letter);
    ranges.get(place).is_some_and(|(first, _)| *first <= letter)
}

const DEEPSEEK_LETTERS: &[(char, char)] = &[
    ('\u{B5}', '\u{B5}'),
    ('\u{C0}', '\u{D6}'),
    ('\u{D8}', '\u{F6}'),
    ('\u{F8}', '\u{1BA}'),
    ('\u{1BC}', '\u{1BF}'),
    ('\u{1C4}', '\u{293}'),
    ('\u{295}', '\u{2AF}'),
    ('\u{370}', '\u{373}'),
    ('\u{376}', '\u{376}'),
    ('\u{377}', '\u{377}'),
    ('\u{37B}', '\u{37D}'),
    ('\u{37F}', '\u{37F}'),
    ('\u{386}', '\u{386}'),
    ('\u{388}', '\u{38A}'),
    ('\u{38C}', '\u{38C}'),
    ('\u{38E}', '\u{3A1}'),
    ('\u{3A3}', '\u{3F5}'),
    ('\u{3F7}', '\u{481}'),
    ('\u{48A}', '\u{52F}'),
    ('\u{531}', '\u{556}'),
    ('\u{10A0}', '\u{10C5}'),
    ('\u{13A0}', '\u{13F5}'),
    ('\u{13F8}', '\u{13FD}'),
    ('\u{1C90}', '\u{1CBA}'),
    ('\u{1CBD}', '\u{1CBF}'),
    ('\u{1D00}', '\u{1D2B}'),
    ('\u{1D6B}', '\u{1D77}'),
    ('\u{1D79}', '\u{1D9A}'),
    ('\u{1E00}', '\u{1F15}'),
    ('\u{1F18}', '\u{1F1D}'),
    ('\u{1F20}', '\u{1F45}'),
    ('\u{1F48}', '\u{1F4D}'),
    ('\u{1F50}', '\u{1F57}'),
    ('\u{1F59}', '\u{1F59}'),
    ('\u{1F5B}', '\u{1F5B}'),
    ('\u{1F5D}', '\u{1F5D}'),
    ('\u{1F5F}', '\u{1F7D}'),
    ('\u{1F80}', '\u{1FB4}'),
    ('\u{1FB6}', '\u{1FBC}'),
    ('\u{1FBE}', '\u{1FBE}'),
    ('\u{1FC2}', '\u{1FC4}'),
    ('\u{1FC6}', '\u{1FCC}'),
    ('\u{1FD0}', '\u{1FD3}'),
    ('\u{1FD6}', '\u{1FDB}'),
    ('\u{1FE0}', '\u{1FEC}'),
    ('\u{1FF2}', '\u{1FF4}'),
    ('\u{1FF6}', '\u{1FFC}'),
    ('\u{2102}', '\u{2102}'),
    ('\u{2107}', '\u{2107}'),
    ('\u{210A}', '\u{2113}'),
    ('\u{2115}', '\u{2115}'),
    ('\u{2119}', '\u{211D}'),
    ('\u{2124}', '\u{2124}'),
    ('\u{2126}', '\u{2126}'),
    ('\u{2128}', '\u{2128}'),
    ('\u{212A}', '\u{212D}'),
    ('\u{212F}', '\u{2134}'),
    ('\u{2139}', '\u{2139}'),
    ('\u{213C}', '\u{213F}'),
    ('\u{2145}', '\u{2149}'),
    ('\u{214E}', '\u{214E}'),
    ('\u{2183}', '\u{2183}'),
    ('\u{2184}', '\u{2184}'),
    ('\u{2C00}', '\u{2C7B}'),
    ('\u{2C7E}', '\u{2CE4}'),
    ('\u{2CEB}', '\u{2CEE}'),
    ('\u{2CF2}', '\u{2CF2}'),
    ('\u{2CF3}', '\u{2CF3}'),
    ('\u{A640}', '\u{A66D}'),
    ('\u{A680}', '\u{A69B}'),
    ('\u{A722}', '\u{A76F}'),
    ('\u{A771}', '\u{A787}'),
    ('\u{A78B}', '\u{A78E}'),
    ('\u{AB70}', '\u{ABBF}'),
    ('\u{FB00}', '\u{FB06}'),
    ('\u{FB13}', '\u{FB17}'),
    ('\u{FF21}', '\u{FF3A}'),
    ('\u{FF41}', '\u{FF5A}'),
    ('\u{10400}', '\u{1044F}'),
    ('\u{104B0}', '\u{104D3}'),
    ('\u{104D8}', '\u{104FB}'),
    ('\u{10C80}', '\u{10CB2}'),
    ('\u{10CC0}', '\u{10CF2}'),
    ('\u{118A0}', '\u{118DF}'),
    ('\u{1E900}', '\u{1E943}'),
];
