//! The types that a tensor in a file can have, and how many bytes so many elements take.
//!
//! Every type of GGML and of safetensors is known by name, so that a file can be shown and its ranges checked
//! even where Hearth cannot compute with it. Does not decode blocks: that is `kernels`.
//!
//! Source: `ggml.h` and `ggml-common.h` of the GGML project (type numbers, block structures), the safetensors
//! format page (names), both as facts.

use std::fmt;

/// The type of a tensor's elements or blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, non_camel_case_types)]
pub enum Dtype {
    F32,
    F16,
    BF16,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    F8_E4M3,
    F8_E5M2,
    F8_E8M0,
    Q1_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ1_S,
    IQ1_M,
    IQ2_XXS,
    IQ2_XS,
    IQ2_S,
    IQ3_XXS,
    IQ3_S,
    IQ4_NL,
    IQ4_XS,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
}

/// What is known of one type.
struct Facts {
    dtype: Dtype,
    name: &'static str,
    /// The number in a GGUF file.
    ggml: Option<u32>,
    /// The name in a safetensors file.
    safetensors: Option<&'static str>,
    block_elements: usize,
    block_bytes: usize,
    /// Of the widest number inside a block.
    alignment: usize,
}

const fn scalar(
    dtype: Dtype,
    name: &'static str,
    ggml: Option<u32>,
    safetensors: &'static str,
    bytes: usize,
) -> Facts {
    Facts {
        dtype,
        name,
        ggml,
        safetensors: Some(safetensors),
        block_elements: 1,
        block_bytes: bytes,
        alignment: bytes,
    }
}

const fn block(dtype: Dtype, name: &'static str, ggml: u32, size: (usize, usize), alignment: usize) -> Facts {
    let (block_elements, block_bytes) = size;
    Facts { dtype, name, ggml: Some(ggml), safetensors: None, block_elements, block_bytes, alignment }
}

static FACTS: &[Facts] = &[
    scalar(Dtype::F32, "F32", Some(0), "F32", 4),
    scalar(Dtype::F16, "F16", Some(1), "F16", 2),
    scalar(Dtype::BF16, "BF16", Some(30), "BF16", 2),
    scalar(Dtype::F64, "F64", Some(28), "F64", 8),
    scalar(Dtype::I8, "I8", Some(24), "I8", 1),
    scalar(Dtype::I16, "I16", Some(25), "I16", 2),
    scalar(Dtype::I32, "I32", Some(26), "I32", 4),
    scalar(Dtype::I64, "I64", Some(27), "I64", 8),
    scalar(Dtype::U8, "U8", None, "U8", 1),
    scalar(Dtype::U16, "U16", None, "U16", 2),
    scalar(Dtype::U32, "U32", None, "U32", 4),
    scalar(Dtype::U64, "U64", None, "U64", 8),
    scalar(Dtype::Bool, "BOOL", None, "BOOL", 1),
    scalar(Dtype::F8_E4M3, "F8_E4M3", None, "F8_E4M3", 1),
    scalar(Dtype::F8_E5M2, "F8_E5M2", None, "F8_E5M2", 1),
    scalar(Dtype::F8_E8M0, "F8_E8M0", None, "F8_E8M0", 1),
    block(Dtype::Q1_0, "Q1_0", 41, (128, 18), 2),
    block(Dtype::Q4_0, "Q4_0", 2, (32, 18), 2),
    block(Dtype::Q4_1, "Q4_1", 3, (32, 20), 2),
    block(Dtype::Q5_0, "Q5_0", 6, (32, 22), 2),
    block(Dtype::Q5_1, "Q5_1", 7, (32, 24), 2),
    block(Dtype::Q8_0, "Q8_0", 8, (32, 34), 2),
    block(Dtype::Q8_1, "Q8_1", 9, (32, 36), 2),
    block(Dtype::Q2_K, "Q2_K", 10, (256, 84), 2),
    block(Dtype::Q3_K, "Q3_K", 11, (256, 110), 2),
    block(Dtype::Q4_K, "Q4_K", 12, (256, 144), 2),
    block(Dtype::Q5_K, "Q5_K", 13, (256, 176), 2),
    block(Dtype::Q6_K, "Q6_K", 14, (256, 210), 2),
    block(Dtype::Q8_K, "Q8_K", 15, (256, 292), 4),
    block(Dtype::IQ2_XXS, "IQ2_XXS", 16, (256, 66), 2),
    block(Dtype::IQ2_XS, "IQ2_XS", 17, (256, 74), 2),
    block(Dtype::IQ3_XXS, "IQ3_XXS", 18, (256, 98), 2),
    block(Dtype::IQ1_S, "IQ1_S", 19, (256, 50), 2),
    block(Dtype::IQ4_NL, "IQ4_NL", 20, (32, 18), 2),
    block(Dtype::IQ3_S, "IQ3_S", 21, (256, 110), 2),
    block(Dtype::IQ2_S, "IQ2_S", 22, (256, 82), 2),
    block(Dtype::IQ4_XS, "IQ4_XS", 23, (256, 136), 2),
    block(Dtype::IQ1_M, "IQ1_M", 29, (256, 56), 1),
    block(Dtype::TQ1_0, "TQ1_0", 34, (256, 54), 2),
    block(Dtype::TQ2_0, "TQ2_0", 35, (256, 66), 2),
    block(Dtype::MXFP4, "MXFP4", 39, (32, 17), 1),
    block(Dtype::NVFP4, "NVFP4", 40, (64, 36), 1),
];

/// Numbers that GGML gave away and took back, with the name they had.
static RETIRED: &[(u32, &str)] = &[
    (4, "Q4_2"),
    (5, "Q4_3"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
];

/// Stands in only if the table above forgot a type, which `every_type_has_its_facts` refuses.
static UNLISTED: Facts = block(Dtype::U8, "unlisted", u32::MAX, (1, 1), 1);

impl Dtype {
    /// The type with this number in a GGUF file.
    pub fn from_ggml(id: u32) -> Option<Self> {
        FACTS.iter().find(|facts| facts.ggml == Some(id)).map(|facts| facts.dtype)
    }

    /// The type with this name in a safetensors file.
    pub fn from_safetensors(name: &str) -> Option<Self> {
        FACTS.iter().find(|facts| facts.safetensors == Some(name)).map(|facts| facts.dtype)
    }

    /// Its number in a GGUF file; `None` where GGUF has no such type.
    pub fn ggml(self) -> Option<u32> {
        self.facts().ggml
    }

    /// Its name in a safetensors file; `None` where safetensors has no such type.
    pub fn safetensors(self) -> Option<&'static str> {
        self.facts().safetensors
    }

    /// Its name, as GGML writes it where GGML knows it.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Elements in one block; 1 for plain numbers.
    pub fn block_elements(self) -> usize {
        self.facts().block_elements
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> usize {
        self.facts().block_bytes
    }

    /// What the first byte's address must be a multiple of, to read blocks in place.
    pub fn alignment(self) -> usize {
        self.facts().alignment
    }

    /// Whether Hearth can compute with it today.
    pub fn is_usable(self) -> bool {
        matches!(
            self,
            Self::F32
                | Self::F16
                | Self::BF16
                | Self::Q4_0
                | Self::Q4_1
                | Self::Q5_0
                | Self::Q5_1
                | Self::Q8_0
                | Self::Q2_K
                | Self::Q3_K
                | Self::Q4_K
                | Self::Q5_K
                | Self::Q6_K
                | Self::IQ4_NL
                | Self::IQ4_XS
                | Self::MXFP4
                | Self::IQ2_XXS
                | Self::IQ2_XS
                | Self::IQ2_S
                | Self::IQ3_XXS
                | Self::IQ3_S
                | Self::IQ1_S
                | Self::IQ1_M
                | Self::TQ1_0
                | Self::TQ2_0
                | Self::NVFP4
        )
    }

    /// Bytes of a tensor of this shape, outermost first; no dimension means one element.
    ///
    /// # Errors
    /// What is wrong: a row that is no multiple of the block, or a product that cannot be counted.
    pub fn size_bytes(self, shape: &[u64]) -> Result<u64, &'static str> {
        let facts = self.facts();
        let elements = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
        let elements = elements.ok_or("more elements than can be counted")?;
        let block = facts.block_elements as u64;
        let row = shape.last().copied().unwrap_or(1);
        if row.checked_rem(block) != Some(0) {
            return Err("its rows are no multiple of the block");
        }
        let blocks = elements.checked_div(block).unwrap_or_default();
        blocks.checked_mul(facts.block_bytes as u64).ok_or("more bytes than can be counted")
    }

    fn facts(self) -> &'static Facts {
        FACTS.iter().find(|facts| facts.dtype == self).unwrap_or(&UNLISTED)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How an error names a GGML number without a type.
pub(crate) fn unknown_ggml(id: u32) -> String {
    match RETIRED.iter().find(|(number, _)| *number == id) {
        Some((_, name)) => format!("{id} ({name}, retired by GGML)"),
        None => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_facts() {
        // The last variant's number plus one is the number of variants.
        assert_eq!(FACTS.len(), Dtype::NVFP4 as usize + 1);
        for facts in FACTS {
            assert_eq!(facts.dtype.name(), facts.name);
            assert_eq!(format!("{:?}", facts.dtype).to_uppercase(), facts.name.to_uppercase());
            assert_eq!(facts.ggml.and_then(Dtype::from_ggml), facts.ggml.map(|_| facts.dtype));
            assert_eq!(
                facts.safetensors.and_then(Dtype::from_safetensors),
                facts.safetensors.map(|_| facts.dtype)
            );
            assert!(facts.block_elements > 0 && facts.block_bytes % facts.alignment == 0);
        }
    }

    #[test]
    fn block_sizes_follow_from_their_fields() {
        // Scales, minima and quants as the block structures list them, in bytes.
        let check = |dtype: Dtype, fields: &[usize]| {
            assert_eq!(dtype.block_bytes(), fields.iter().sum::<usize>(), "{dtype}");
        };
        check(Dtype::Q4_0, &[2, 32 / 2]);
        check(Dtype::Q4_1, &[2, 2, 32 / 2]);
        check(Dtype::Q5_0, &[2, 4, 32 / 2]);
        check(Dtype::Q5_1, &[2, 2, 4, 32 / 2]);
        check(Dtype::Q8_0, &[2, 32]);
        check(Dtype::Q8_1, &[2, 2, 32]);
        check(Dtype::Q2_K, &[256 / 16, 256 / 4, 2, 2]);
        check(Dtype::Q3_K, &[256 / 8, 256 / 4, 12, 2]);
        check(Dtype::Q4_K, &[2, 2, 12, 256 / 2]);
        check(Dtype::Q5_K, &[2, 2, 12, 256 / 8, 256 / 2]);
        check(Dtype::Q6_K, &[256 / 2, 256 / 4, 256 / 16, 2]);
        check(Dtype::Q8_K, &[4, 256, 256 / 16 * 2]);
        check(Dtype::IQ2_XXS, &[2, 256 / 8 * 2]);
        check(Dtype::IQ2_XS, &[2, 256 / 8 * 2, 256 / 32]);
        check(Dtype::IQ2_S, &[2, 256 / 4, 256 / 32, 256 / 32]);
        check(Dtype::IQ3_XXS, &[2, 3 * 256 / 8]);
        check(Dtype::IQ3_S, &[2, 256 / 4, 256 / 32, 256 / 8, 256 / 64]);
        check(Dtype::IQ1_S, &[2, 256 / 8, 256 / 32 * 2]);
        check(Dtype::IQ1_M, &[256 / 8, 256 / 16, 256 / 32]);
        check(Dtype::IQ4_NL, &[2, 32 / 2]);
        check(Dtype::IQ4_XS, &[2, 2, 256 / 64, 256 / 2]);
        check(Dtype::TQ1_0, &[(256 - 4 * 256 / 64) / 5, 256 / 64, 2]);
        check(Dtype::TQ2_0, &[256 / 4, 2]);
        check(Dtype::MXFP4, &[1, 32 / 2]);
        check(Dtype::NVFP4, &[64 / 16, 64 / 2]);
        check(Dtype::Q1_0, &[2, 128 / 8]);
    }

    #[test]
    fn usable_types_are_known_by_name() {
        let usable: Vec<&str> =
            FACTS.iter().filter(|facts| facts.dtype.is_usable()).map(|facts| facts.name).collect();
        let numbers = ["F32", "F16", "BF16"];
        let blocks = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"];
        let of_books =
            ["IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "IQ1_M"];
        let others = ["TQ1_0", "TQ2_0", "MXFP4", "NVFP4"];
        assert_eq!(usable, [&numbers[..], &blocks, &of_books, &others].concat());
    }

    #[test]
    fn sizes_are_checked_products() {
        assert_eq!(Dtype::F16.size_bytes(&[3, 5]), Ok(30));
        assert_eq!(Dtype::F32.size_bytes(&[]), Ok(4));
        assert_eq!(Dtype::Q8_0.size_bytes(&[2, 64]), Ok(136));
        assert!(Dtype::Q8_0.size_bytes(&[64, 2]).is_err());
        assert!(Dtype::F32.size_bytes(&[1 << 32, 1 << 32]).is_err());
        assert!(Dtype::F32.size_bytes(&[1 << 62]).is_err());
    }
}
