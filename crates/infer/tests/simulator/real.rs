//! The same scenarios on real models: the bits of every probability are those of the sequence alone, whatever the
//! batch, the pieces of a prompt, the number of threads, and however often it was preempted and computed again.

use std::collections::HashMap;
use std::path::Path;

use base::{Rng, TokenId};
use formats::adapter::{self, Naming};
use formats::{Dtype, FileBytes, Metadata, TensorFile, TensorSpec, gguf, llama2c};
use infer::{Engine, Limits, LocalModel, Request};
use models::families::LLAMA;
use models::tensors::adapter::Adapter;
use models::tensors::{Found, Tensors};
use models::{Config, Decoder, Family};
use ops::linear::low_rank::AdapterId;
use ops::weight::{Quantised, Storage};

use crate::scenario::{Outcome, Scenario, Sizes, alone, compare, run};

/// How often memory ran short, and how many tokens were copied.
fn replay(decoder: &Decoder, kept: &[Storage], sizes: Sizes, seeds: std::ops::Range<u64>) -> [usize; 2] {
    replay_with(decoder, &[], kept, (sizes, seeds))
}

/// So too, of requests with one of these adapters or none.
fn replay_with(
    decoder: &Decoder,
    adapters: &[(AdapterId, Adapter)],
    kept: &[Storage],
    (sizes, seeds): (Sizes, std::ops::Range<u64>),
) -> [usize; 2] {
    let ids: Vec<AdapterId> = adapters.iter().map(|(id, _)| *id).collect();
    let mut known: HashMap<String, Outcome> = HashMap::new();
    let (mut n_preempted, mut n_copied) = (0, 0);
    for seed in seeds {
        let scenario = Scenario::new(seed, sizes).with_adapters(seed, &ids);
        kernels::pool::set_active_threads([1, 2, 3, 5][seed as usize % 4]);
        let blocks = [5, 7, 9, 40][(seed / 4) as usize % 4];
        let storage = kept[(seed / 2) as usize % kept.len()];
        let engine = |limits| {
            let model = LocalModel::with_blocks(decoder.clone(), blocks, storage);
            let mut model = model.expect("heads that can be kept so");
            adapters.iter().for_each(|(id, adapter)| model.attach(*id, adapter));
            Engine::new(model, limits)
        };
        let report = run(&mut engine(scenario.limits), &scenario);
        n_preempted += report.n_preempted;
        n_copied += report.n_copied;
        kernels::pool::set_active_threads(2);
        let alone_once = |request: &Request| {
            let key = format!("{storage:?} {request:?}");
            known.entry(key).or_insert_with(|| alone(&mut engine(Limits::default()), request)).clone()
        };
        compare(&scenario, &report, alone_once, seed);
    }
    [n_preempted, n_copied]
}

/// A llama2.c checkpoint under the names of a GGUF file.
struct Renamed(TensorFile);

impl Tensors for Renamed {
    fn label(&self) -> &str {
        self.0.file().label()
    }

    fn find(&self, name: &str) -> Result<Option<Found>, models::Error> {
        const NAMES: &[(&str, &str)] = &[
            ("token_embd.weight", "token_embedding_table"),
            ("output_norm.weight", "rms_final_weight"),
            ("attn_norm.weight", "rms_att_weight"),
            ("attn_q.weight", "wq"),
            ("attn_k.weight", "wk"),
            ("attn_v.weight", "wv"),
            ("attn_output.weight", "wo"),
            ("ffn_norm.weight", "rms_ffn_weight"),
            ("ffn_gate.weight", "w1"),
            ("ffn_down.weight", "w2"),
            ("ffn_up.weight", "w3"),
        ];
        let old = |name: &str| NAMES.iter().find(|(new, _)| *new == name).map(|(_, old)| *old);
        let of_layer = || {
            let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
            Some(format!("layers.{layer}.{}", old(rest)?))
        };
        match of_layer().or_else(|| old(name).map(str::to_owned)) {
            Some(old) => Tensors::find(&self.0, &old),
            None => Ok(None),
        }
    }
}

pub fn stories260k(path: &Path) -> Decoder {
    let llama2c::Checkpoint { header, file } = llama2c::read(&FileBytes::open(path).unwrap()).unwrap();
    let sizes = [header.vocab_size, header.dim, header.n_layers, header.hidden_dim, header.seq_len];
    let config = Config::new(sizes, [header.n_heads, header.n_kv_heads], &LLAMA.gguf);
    Decoder::load(&Renamed(file), config, &LLAMA.gguf, &ops::device::cpu()).unwrap()
}

#[test]
fn stories260k_in_a_batch_is_as_alone_for_two_hundred_scenarios() {
    let test = "infer::simulator::real::stories260k_in_a_batch_is_as_alone_for_two_hundred_scenarios";
    let Some(shared) = testkit::shared::shared(test) else { return };
    let decoder = stories260k(&shared.join("llm/stories260K/stories260K.bin"));
    let sizes = Sizes { vocabulary: 512, longest_prompt: 110, longest_answer: 40 };
    // Its heads have eight numbers: no blocks.
    let [n_preempted, n_copied] = replay(&decoder, &[Storage::F32, Storage::F16], sizes, 0..200);
    assert!(n_preempted > 50, "memory ran short only {n_preempted} times");
    assert!(n_copied > 300, "only {n_copied} tokens are copied");
}

/// The model in the box.
pub fn starter() -> Decoder {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/starter.gguf");
    let file = gguf::read(&FileBytes::open(&path).unwrap()).unwrap();
    models::load(&file, &ops::device::cpu()).unwrap()
}

#[test]
fn the_starter_in_a_batch_is_as_alone() {
    let decoder = starter();
    let sizes = Sizes { vocabulary: decoder.config().vocabulary, longest_prompt: 90, longest_answer: 25 };
    let kept = [Storage::F16, Storage::Q8_0, Storage::Blocks(Quantised::Q4_0)];
    replay(&decoder, &kept, sizes, 0..8);
}

/// An adapter with random numbers for the products of every layer of a Llama.
fn random_adapter(config: &Config, family: &'static Family, number: u8) -> (AdapterId, Adapter) {
    let mut rng = Rng::new(number.into());
    let (width, inner, rank) = (config.width, config.feed_forward, 2 + usize::from(number));
    let [queries, keys] = [config.n_heads, config.n_kv_heads].map(|heads| heads * config.head_size);
    let mut metadata = Metadata::new("adapter");
    metadata.insert("general.type", "adapter".into());
    metadata.insert("general.architecture", family.gguf.architectures[0].into());
    metadata.insert("adapter.type", "lora".into());
    metadata.insert("adapter.lora.alpha", (rank as f32).into());
    let mut specs = Vec::new();
    for layer in 0..config.n_layers {
        let products = [
            ("attn_q", queries, width),
            ("attn_k", keys, width),
            ("attn_v", keys, width),
            ("ffn_down", width, inner),
        ];
        for (name, outer, inner) in products {
            let spec = |end: &str, shape: [usize; 2]| TensorSpec {
                name: format!("blk.{layer}.{name}.weight.{end}"),
                dtype: Dtype::F32,
                shape: shape.to_vec(),
            };
            specs.extend([spec("lora_a", [rank, inner]), spec("lora_b", [outer, rank])]);
        }
    }
    let mut writer = gguf::write(Vec::new(), &metadata, &specs).unwrap();
    for spec in &specs {
        let n_values: usize = spec.shape.iter().product();
        let amplitude = 0.5 / (spec.shape[1] as f64).sqrt();
        let value = |_| ((rng.normal() * amplitude) as f32).to_le_bytes();
        writer.append(&(0..n_values).flat_map(value).collect::<Vec<u8>>()).unwrap();
    }
    let file = FileBytes::from_vec("adapter", writer.finish().unwrap());
    let file = adapter::read_gguf(&file).unwrap();
    let adapter = Adapter::new(&file, config, (family, Naming::Gguf), &ops::device::cpu());
    (AdapterId([number; 32]), adapter.unwrap())
}

/// Two users with an adapter each and one with none, in one engine: each is as alone, also where a page of one's text
/// was computed for another.
#[test]
fn the_starter_with_adapters_in_a_batch_is_as_alone() {
    let decoder = starter();
    let adapters = [1, 2].map(|number| random_adapter(decoder.config(), &LLAMA, number));
    let sizes = Sizes { vocabulary: decoder.config().vocabulary, longest_prompt: 90, longest_answer: 25 };
    let kept = [Storage::F16, Storage::Q8_0];
    let [_, n_copied] = replay_with(&decoder, &adapters, &kept, (sizes, 20..40));
    assert!(n_copied > 0, "nothing is found again");
    // An adapter shows in what is said.
    let mut model = LocalModel::new(decoder, 16 << 20);
    adapters.iter().for_each(|(id, adapter)| model.attach(*id, adapter));
    let mut engine = Engine::new(model, Limits::default());
    let request = |adapter| Request { adapter, ..Request::new((300..340).map(TokenId).collect(), 12) };
    let [none, first, second] =
        [None, Some(adapters[0].0), Some(adapters[1].0)].map(|adapter| alone(&mut engine, &request(adapter)));
    assert!(none != first && first != second && none != second);
}

#[test]
fn stories260k_with_adapters_in_a_batch_is_as_alone() {
    let test = "infer::simulator::real::stories260k_with_adapters_in_a_batch_is_as_alone";
    let Some(shared) = testkit::shared::shared(test) else { return };
    let decoder = stories260k(&shared.join("llm/stories260K/stories260K.bin"));
    let adapters = [1, 2].map(|number| random_adapter(decoder.config(), &LLAMA, number));
    let sizes = Sizes { vocabulary: 512, longest_prompt: 110, longest_answer: 40 };
    replay_with(&decoder, &adapters, &[Storage::F32], (sizes, 0..60));
}

/// A second turn brings the first and its answer back; in quantised weights both are found again.
#[test]
fn a_second_turn_is_computed_from_where_it_is_new() {
    let decoder = starter();
    let engine = || Engine::new(LocalModel::new(decoder.clone(), 64 << 20), Limits::default());
    let mut first = engine();
    let prompt: Vec<TokenId> = (0..70).map(|index| TokenId(300 + index * 7)).collect();
    let answer = alone(&mut first, &Request::new(prompt.clone(), 60));
    let said = answer.tokens.iter().map(|&(token, _)| TokenId(token));
    let second: Vec<TokenId> = prompt.into_iter().chain(said).chain([TokenId(9), TokenId(8)]).collect();
    let id = first.submit(Request::new(second.clone(), 8)).unwrap();
    let [planned] = first.plan().planned[..] else { panic!("one sequence") };
    let found = (planned.adopted, planned.copied, planned.from);
    assert_eq!(found, (4, 1, 129), "70 of the prompt, and of the answer all that was computed");
    first.cancel(id);
    let again = alone(&mut first, &Request::new(second.clone(), 8));
    assert_eq!(again, alone(&mut engine(), &Request::new(second, 8)));
}
