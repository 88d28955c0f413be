//! Bad GGUF files.

use crate::Case;

/// A GGUF file, piece by piece, with whatever its author claims.
struct Gguf(Vec<u8>);

const U8: u32 = 0;
const U32: u32 = 4;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

impl Gguf {
    fn new(n_tensors: u64, n_metadata: u64) -> Self {
        Self(b"GGUF\x03\0\0\0".to_vec()).u64(n_tensors).u64(n_metadata)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn u32(self, number: u32) -> Self {
        self.raw(&number.to_le_bytes())
    }

    fn u64(self, number: u64) -> Self {
        self.raw(&number.to_le_bytes())
    }

    fn text(self, text: &[u8]) -> Self {
        self.u64(text.len() as u64).raw(text)
    }

    fn key(self, key: &str, kind: u32) -> Self {
        self.text(key.as_bytes()).u32(kind)
    }

    fn tensor(self, name: &str, dims: &[u64], dtype: u32, offset: u64) -> Self {
        let mut new = self.text(name.as_bytes()).u32(dims.len() as u32);
        for size in dims {
            new = new.u64(*size);
        }
        new.u32(dtype).u64(offset)
    }

    fn data(mut self, alignment: usize, bytes: usize) -> Vec<u8> {
        let start = self.0.len().next_multiple_of(alignment);
        self.0.resize(start + bytes, 1);
        self.0
    }

    /// A file that is long enough for whatever is claimed before.
    fn filled(self) -> Vec<u8> {
        self.raw(&[0; 4096]).0
    }
}

/// One tensor, the given facts, 64 bytes of data.
pub fn one(dims: &[u64], dtype: u32, offset: u64) -> Vec<u8> {
    Gguf::new(1, 0).tensor("w", dims, dtype, offset).data(32, 64)
}

fn list(kind: u32, count: u64) -> Gguf {
    Gguf::new(0, 1).key("k", ARRAY).u32(kind).u64(count)
}

pub fn nested(depth: usize) -> Vec<u8> {
    let mut file = Gguf::new(0, 1).key("k", ARRAY);
    for _ in 0..depth {
        file = file.u32(ARRAY).u64(1);
    }
    file.u32(U8).u64(1).filled()
}

/// Each key's lists are few enough, together they are not.
fn two_keys_of_lists() -> Vec<u8> {
    let lists = |file: Gguf, key| file.key(key, ARRAY).u32(ARRAY).u64(40_000).raw(&[0; 12 * 40_000]);
    lists(lists(Gguf::new(0, 2), "a"), "b").0
}

pub fn headers() -> Vec<Case> {
    let version = |version: u32| Gguf(b"GGUF".to_vec()).u32(version).filled();
    vec![
        ("four bytes", b"GGUF".to_vec(), "version: needs 4 bytes where 0 are left"),
        ("version 0", version(0), "version: version 0 is not read, only 2 and 3"),
        ("version 1", version(1), "version: version 1 is not read, only 2 and 3"),
        ("version 4", version(4), "version: version 4 is not read"),
        ("version -1", version(u32::MAX), "version: version 4294967295 is not read"),
        ("big endian", version(3u32.swap_bytes()), "version: big-endian files are not read"),
        (
            "tensor count max",
            Gguf::new(u64::MAX, 0).filled(),
            "tensor count: 18446744073709551615 is over the",
        ),
        (
            "tensor count 2^63",
            Gguf::new(1 << 63, 0).filled(),
            "tensor count: 9223372036854775808 is over the",
        ),
        (
            "tensor count of no file",
            Gguf::new(1000, 0).filled(),
            "tensor count: needs 33000 bytes where 4104",
        ),
        (
            "metadata count max",
            Gguf::new(0, u64::MAX).filled(),
            "metadata count: 18446744073709551615 is over",
        ),
        (
            "metadata count of no file",
            Gguf::new(0, 300).filled(),
            "metadata count: needs 4200 bytes where 4096",
        ),
        (
            "a tensor count and no tensors",
            Gguf::new(1, 0).filled(),
            "name of tensor 0: an empty name, expected",
        ),
        (
            "metadata and none",
            Gguf::new(0, 1).raw(&[0; 14]).0,
            "metadata key 0: an empty name, expected a name",
        ),
    ]
}

pub fn metadata() -> Vec<Case> {
    let one = |kind| Gguf::new(0, 1).key("k", kind);
    let aligned =
        |kind: u32, bytes: &[u8]| Gguf::new(0, 1).key("general.alignment", kind).raw(bytes).filled();
    let key = |length: u64| Gguf::new(0, 1).u64(length).filled();
    let twice = Gguf::new(0, 2).key("same", U8).raw(&[1]).key("same", U32).u32(1).filled();
    vec![
        ("key length max", key(u64::MAX), "metadata key 0: 18446744073709551615 is over the limit of 65535"),
        ("key of 64 KiB", key(65_536), "metadata key 0: 65536 is over the limit of 65535"),
        ("key behind the end", key(5000), "metadata key 0: needs 5000 bytes where 4096 are left"),
        (
            "key not text",
            Gguf::new(0, 1).text(b"ab\xff").filled(),
            "metadata key 0: not UTF-8 text (byte 34)",
        ),
        ("key twice", twice, "metadata key \"same\": the name stands twice (byte 41)"),
        ("value type 13", one(13).filled(), "metadata key \"k\": 13, expected a value type from 0 to 12"),
        ("value type max", one(u32::MAX).filled(), "metadata key \"k\": 4294967295, expected a value type"),
        ("bool of 2", one(BOOL).raw(&[2]).filled(), "metadata key \"k\": 2, expected 0 or 1"),
        (
            "text length max",
            one(STRING).u64(u64::MAX).filled(),
            "metadata key \"k\": 18446744073709551615 is over",
        ),
        ("text behind the end", one(STRING).u64(5000).filled(), "metadata key \"k\": needs 5000 bytes"),
        ("text not UTF-8", one(STRING).text(b"\xc3\x28").filled(), "metadata key \"k\": not UTF-8 text"),
        ("surrogate", one(STRING).text(b"\xed\xa0\x80").filled(), "metadata key \"k\": not UTF-8 text"),
        ("list type 13", list(13, 1).filled(), "metadata key \"k\": 13, expected a value type"),
        ("list of 2^64-1", list(U8, u64::MAX).filled(), "metadata key \"k\": 18446744073709551615 is over"),
        (
            "list whose bytes overflow",
            list(12, 1 << 61).filled(),
            "metadata key \"k\": 2305843009213693952 is over",
        ),
        ("list behind the end", list(U32, 1025).filled(), "metadata key \"k\": needs 4100 bytes where 4096"),
        (
            "texts behind the end",
            list(STRING, 513).filled(),
            "metadata key \"k\": needs 4104 bytes where 4096",
        ),
        (
            "a text in a list",
            list(STRING, 2).text(b"a").u64(1 << 40).filled(),
            "metadata key \"k\"[1]: 1099511627776",
        ),
        (
            "text of a list not UTF-8",
            list(STRING, 1).text(b"\xff").filled(),
            "metadata key \"k\"[0]: not UTF-8",
        ),
        (
            "list of bools of 7",
            list(BOOL, 3).raw(&[0, 1, 7]).filled(),
            "metadata key \"k\": 7, expected 0 or 1",
        ),
        ("lists four deep", nested(4), "metadata key \"k\": depth of lists: 5 is over the limit of 4"),
        ("lists 300 deep", nested(300), "metadata key \"k\": depth of lists: 5 is over the limit of 4"),
        (
            "lists over the budget of a file",
            two_keys_of_lists(),
            "metadata key \"b\": 40000 is over the limit of 25536",
        ),
        ("65537 lists", list(ARRAY, 65_537).filled(), "metadata key \"k\": 65537 is over the limit of 65536"),
        (
            "lists behind the end",
            list(ARRAY, 400).filled(),
            "metadata key \"k\": needs 4800 bytes where 4096",
        ),
        (
            "alignment 0",
            aligned(U32, &[0; 4]),
            "\"general.alignment\": u32 0, expected a u32 that is a power of two",
        ),
        ("alignment 48", aligned(U32, &[48, 0, 0, 0]), "\"general.alignment\": u32 48, expected"),
        ("alignment 2^31", aligned(U32, &[0, 0, 0, 128]), "\"general.alignment\": u32 2147483648, expected"),
        ("alignment as u8", aligned(U8, &[32]), "\"general.alignment\": u8 32, expected a u32"),
        ("alignment as text", aligned(STRING, &[0; 8]), "\"general.alignment\": string, expected a u32"),
    ]
}

pub fn tensors() -> Vec<Case> {
    let two = |second: &str, offset: u64| {
        let file = Gguf::new(2, 0).tensor("a", &[16], 0, 0).tensor(second, &[8], 0, offset);
        file.data(32, 128)
    };
    let name = |name: &[u8]| Gguf::new(1, 0).text(name).filled();
    let escape = Gguf::new(1, 0).tensor("\u{1b}[2J", &[0], 0, 0).filled();
    let odd = Gguf::new(1, 1).key("general.alignment", U32).u32(64).tensor("w", &[4], 0, 32).data(64, 64);
    vec![
        ("name not text", name(b"\xff"), "name of tensor 0: not UTF-8 text (byte 32)"),
        ("name of 2 KiB", name(&[b'a'; 2048]), "name of tensor 0: 2048 is over the limit of 1024"),
        ("name length max", Gguf::new(1, 0).u64(u64::MAX).filled(), "name of tensor 0: 18446744073709551615"),
        ("name twice", two("a", 64), "tensor \"a\": the name stands twice"),
        ("a name that paints", escape, "tensor \"\\u{1b}[2J\": shape [0] of F32: a dimension of zero"),
        ("no dimension", one(&[], 0, 0), "tensor \"w\": number of dimensions: 0, expected 1 to 4"),
        ("five dimensions", one(&[1; 5], 0, 0), "tensor \"w\": number of dimensions: 5, expected 1 to 4"),
        (
            "a dimension of zero",
            one(&[4, 0, 2], 0, 0),
            "shape [2, 0, 4] of F32: a dimension of zero (byte 33)",
        ),
        ("elements overflow", one(&[1 << 32, 1 << 32], 0, 0), "of F32: more elements than can be counted"),
        ("elements wrap to 4", one(&[1 << 63, 2, 4], 0, 0), "of F32: more elements than can be counted"),
        ("bytes overflow", one(&[1 << 62], 0, 0), "of F32: more bytes than can be counted"),
        ("dimension max", one(&[u64::MAX], 24, 0), "range 64..18446744073709551615 ends outside the file"),
        ("type 4", one(&[4], 4, 0), "tensor \"w\": unknown tensor type 4 (Q4_2, retired by GGML)"),
        ("type 31", one(&[4], 31, 0), "unknown tensor type 31 (Q4_0_4_4, retired by GGML)"),
        ("type 99", one(&[4], 99, 0), "tensor \"w\": unknown tensor type 99 (byte 45)"),
        ("type max", one(&[4], u32::MAX, 0), "tensor \"w\": unknown tensor type 4294967295"),
        (
            "row of half a block",
            one(&[16, 2], 2, 0),
            "shape [2, 16] of Q4_0: its rows are no multiple of the block",
        ),
        ("row of 1.5 superblocks", one(&[384], 12, 0), "shape [384] of Q4_K: its rows are no multiple"),
        ("offset 1", one(&[4], 0, 1), "tensor \"w\": offset 1 is no multiple of 32 (byte 49)"),
        ("offset of another alignment", odd, "tensor \"w\": offset 32 is no multiple of 64"),
        (
            "one byte too long",
            one(&[65], 24, 0),
            "tensor \"w\": range 64..129 ends outside the file of 128 bytes",
        ),
        (
            "offset at the end",
            one(&[4], 0, 64),
            "tensor \"w\": range 128..144 ends outside the file of 128 bytes",
        ),
        ("offset max", one(&[4], 0, u64::MAX - 31), "ends outside the file of 128 bytes (byte 49)"),
        (
            "offset 2^63",
            one(&[4], 0, 1 << 63),
            "tensor \"w\": range 9223372036854775872..9223372036854775888 ends",
        ),
        ("same place", two("b", 0), "tensor \"a\": range 96..160 overlaps tensor \"b\""),
        ("half over the other", two("b", 32), "tensor \"b\": range 128..160 overlaps tensor \"a\""),
        (
            "no data",
            Gguf::new(1, 0).tensor("w", &[4], 0, 0).0,
            "tensor \"w\": range 64..80 ends outside the file of 57",
        ),
        (
            "quantised, cut",
            one(&[128], 8, 0),
            "tensor \"w\": range 64..200 ends outside the file of 128 bytes",
        ),
    ]
}
