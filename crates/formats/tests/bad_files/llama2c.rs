//! Bad llama2.c checkpoints and tokenizers.

use crate::Case;

/// A llama2.c checkpoint of `numbers` zeros.
pub fn checkpoint(header: [i32; 7], numbers: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = header.iter().flat_map(|number| number.to_le_bytes()).collect();
    bytes.resize(bytes.len() + 4 * numbers, 0);
    bytes
}

pub fn checkpoints() -> Vec<Case> {
    let headed = |index: usize, value: i32| {
        let mut header = [4, 6, 1, 2, 1, 5, 3];
        header[index] = value;
        checkpoint(header, 158)
    };
    vec![
        ("no bytes", vec![], "dim: needs 4 bytes where 0 are left"),
        (
            "half a header",
            checkpoint([4, 6, 1, 2, 1, 5, 3], 0)[..14].to_vec(),
            "n_heads: needs 4 bytes where 2",
        ),
        ("dim 0", headed(0, 0), "dim: 0, expected a positive number (byte 0)"),
        ("dim -1", headed(0, -1), "dim: -1, expected a positive number (byte 0)"),
        ("dim max", headed(0, i32::MAX), "dim: 2147483647 is over the limit of 262144 (byte 0)"),
        ("hidden_dim 0", headed(1, 0), "hidden_dim: 0, expected a positive number (byte 4)"),
        ("hidden_dim max", headed(1, i32::MAX), "hidden_dim: 2147483647 is over the limit"),
        ("no layers", headed(2, 0), "n_layers: 0, expected a positive number (byte 8)"),
        ("a million layers", headed(2, 1_000_000), "n_layers: 1000000 is over the limit of 4096"),
        ("no heads", headed(3, 0), "n_heads: 0, expected a positive number (byte 12)"),
        ("heads of no whole size", headed(3, 3), "n_heads: 3, expected a number that divides dim"),
        (
            "heads of an odd size",
            headed(3, 4),
            "n_heads: 4, expected a number that divides dim into heads of an even",
        ),
        ("no key-value heads", headed(4, 0), "n_kv_heads: 0, expected a positive number (byte 16)"),
        (
            "more key-value heads than heads",
            headed(4, 4),
            "n_kv_heads: 4, expected a number that divides n_heads",
        ),
        ("no vocabulary", headed(5, 0), "vocab_size: 0, expected a positive number (byte 20)"),
        ("vocabulary min", headed(5, i32::MIN), "vocab_size: 2147483647 is over the limit"),
        ("no positions", headed(6, 0), "seq_len: 0, expected a positive number (byte 24)"),
        ("positions max", headed(6, i32::MAX), "seq_len: 2147483647 is over the limit"),
        (
            "one number short",
            checkpoint([4, 6, 1, 2, 1, 5, 3], 157),
            "the file has 656 bytes, its header asks for 660",
        ),
        (
            "one number over",
            checkpoint([4, 6, 1, 2, 1, 5, 3], 159),
            "the file has 664 bytes, its header asks for 660",
        ),
        ("a classifier that is not there", headed(5, -5), "the file has 660 bytes, its header asks for 740"),
        (
            "the largest header",
            checkpoint([262_144, 1_048_576, 4096, 1, 1, -16_777_216, 16_777_216], 10),
            "checkpoint header: the file has 68 bytes, its header asks for 1",
        ),
    ]
}

/// A tokenizer file: the longest length, then score, length and bytes of each token.
pub fn tokenizer(longest: i32, tokens: &[(f32, i32, &[u8])]) -> Vec<u8> {
    let mut bytes = longest.to_le_bytes().to_vec();
    for (score, length, text) in tokens {
        bytes.extend(score.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(*text);
    }
    bytes
}

/// All are read as vocabularies of two tokens.
pub fn tokenizers() -> Vec<Case> {
    let second = |score, length, text| tokenizer(3, &[(0.0, 1, b"a"), (score, length, text)]);
    vec![
        ("no bytes", vec![], "max_token_length: needs 4 bytes where 0 are left"),
        (
            "longest -1",
            tokenizer(-1, &[]),
            "max_token_length: -1, expected a length that is not negative (byte 0)",
        ),
        ("longest max", tokenizer(i32::MAX, &[]), "max_token_length: 2147483647 is over the limit of 65536"),
        (
            "no tokens",
            tokenizer(3, &[]),
            "a vocabulary of 2 tokens: needs 16 bytes where 0 are left (byte 4)",
        ),
        (
            "a token too few",
            tokenizer(3, &[(0.0, 1, b"a")]),
            "a vocabulary of 2 tokens: needs 16 bytes where 9",
        ),
        (
            "score not a number",
            second(f32::NAN, 1, b"b"),
            "score of token 1: NaN, expected a finite number (byte 13)",
        ),
        ("score infinite", second(f32::INFINITY, 1, b"b"), "score of token 1: inf, expected a finite number"),
        (
            "length -1",
            second(0.0, -1, b"b"),
            "length of token 1: -1, expected a length that is not negative (byte 17)",
        ),
        ("length max", second(0.0, i32::MAX, b"b"), "length of token 1: 2147483647 is over the limit"),
        (
            "over the longest",
            second(0.0, 4, b"bbbb"),
            "length of token 1: 4, expected at most max_token_length",
        ),
        ("behind the end", second(0.0, 3, b"bb"), "token 1: needs 3 bytes where 2 are left (byte 21)"),
        ("not text", second(0.0, 2, b"\xc3\x28"), "token 1: not UTF-8 text (byte 21)"),
        (
            "a token too many",
            second(0.0, 1, b"bccccccccc"),
            "a vocabulary of 2 tokens: the file has 31 bytes, its",
        ),
    ]
}
