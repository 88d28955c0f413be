//! Which type each tensor of a quantised model gets, by the names that llama.cpp made usual.
//!
//! A mix gives the matrices that matter most (the output head, the values of attention, the last product of a
//! feed-forward block, the first and last layers) more bits than the rest. Vectors, routers and tables of positions are
//! never quantised.
//!
//! Source: the rules that llama.cpp's quantiser follows without an importance matrix, as facts; numbers of
//! `general.file_type` from the GGUF specification.

use formats::Dtype;

/// A mix of types under one name.
#[derive(Debug)]
pub(crate) struct Mix {
    /// As llama.cpp names it.
    pub name: &'static str,
    /// The number of `general.file_type`.
    pub file_type: u32,
    /// What most matrices get.
    base: Dtype,
    /// What the head gets, and the embedding table where it is the head.
    head: Dtype,
    values: Rule,
    /// Queries, keys and values in one.
    fused: Rule,
    output: Rule,
    down: Rule,
}

/// What a tensor of a layer gets, where it is not the base.
type Rule = fn(usize, Sizes) -> Option<Dtype>;

const fn plain(name: &'static str, file_type: u32, base: Dtype, head: Dtype) -> Mix {
    const BASE: Rule = |_, _| None;
    Mix { name, file_type, base, head, values: BASE, fused: BASE, output: BASE, down: BASE }
}

/// In the first eighth of the layers, in the last, and in every third between.
fn often(layer: usize, n_layers: usize) -> bool {
    layer < n_layers / 8 || layer >= 7 * n_layers / 8 || (layer - n_layers / 8) % 3 == 2
}

const OFTEN_SIX: Rule = |layer, sizes| often(layer, sizes.n_layers).then_some(Dtype::Q6_K);
const EIGHTH_FIVE: Rule = |layer, sizes| (layer < sizes.n_layers / 8).then_some(Dtype::Q5_K);
const SHARED_FIVE: Rule = |_, sizes| (sizes.n_sharing >= 4).then_some(Dtype::Q5_K);

/// Every mix, the most exact first.
pub(crate) static MIXES: &[Mix] = &[
    plain("F32", 0, Dtype::F32, Dtype::F32),
    plain("BF16", 32, Dtype::BF16, Dtype::BF16),
    plain("F16", 1, Dtype::F16, Dtype::F16),
    plain("Q8_0", 7, Dtype::Q8_0, Dtype::Q8_0),
    plain("Q6_K", 18, Dtype::Q6_K, Dtype::Q6_K),
    Mix {
        values: OFTEN_SIX,
        fused: |_, _| Some(Dtype::Q6_K),
        down: OFTEN_SIX,
        ..plain("Q5_K_M", 17, Dtype::Q5_K, Dtype::Q6_K)
    },
    plain("Q5_K_S", 16, Dtype::Q5_K, Dtype::Q6_K),
    Mix {
        values: OFTEN_SIX,
        fused: |_, _| Some(Dtype::Q5_K),
        down: OFTEN_SIX,
        ..plain("Q4_K_M", 15, Dtype::Q4_K, Dtype::Q6_K)
    },
    Mix {
        values: |layer, _| (layer < 4).then_some(Dtype::Q5_K),
        down: EIGHTH_FIVE,
        ..plain("Q4_K_S", 14, Dtype::Q4_K, Dtype::Q6_K)
    },
    Mix { values: SHARED_FIVE, down: EIGHTH_FIVE, ..plain("IQ4_NL", 25, Dtype::IQ4_NL, Dtype::Q6_K) },
    Mix { values: SHARED_FIVE, down: EIGHTH_FIVE, ..plain("IQ4_XS", 30, Dtype::IQ4_XS, Dtype::Q6_K) },
    plain("Q4_0", 2, Dtype::Q4_0, Dtype::Q6_K),
    Mix {
        values: |layer, _| Some(if layer < 2 { Dtype::Q5_K } else { Dtype::Q4_K }),
        fused: |_, _| Some(Dtype::Q4_K),
        output: |_, _| Some(Dtype::Q4_K),
        down: |layer, sizes| Some(if layer < sizes.n_layers / 16 { Dtype::Q5_K } else { Dtype::Q4_K }),
        ..plain("Q3_K_M", 12, Dtype::Q3_K, Dtype::Q6_K)
    },
    Mix {
        values: |_, sizes| Some(if sizes.n_sharing >= 4 { Dtype::Q4_K } else { Dtype::Q3_K }),
        output: |_, _| Some(Dtype::Q3_K),
        down: |_, _| Some(Dtype::Q3_K),
        ..plain("Q2_K", 10, Dtype::Q2_K, Dtype::Q6_K)
    },
];

/// What a tensor does, as far as a mix asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The output head, or the table that is one.
    Head,
    /// The values of attention in a layer.
    Values(usize),
    /// Queries, keys and values of a layer in one.
    Fused(usize),
    /// The last product of attention in a layer.
    Output(usize),
    /// The last product of a feed-forward block in a layer.
    Down(usize),
    /// Any other matrix of products, or the embedding table.
    Other,
}

/// The sizes that a mix depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub n_layers: usize,
    /// Query heads that share one head of keys and values.
    pub n_sharing: usize,
}

impl Mix {
    /// The mix of this name, in small or large letters.
    pub fn named(name: &str) -> Option<&'static Self> {
        let wanted = match name.to_ascii_uppercase() {
            plain if plain == "Q4_K" || plain == "Q5_K" || plain == "Q3_K" => plain + "_M",
            other => other,
        };
        MIXES.iter().find(|mix| mix.name == wanted)
    }

    /// The type of a tensor whose rows have `row` elements.
    pub fn dtype(&self, part: Part, sizes: Sizes, row: usize) -> Dtype {
        let wanted = match part {
            Part::Head => self.head,
            Part::Values(layer) => (self.values)(layer, sizes).unwrap_or(self.base),
            Part::Fused(layer) => (self.fused)(layer, sizes).unwrap_or(self.base),
            Part::Output(layer) => (self.output)(layer, sizes).unwrap_or(self.base),
            Part::Down(layer) => (self.down)(layer, sizes).unwrap_or(self.base),
            Part::Other => self.base,
        };
        fitting(wanted, row)
    }
}

/// The wanted type, or where rows are no blocks of it the nearest with smaller blocks, or half precision.
fn fitting(wanted: Dtype, row: usize) -> Dtype {
    let next = match wanted {
        Dtype::Q6_K => Dtype::Q8_0,
        Dtype::Q5_K => Dtype::Q5_1,
        Dtype::Q4_K => Dtype::Q5_0,
        Dtype::Q2_K | Dtype::Q3_K | Dtype::IQ4_XS => Dtype::IQ4_NL,
        _ => Dtype::F16,
    };
    match wanted.size_bytes(&[row as u64]) {
        Ok(_) => wanted,
        Err(_) => fitting(next, row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(mix: &str, part: fn(usize) -> Part, n_layers: usize) -> Vec<&'static str> {
        let sizes = Sizes { n_layers, n_sharing: 4 };
        let mix = Mix::named(mix).unwrap();
        (0..n_layers).map(|layer| mix.dtype(part(layer), sizes, 2048).name()).collect()
    }

    /// What llama.cpp's quantiser gives the 16 layers of Llama 3.2 1B.
    #[test]
    fn the_usual_mix_gives_half_of_the_layers_more_bits() {
        let more = [0, 1, 4, 7, 10, 13, 14, 15];
        for part in [Part::Values as fn(usize) -> Part, Part::Down] {
            let found = types("q4_k_m", part, 16);
            for (layer, dtype) in found.iter().enumerate() {
                assert_eq!(*dtype, if more.contains(&layer) { "Q6_K" } else { "Q4_K" }, "{layer}");
            }
        }
        assert_eq!(types("Q4_K_S", Part::Values, 16)[3..5], ["Q5_K", "Q4_K"]);
        assert_eq!(types("Q4_K_S", Part::Down, 16)[1..3], ["Q5_K", "Q4_K"]);
        assert_eq!(types("Q3_K_M", Part::Down, 16)[..4], ["Q5_K", "Q4_K", "Q4_K", "Q4_K"]);
        assert_eq!(types("Q2_K", Part::Values, 2), ["Q4_K", "Q4_K"]);
    }

    #[test]
    fn rows_that_are_no_blocks_get_the_next_type_that_fits() {
        let sizes = Sizes { n_layers: 2, n_sharing: 1 };
        let dtype = |mix: &str, part, row| Mix::named(mix).unwrap().dtype(part, sizes, row).name();
        assert_eq!(dtype("Q4_K_M", Part::Other, 288), "Q5_0");
        assert_eq!(dtype("Q4_K_M", Part::Head, 288), "Q8_0");
        assert_eq!(dtype("IQ4_XS", Part::Other, 288), "IQ4_NL");
        assert_eq!(dtype("Q4_0", Part::Other, 100), "F16");
    }

    #[test]
    fn names_are_unique_and_found_in_any_letters() {
        for mix in MIXES {
            assert!(std::ptr::eq(Mix::named(&mix.name.to_lowercase()).unwrap(), mix));
            assert_eq!(MIXES.iter().filter(|other| other.file_type == mix.file_type).count(), 1);
        }
        assert_eq!(Mix::named("Q4_K").unwrap().name, "Q4_K_M");
        assert!(Mix::named("Q9").is_none());
    }
}
