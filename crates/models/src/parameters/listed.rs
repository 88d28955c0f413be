//! The tensors of a model of given sizes, as a file of any dialect has them: what somebody needs to write such a file
//! without having the model.
//!
//! Unlike [`Parameters`](super::Parameters) it knows experts and sinks, which cannot be learned yet. Does not: make
//! numbers, or list what only some files of a family have (divisors of angles).

use super::written::is_by_head;
use super::{FileRows, Head, InFile, Plan, Planned, Start, plan};
use crate::blocks::Biases;
use crate::config::ExpertSizes;
use crate::family::{ExpertTensors, Matrices, bias_of, of_layer};
use crate::{Config, Dialect};

/// A tensor that a file of such a model has.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its name in the file.
    pub name: String,
    /// Its shape in the file, outermost first.
    pub shape: Vec<usize>,
    /// About which number the file has its numbers before anything is learned.
    pub mean: f32,
    /// Standard deviation of its numbers then; 0 where all are the same.
    pub deviation: f32,
}

/// Every tensor of such a model, in the order in which the model uses them.
pub fn list(config: &Config, head: Head, dialect: &Dialect) -> Vec<Listed> {
    let mut list: Vec<Listed> = Vec::new();
    for planned in plan(config, head, dialect) {
        // Parts of one tensor stand close together, with at most their biases between.
        match list.iter_mut().rev().take(2).find(|listed| listed.name == planned.file.name) {
            Some(whole) => whole.shape[0] += planned.shape[0],
            None => list.push(planned.listed(config, dialect)),
        }
    }
    let is_product =
        |listed: &Listed| listed.shape.len() == 2 && dialect.matrices == Matrices::InputsByOutputs;
    let names = dialect.names;
    let is_table = |listed: &Listed| [names.embedding, names.positions, names.head].contains(&&*listed.name);
    for listed in list.iter_mut().filter(|listed| is_product(listed) && !is_table(listed)) {
        listed.shape.reverse();
    }
    debug_assert!(list.iter().all(|listed| !is_by_head(&listed.name, dialect) || listed.shape[0] % 3 == 0));
    list
}

impl Planned {
    fn listed(self, config: &Config, dialect: &Dialect) -> Listed {
        let additions = (2.0 * config.n_layers as f64).sqrt();
        let deviation = match self.start {
            Start::Zero | Start::One => 0.0,
            Start::Table => super::EMBEDDING_DEVIATION,
            Start::Inner => self.inner_deviation(),
            Start::Added => self.inner_deviation() / additions,
        };
        let mean = match (self.start, self.file.rows) {
            (Start::One, FileRows::Norm) => 1.0 - dialect.norm_offset,
            (Start::One, _) => 1.0,
            _ => 0.0,
        };
        Listed { name: self.file.name, shape: self.shape, mean, deviation: deviation as f32 }
    }
}

impl Plan {
    /// What chooses experts, and the experts, however the dialect puts them into tensors.
    pub(super) fn experts(&mut self, config: &Config, sizes: ExpertSizes, dialect: &Dialect, index: usize) {
        let (names, n) = (dialect.names, sizes.n_experts);
        let (width, inner) = (config.width, config.feed_forward);
        let biases = config.blocks.biases;
        self.expert(&of_layer(names.router, index), vec![n, width], Start::Inner, biases);
        let ways = [
            (names.expert_gate, [inner, width], Start::Inner),
            (names.expert_up, [inner, width], Start::Inner),
            (names.expert_down, [width, inner], Start::Added),
        ];
        match dialect.experts {
            ExpertTensors::Stacked => {
                for (name, [rows, columns], start) in ways {
                    self.expert(&of_layer(name, index), vec![n, rows, columns], start, biases);
                }
            }
            ExpertTensors::Alone => {
                for expert in 0..n {
                    for (name, shape, start) in ways {
                        let name = of_layer(name, index).replace("{e}", &expert.to_string());
                        self.expert(&name, shape.to_vec(), start, biases);
                    }
                }
            }
            ExpertTensors::StackedByInputs => {
                let both = (names.expert_gate, [width, 2 * inner], Start::Inner);
                let down = (names.expert_down, [inner, width], Start::Added);
                for (name, [inputs, outputs], start) in [both, down] {
                    let name = of_layer(name, index);
                    self.expert(&name, vec![n, inputs, outputs], start, Biases::None);
                    if biases == Biases::All {
                        self.expert(&bias_of(&name), vec![n, outputs], Start::Zero, Biases::None);
                    }
                }
            }
        }
    }

    /// The score of each head that belongs to no token, where the family has such.
    pub(super) fn sinks(&mut self, config: &Config, dialect: &Dialect, index: usize) {
        if !dialect.names.sinks.is_empty() {
            self.expert(
                &of_layer(dialect.names.sinks, index),
                vec![config.n_heads],
                Start::Zero,
                Biases::None,
            );
        }
    }

    fn expert(&mut self, name: &str, shape: Vec<usize>, start: Start, biases: Biases) {
        let file = InFile { name: name.into(), rows: FileRows::Plain };
        self.list.push(Planned { name: name.into(), shape, start, file });
        self.bias(biases);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{FAMILIES, GEMMA3, GPT2, LLAMA, PHI3, QWEN3_MOE};
    use crate::{Decoder, Family};
    use ops::weight::{Lent, Storage};

    /// Zeros under the names that the list has.
    struct Zeros(Vec<Listed>);

    impl crate::Tensors for Zeros {
        fn label(&self) -> &str {
            "a list"
        }

        fn find(&self, name: &str) -> Result<Option<crate::tensors::Found>, crate::Error> {
            let found = self.0.iter().find(|listed| listed.name == name);
            Ok(found.map(|listed| crate::tensors::Found {
                shape: listed.shape.clone(),
                storage: Storage::F32,
                bytes: Lent::new(vec![0; 4 * listed.shape.iter().product::<usize>()]),
            }))
        }
    }

    fn config(family: &Family, dialect: &Dialect) -> Config {
        let mut config = Config::new([32, 16, 3, 24, 8], [4, 4], dialect);
        if !matches!(family.name, "gpt2" | "gpt_neox") {
            config.n_kv_heads = 2;
        }
        if matches!(family.name, "qwen3_moe" | "mixtral" | "gpt_oss") {
            config.experts = Some(ExpertSizes { n_experts: 4, n_chosen: 2 });
        }
        config
    }

    /// What is listed is what loading asks for, in every family and both kinds of file.
    #[test]
    fn every_family_loads_from_its_list() {
        for family in FAMILIES {
            for dialect in [&family.gguf, &family.hugging_face] {
                let config = config(family, dialect);
                for head in [Head::Own, Head::Tied] {
                    let zeros = Zeros(list(&config, head, dialect));
                    let loaded = Decoder::load(&zeros, config.clone(), dialect, &ops::device::cpu());
                    assert!(loaded.is_ok(), "{}: {}", family.name, loaded.err().unwrap());
                }
            }
        }
    }

    #[test]
    fn names_are_unique_and_shapes_are_the_files() {
        let of = |family: &Family, dialect: &Dialect, name: &str| {
            let list = list(&config(family, dialect), Head::Own, dialect);
            let mut names: Vec<&str> = list.iter().map(|listed| &*listed.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), list.len(), "{}", family.name);
            list.into_iter().find(|listed| listed.name == name).unwrap_or_else(|| panic!("{name}"))
        };
        assert_eq!(of(&LLAMA, &LLAMA.gguf, "blk.2.attn_k.weight").shape, [8, 16]);
        assert_eq!(of(&PHI3, &PHI3.gguf, "blk.0.attn_qkv.weight").shape, [32, 16]);
        assert_eq!(of(&PHI3, &PHI3.gguf, "blk.0.ffn_up.weight").shape, [48, 16]);
        assert_eq!(of(&GPT2, &GPT2.hugging_face, "transformer.h.0.attn.c_attn.weight").shape, [16, 48]);
        assert_eq!(of(&GPT2, &GPT2.gguf, "blk.0.attn_qkv.bias").shape, [48]);
        assert_eq!(of(&QWEN3_MOE, &QWEN3_MOE.gguf, "blk.1.ffn_down_exps.weight").shape, [4, 16, 24]);
        let expert = "model.layers.1.mlp.experts.3.down_proj.weight";
        assert_eq!(of(&QWEN3_MOE, &QWEN3_MOE.hugging_face, expert).shape, [16, 24]);
        assert_eq!(of(&GEMMA3, &GEMMA3.hugging_face, "model.norm.weight").mean, 0.0);
        assert_eq!(of(&GEMMA3, &GEMMA3.gguf, "output_norm.weight").mean, 1.0);
    }
}
