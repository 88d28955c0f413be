//! The JSON header of a safetensors file: first scanned for its limits, then read by `serde_json`.
//!
//! The scan bounds what the JSON reader can be made to allocate, and notes where every tensor's name stands.
//! Names that stand twice are kept, so that the reader can refuse them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{MAX_DIMENSIONS, MAX_METADATA, MAX_TENSORS, METADATA_KEY};

/// What the header says, unchecked.
#[derive(Default)]
pub(super) struct Header<'a> {
    pub metadata: Vec<(String, String)>,
    pub tensors: Vec<RawTensor<'a>>,
}

pub(super) struct RawTensor<'a> {
    pub name: String,
    /// The how-manieth key of the object it is.
    pub key: usize,
    pub facts: Facts<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts<'a> {
    #[serde(borrow)]
    pub dtype: Cow<'a, str>,
    pub shape: Shape,
    pub data_offsets: (u64, u64),
}

/// At most eight dimensions, so that a list in the header cannot grow in memory.
pub(super) struct Shape(pub Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of sizes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut sizes = Vec::new();
                while let Some(size) = list.next_element()? {
                    if sizes.len() >= MAX_DIMENSIONS {
                        return Err(A::Error::custom("a shape of more than 8 dimensions"));
                    }
                    sizes.push(size);
                }
                Ok(Shape(sizes))
            }
        }
        deserializer.deserialize_seq(Sizes)
    }
}

/// The texts under `__metadata__`, in order.
struct Texts(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    if pairs.len() >= MAX_METADATA {
                        return Err(A::Error::custom("more than 65536 metadata keys"));
                    }
                    pairs.push(pair);
                }
                Ok(Texts(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl<'de> Deserialize<'de> for Header<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Header<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header<'de>, A::Error> {
                let mut header = Header::default();
                let mut metadata = None;
                let mut key = 0usize;
                while let Some(name) = map.next_key::<String>()? {
                    if name == METADATA_KEY {
                        if metadata.is_some() {
                            return Err(A::Error::custom("the key `__metadata__` stands twice"));
                        }
                        metadata = Some(map.next_value::<Texts>()?.0);
                    } else {
                        header.tensors.push(RawTensor { name, key, facts: map.next_value()? });
                    }
                    key = key.saturating_add(1);
                }
                header.metadata = metadata.unwrap_or_default();
                Ok(header)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A limit that the header breaks, at a byte of it.
pub(super) struct OverLimit {
    pub field: &'static str,
    pub offset: usize,
    pub claimed: usize,
    pub limit: usize,
}

/// Where the keys of the outermost object stand. Sound for sound JSON; other text is refused later.
pub(super) fn scan(header: &[u8], max_text: usize) -> Result<Vec<u32>, OverLimit> {
    let mut keys = Vec::new();
    let mut depth = 0usize;
    let mut wants_key = false;
    let mut bytes = header.iter().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                wants_key = depth == 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => wants_key = depth == 1,
            b'"' => {
                if wants_key {
                    wants_key = false;
                    keys.push(u32::try_from(offset).unwrap_or(u32::MAX));
                }
                let mut escaped = false;
                let end = bytes.find(|(_, byte)| {
                    let ends = **byte == b'"' && !escaped;
                    escaped = **byte == b'\\' && !escaped;
                    ends
                });
                let end = end.map_or(header.len(), |(end, _)| end);
                let length = end.saturating_sub(offset).saturating_sub(1);
                if length > max_text {
                    return Err(OverLimit {
                        field: "header: a text",
                        offset,
                        claimed: length,
                        limit: max_text,
                    });
                }
            }
            _ => {}
        }
        if keys.len() > MAX_TENSORS {
            return Err(OverLimit { field: "tensor count", offset, claimed: keys.len(), limit: MAX_TENSORS });
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scan_finds_the_outer_keys_only() {
        let text = br#" {"a":{"b":["c","d"]}, "e\"f\\" : 1,"g":[{"h":2}]}"#;
        let keys = scan(text, 100).ok().unwrap();
        let expected = ["\"a\"", "\"e\\\"", "\"g\""];
        let text = std::str::from_utf8(text).unwrap();
        for (key, expected) in keys.iter().zip(expected) {
            assert!(text[*key as usize..].starts_with(expected), "{key} {expected}");
        }
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn the_scan_bounds_texts() {
        assert!(scan(br#"{"abc":"defgh"}"#, 5).is_ok());
        let over = scan(br#"{"abc":"defghi"}"#, 5).err().unwrap();
        assert_eq!((over.offset, over.claimed), (7, 6));
        assert!(scan(br#"{"abcdefgh"#, 5).is_err());
    }
}
