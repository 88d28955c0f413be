//! Pre-tokenizers: how a byte-level vocabulary cuts text into words before merging, one row per known name.
//!
//! The cuts are published as regular expressions; here they are scanners whose work grows with the text alone, so that
//! no text makes them slow or fail. A test holds every row against its regular expressions. Not known: a cut that no
//! row names; a file that asks for one is refused, because a wrong cut answers with quietly worse tokens. Sources: the
//! values of `tokenizer.ggml.pre` that GGUF files carry, the names of OpenAI's encodings, and those of `cuts`.

use std::ops::Range;

use crate::Error;
use cuts::{Cut, Stage};
pub(crate) use letters::{is_letter, is_number, is_punctuation};

mod cuts;
mod letters;
mod words;

/// One known name.
#[derive(Debug)]
pub(crate) struct PreTokenizer {
    /// How a vocabulary asks for it.
    pub name: &'static str,
    /// Its value in `tokenizer.ggml.pre`.
    pub gguf_name: &'static str,
    cut: &'static Cut,
    /// Whether a word that is a token is that token, whatever the merges say.
    pub whole_words_first: bool,
    /// What a prompt gets where the file says nothing.
    pub adds: Adds,
    /// What the letters of a token stand for.
    pub letters: Letters,
}

/// Tokens around a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adds {
    Nothing,
    Begin,
    End,
    BeginAndEnd,
}

/// What the letters of a token stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letters {
    /// One byte each, as GPT-2 writes them.
    Bytes,
    /// Themselves, with `▁` for a space; what has no token falls back to `<0xXX>`.
    Text,
}

/// The name of GPT-2's cut, which is also that of an empty name.
pub(crate) const GPT_2_NAME: &str = "gpt-2";

const fn row(name: &'static str, cut: &'static Cut) -> PreTokenizer {
    PreTokenizer {
        name,
        gguf_name: name,
        cut,
        whole_words_first: false,
        adds: Adds::Nothing,
        letters: Letters::Bytes,
    }
}

impl PreTokenizer {
    const fn in_gguf(self, gguf_name: &'static str) -> Self {
        Self { gguf_name, ..self }
    }

    const fn whole_words_first(self) -> Self {
        Self { whole_words_first: true, ..self }
    }

    const fn adds(self, adds: Adds) -> Self {
        Self { adds, ..self }
    }

    const fn text(self) -> Self {
        Self { letters: Letters::Text, ..self }
    }
}

/// All known names.
pub(crate) static PRE_TOKENIZERS: &[PreTokenizer] = &[
    row(GPT_2_NAME, &cuts::GPT_2),
    row("gpt2", &cuts::GPT_2).in_gguf("gpt-2"),
    row("r50k_base", &cuts::GPT_2).in_gguf("gpt-2"),
    row("p50k_base", &cuts::GPT_2).in_gguf("gpt-2"),
    row("phi-2", &cuts::GPT_2),
    row("olmo", &cuts::GPT_2),
    row("mpt", &cuts::GPT_2),
    row("jais", &cuts::GPT_2),
    row("trillion", &cuts::GPT_2),
    row("exaone4", &cuts::GPT_2),
    row("granite-docling", &cuts::GPT_2),
    row("gigachat", &cuts::GPT_2),
    row("mellum", &cuts::GPT_2),
    row("a.x-4.0", &cuts::GPT_2),
    row("modern-bert", &cuts::GPT_2),
    row("jina-es", &cuts::GPT_2),
    row("jina-de", &cuts::GPT_2),
    row("jina-v2-es", &cuts::GPT_2),
    row("jina-v2-de", &cuts::GPT_2),
    row("jina-v1-en", &cuts::GPT_2).adds(Adds::BeginAndEnd),
    row("jina-v2-code", &cuts::GPT_2).adds(Adds::BeginAndEnd),
    row("roberta-bpe", &cuts::GPT_2).adds(Adds::BeginAndEnd),
    row("default", &cuts::DEFAULT),
    row("falcon", &cuts::FALCON),
    row("starcoder", &cuts::STARCODER),
    row("smollm", &cuts::STARCODER),
    row("refact", &cuts::STARCODER),
    row("command-r", &cuts::STARCODER),
    row("codeshell", &cuts::STARCODER),
    row("exaone", &cuts::STARCODER),
    row("minerva-7b", &cuts::STARCODER),
    row("mellum2", &cuts::STARCODER),
    row("llama-bpe", &cuts::LLAMA_3).whole_words_first().adds(Adds::Begin),
    row("llama3", &cuts::LLAMA_3).whole_words_first().adds(Adds::Begin),
    row("llama-v3", &cuts::LLAMA_3).whole_words_first().adds(Adds::Begin),
    row("falcon3", &cuts::LLAMA_3).whole_words_first().adds(Adds::Begin),
    row("falcon-h1", &cuts::LLAMA_3).whole_words_first().adds(Adds::Begin),
    row("pixtral", &cuts::LLAMA_3).whole_words_first().adds(Adds::Begin),
    row("midm-2.0", &cuts::LLAMA_3).whole_words_first().adds(Adds::Begin),
    row("lfm2", &cuts::LLAMA_3).whole_words_first().adds(Adds::Begin),
    row("jina-v5-nano", &cuts::LLAMA_3).whole_words_first().adds(Adds::Begin),
    row("cl100k_base", &cuts::LLAMA_3).in_gguf("dbrx"),
    row("dbrx", &cuts::LLAMA_3),
    row("smaug-bpe", &cuts::LLAMA_3),
    row("chatglm-bpe", &cuts::LLAMA_3),
    row("glm4", &cuts::LLAMA_3),
    row("minicpm5", &cuts::MINICPM_5).whole_words_first(),
    row("qwen2", &cuts::QWEN_2),
    row("deepseek-r1-qwen", &cuts::QWEN_2),
    row("stablelm2", &cuts::QWEN_2),
    row("hunyuan", &cuts::QWEN_2),
    row("megrez", &cuts::QWEN_2),
    row("kormo", &cuts::QWEN_2),
    row("f2llmv2", &cuts::QWEN_2),
    row("solar-open", &cuts::QWEN_2),
    row("grok-2", &cuts::QWEN_2),
    row("qwen35", &cuts::QWEN_35),
    row("laguna", &cuts::LAGUNA),
    row("ufakzeka", &cuts::UFAKZEKA),
    row("bailingmoe", &cuts::BAILING),
    row("bailingmoe2", &cuts::BAILING),
    row("llada-moe", &cuts::BAILING),
    row("seed-coder", &cuts::SEED_CODER),
    row("exaone-moe", &cuts::EXAONE_MOE),
    row("gpt-4o", &cuts::GPT_4O),
    row("o200k_base", &cuts::GPT_4O).in_gguf("gpt-4o"),
    row("llama4", &cuts::GPT_4O),
    row("kanana2", &cuts::GPT_4O),
    row("talkie", &cuts::GPT_4O),
    row("minimax-m2", &cuts::GPT_4O),
    row("granite-embed-multi-97m", &cuts::GPT_4O).whole_words_first(),
    row("tekken", &cuts::TEKKEN).whole_words_first().adds(Adds::Begin),
    row("tiny_aya", &cuts::TINY_AYA),
    row("cohere2moe", &cuts::TINY_AYA),
    row("youtu", &cuts::YOUTU).whole_words_first(),
    row("kimi-k2", &cuts::KIMI_K2),
    row("deepseek-llm", &cuts::DEEPSEEK_LLM),
    row("deepseek-coder", &cuts::DEEPSEEK_CODER),
    row("deepseek-v3", &cuts::DEEPSEEK_V3),
    row("hunyuan-dense", &cuts::DEEPSEEK_V3),
    row("joyai-llm", &cuts::DEEPSEEK_V3),
    row("hy_v4", &cuts::DEEPSEEK_V3),
    row("bloom", &cuts::BLOOM),
    row("gpt3-finnish", &cuts::BLOOM),
    row("poro-chat", &cuts::BLOOM),
    row("viking", &cuts::VIKING),
    row("chameleon", &cuts::CHAMELEON).adds(Adds::Begin),
    row("superbpe", &cuts::SUPER_BPE),
    row("gemma4", &cuts::WHOLE_LINES).text(),
    row("granite-embed-multi-311m", &cuts::WHOLE_LINES).text(),
    row("sarvam-moe", &cuts::WHOLE_LINES).text(),
];

/// The row with this name; an empty name is GPT-2's.
pub(crate) fn find(name: &str) -> Result<&'static PreTokenizer, Error> {
    let wanted = if name.is_empty() { GPT_2_NAME } else { name };
    if let Some(row) = PRE_TOKENIZERS.iter().find(|row| row.name == wanted) {
        return Ok(row);
    }
    let short: String = name.chars().take(64).collect();
    let nearest = nearest(&short, PRE_TOKENIZERS.iter().map(|row| row.name)).expect("the list has rows");
    Err(Error::UnknownPreTokenizer { name: short, nearest })
}

/// The first row whose cut was published as exactly these regular expressions.
pub(crate) fn find_by_regexes(regexes: &[&str]) -> Option<&'static PreTokenizer> {
    all_by_regexes(regexes).next()
}

/// All rows whose cut was published as exactly these regular expressions.
pub(crate) fn all_by_regexes(regexes: &[&str]) -> impl Iterator<Item = &'static PreTokenizer> {
    PRE_TOKENIZERS.iter().filter(move |row| row.letters == Letters::Bytes && row.cut.regexes == regexes)
}

/// Of some names, the one with the smallest edit distance.
pub(crate) fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    known.min_by_key(|known| edit_distance(name, known))
}

impl PreTokenizer {
    /// The cut as regular expressions, each applied to the pieces of the one before.
    pub fn regexes(&self) -> &'static [&'static str] {
        self.cut.regexes
    }

    /// Cuts a text into words; together they are the text.
    pub fn split(&self, text: &str) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        pieces.extend((!text.is_empty()).then_some(0..text.len()));
        for stage in self.cut.stages {
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
            Self::Words(words) => isolate(text, piece, |rest| words.first_length(rest), out),
            Self::Find(find) => isolate(text, piece, find, out),
            Self::Places(places) => {
                let mut gap = piece.start;
                let places = places(&text[piece.clone()]).into_iter().map(|place| piece.start + place);
                for place in places.chain([piece.end]) {
                    out.extend((gap < place).then_some(gap..place));
                    gap = gap.max(place);
                }
            }
        }
    }
}

/// Makes what `find` finds, and the gaps between, pieces of their own.
fn isolate(text: &str, piece: Range<usize>, find: impl Fn(&str) -> usize, out: &mut Vec<Range<usize>>) {
    let (mut gap, mut start) = (piece.start, piece.start);
    while start < piece.end {
        let rest = &text[start..piece.end];
        let found = find(rest);
        if found == 0 {
            start += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        }
        out.extend((gap < start).then_some(gap..start));
        out.push(start..start + found);
        start += found;
        gap = start;
    }
    out.extend((gap < piece.end).then_some(gap..piece.end));
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
            " ",
            "  ",
            "\n",
            "\r\n",
            "\t",
            "\u{A0}",
            "\u{3000}",
            "\u{85}",
            "a",
            "Ab",
            "é",
            "ß",
            "我",
            "ა",
            "ǅ",
            "ʰ",
            "1",
            "23",
            "½",
            "Ⅷ",
            "٣",
            "'s",
            "'S",
            "'ſ",
            "'ll",
            "'lL",
            "'Re",
            "'ve",
            "'",
            "!",
            "...",
            "_",
            "$",
            "+",
            "`",
            "|",
            "🦙",
            "\u{200D}",
            "\u{FE0F}",
            "\u{301}",
            "្",
            "～",
            "«",
            "€",
            "\u{0}",
            "\u{E000}",
            "\u{FFFD}",
            "ABC",
            "XyZ",
            "dž",
            "Ω",
            "K",
            "한",
            "ㄱ",
            "ㄅ",
            "の",
            "ー",
            "、",
            "。",
            "！",
            "々",
            "〇",
            "𠀀",
            "ￇ",
            "(",
            ")",
            ",",
            "/",
            "//",
            "<sentinel:",
            "42>",
            "IMGIMG",
            "IMGIMGABZ",
            "    ",
            "1234567",
            "12a",
            "٤٥٦٧",
            "x\u{301}y",
            "\u{200C}",
            "²",
            "ａＺ",
            "“",
            "—",
            "།",
            "।",
            "ꟿ",
            "ʼ",
            "ª",
        ];
        (0..rng.below(24)).map(|_| PARTS[rng.below(PARTS.len())]).collect()
    }

    #[test]
    fn every_row_cuts_as_its_regular_expressions() {
        let mut cuts: Vec<&PreTokenizer> = Vec::new();
        for row in PRE_TOKENIZERS {
            if cuts.iter().any(|other| std::ptr::eq(other.cut, row.cut)) {
                continue;
            }
            cuts.push(row);
            let regexes: Vec<Regex> = row.regexes().iter().map(|regex| Regex::new(regex).unwrap()).collect();
            let mut rng = Rng::new(11);
            for _ in 0..1500 {
                let text = random_text(&mut rng);
                assert_eq!(row.split(&text), split_by_regexes(&regexes, &text), "{:?}: {text:?}", row.name);
            }
        }
    }

    #[test]
    fn no_name_stands_twice_and_every_cut_is_found_by_its_regexes() {
        for (place, row) in PRE_TOKENIZERS.iter().enumerate() {
            assert!(PRE_TOKENIZERS[..place].iter().all(|other| other.name != row.name), "{}", row.name);
            assert!(std::ptr::eq(find(row.name).unwrap(), row));
            let found = find_by_regexes(row.regexes());
            assert_eq!(
                found.map(|found| found.regexes()),
                (row.letters == Letters::Bytes).then(|| row.regexes())
            );
        }
        assert!(find_by_regexes(&["x"]).is_none());
    }

    #[test]
    fn a_long_run_of_anything_is_cut_in_one_pass() {
        for (place, row) in PRE_TOKENIZERS.iter().enumerate() {
            if PRE_TOKENIZERS[..place].iter().any(|other| std::ptr::eq(other.cut, row.cut)) {
                continue;
            }
            for part in
                [" ", "\n", "a", "A", "ʰA", "1", "!", "x ", " \n", "'s", "\u{301}", "我", "\u{0}", "/"]
            {
                let text = part.repeat(40_000 / part.len());
                let pieces = row.split(&text);
                assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), text.len(), "{}", row.name);
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
        check(&"x".repeat(1 << 20), "exaone4");
        assert_eq!(find("").unwrap().name, "gpt-2");
    }
}
