//! The table of parity in the docs: every family from every kind of file, with its weights stored in every way that the
//! file has.
//!
//! The table says what was held, not what came out: numbers that differ from machine to machine would change the
//! document with every processor. Each cell is held here; layers, pieces and devices are held by the modules of the
//! families.

use std::fmt::Write;

use base::Rng;
use expect_test::expect_file;
use formats::{Dtype, TensorSpec};
use models::families::LLAMA;
use models::parameters::{Head, Parameters};
use models::{Config, Decoder};
use ops::Rows;
use ops::weight::{Quantised, Storage};

use crate::files::{Named, Stored, as_gguf_stored, bytes, llama_settings, stored};
use crate::quantised::{dtype, writable};
use crate::reference::{MAX_ERROR, largest_difference};
use crate::run::{Conversation, numbers};
use crate::{encoders, gpt2, llama, parity, rerankers, stories};

/// How far the logits of weights rounded to 16 bits may lie from those of `transformers` with unrounded weights, as a
/// part of their size: the middle row.
const MAX_ROUNDED: [(Storage, f32); 2] = [(Storage::F16, 1e-2), (Storage::Bf16, 5e-2)];
/// How far the logits of weights in blocks may lie from those of the same weights widened to f32, as a part of their
/// size: the middle row. A product may round its activations to eight bits a block, which is about half a percent of
/// their size. To round the weights so (Q8_0) moves the middle row of these models by 0.4 to 7 %: their attention is
/// wide, and each layer makes more of it. Of a model of experts a row may choose others then, so that the farthest row
/// says nothing.
const MAX_IN_BLOCKS: f32 = 0.2;
/// Types whose blocks are as short as the rows of the fixtures.
const SHORT: [Quantised; 7] = [
    Quantised::Q8_0,
    Quantised::Q5_1,
    Quantised::Q5_0,
    Quantised::Q4_1,
    Quantised::Q4_0,
    Quantised::IQ4_NL,
    Quantised::MXFP4,
];
/// What stands in a cell.
const HELD: &str = "held";
const NONE: &str = "–";

/// What a file with tensors stored in some way answers.
type Compute = Box<dyn Fn(&[Stored]) -> Vec<f32>>;

/// A file of a model: its tensors in F32, and what computes with a file that has them stored in some way.
pub struct File {
    tensors: Vec<Named>,
    compute: Compute,
}

impl File {
    pub fn new(tensors: Vec<Named>, compute: impl Fn(&[Stored]) -> Vec<f32> + 'static) -> Self {
        Self { tensors, compute: Box::new(compute) }
    }
}

/// A row of the table.
pub struct Subject {
    pub fixture: String,
    pub family: &'static str,
    /// Numbers of a row of what is compared.
    pub row: usize,
    /// How far weights of bf16 may lie from the same numbers in f32, where products with them round the other side too.
    pub rounded: Option<f32>,
    /// What `transformers` computed.
    pub expected: Vec<f32>,
    pub folder: File,
    /// Absent where llama.cpp knows no such model.
    pub gguf: Option<File>,
}

/// The logits of a text, of which a part is prompt and a part generated.
pub fn answers(decoder: &Decoder, ids: &[u32]) -> Vec<f32> {
    let mut conversation = Conversation::new(decoder, ids.len(), 16);
    let (prompt, generated) = ids.split_at(ids.len() - 31);
    let prompt = numbers(conversation.add(prompt, Rows::prompt(prompt.len()), None));
    let generated = numbers(conversation.add(generated, Rows::generated(generated.len()), None));
    [prompt, generated].concat()
}

/// Tensors stored in one way, and the same numbers in F32.
struct Twice {
    narrow: Vec<Stored>,
    widened: Vec<Stored>,
    n_narrow: usize,
}

/// As `transformers` rounds a model: every tensor.
fn all(_: &Named) -> bool {
    true
}

/// As llama.cpp does: matrices, but for those that are small and say much.
fn matrices(tensor: &Named) -> bool {
    const KEPT: [&str; 3] = ["ffn_gate_inp", "position_embd", "token_types"];
    tensor.shape.len() > 1
        && !tensor.name.ends_with("bias")
        && !KEPT.iter().any(|kept| tensor.name.contains(kept))
}

fn twice(tensors: &[Named], storage: Storage, is_stored: fn(&Named) -> bool) -> Twice {
    let mut twice = Twice { narrow: Vec::new(), widened: Vec::new(), n_narrow: 0 };
    for (tensor, (spec, values)) in tensors.iter().zip(stored(tensors)) {
        if !is_stored(tensor) || storage.size_bytes(&tensor.shape).is_none() {
            twice.narrow.push((spec.clone(), values.clone()));
            twice.widened.push((spec, values));
            continue;
        }
        let narrow = storage.narrow(&tensor.values);
        twice.widened.push((spec.clone(), bytes(&storage.widen(&narrow))));
        twice.narrow.push((TensorSpec { dtype: dtype_of(storage), ..spec }, narrow));
        twice.n_narrow += 1;
    }
    twice
}

fn dtype_of(storage: Storage) -> Dtype {
    match storage {
        Storage::F32 => Dtype::F32,
        Storage::Bf16 => Dtype::BF16,
        Storage::F16 => Dtype::F16,
        Storage::Blocks(kind) => dtype(kind),
    }
}

/// How far each row is away, as a part of its size; of all these the one in the middle.
fn middle_error(found: &[f32], expected: &[f32], row: usize) -> f32 {
    assert_eq!(found.len(), expected.len());
    let squares = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| x * x).sum::<f32>();
    let rows = found.chunks(row).zip(expected.chunks(row));
    let mut errors: Vec<f32> = rows
        .map(|(found, expected)| {
            let noise = squares(&mut found.iter().zip(expected).map(|(a, b)| a - b));
            (noise / squares(&mut expected.iter().copied())).sqrt()
        })
        .collect();
    errors.sort_by(f32::total_cmp);
    assert!(errors.iter().all(|error| error.is_finite()), "a number is none");
    errors[errors.len() / 2]
}

impl Subject {
    /// Holds the weights in F32 against `transformers`.
    fn hold_f32(&self, file: &File, what: &str) {
        let found = (file.compute)(&stored(&file.tensors));
        let largest = largest_difference(&found, &self.expected);
        println!("{}, {what}, F32: {largest:.1e}", self.fixture);
        assert!(largest <= MAX_ERROR, "{}, {what}, F32: {largest:.1e} away", self.fixture);
    }

    /// Holds weights of 16 bits against the same numbers in F32, and against `transformers`.
    fn hold_rounded(&self, file: &File, what: &str, is_stored: fn(&Named) -> bool) {
        for (storage, most) in MAX_ROUNDED {
            let what = format!("{}, {what}, {storage:?}", self.fixture);
            let twice = twice(&file.tensors, storage, is_stored);
            assert!(twice.n_narrow > 4, "{what}: {} tensors", twice.n_narrow);
            let found = (file.compute)(&twice.narrow);
            let largest = largest_difference(&found, &(file.compute)(&twice.widened));
            let rounded = middle_error(&found, &self.expected, self.row);
            println!("{what}: {largest:.1e} from its numbers in F32, {rounded:.1e} from transformers");
            let may = self.rounded.filter(|_| storage == Storage::Bf16).unwrap_or(MAX_ERROR);
            assert!(largest <= may, "{what}: {largest:.1e} from its numbers in F32");
            assert!(rounded <= most, "{what}: {rounded:.1e} of its size from transformers");
        }
    }
}

/// Holds weights in blocks against the same numbers in F32. Whether there are any such weights.
fn holds_blocks(file: &File, row: usize, kind: Quantised, what: &str) -> bool {
    let twice = twice(&file.tensors, Storage::Blocks(kind), matrices);
    if twice.n_narrow == 0 {
        return false;
    }
    let (found, expected) = ((file.compute)(&twice.narrow), (file.compute)(&twice.widened));
    let error = middle_error(&found, &expected, row);
    println!("{what}, {kind:?}: {error:.1e} of its size from its numbers in F32");
    assert!(error <= MAX_IN_BLOCKS, "{what}, {kind:?}: {error:.1e} of its size from its numbers in F32");
    true
}

/// A Llama whose rows are whole blocks of every type.
fn wide() -> (File, usize) {
    let config = Config::new([97, 256, 2, 512, 64], [4, 2], &LLAMA.gguf);
    let (mut rng, device) = (Rng::new(3), ops::device::cpu());
    let parameters = Parameters::random(config.clone(), Head::Own, &LLAMA.gguf, &mut rng, &device);
    let written = parameters.written(&LLAMA.gguf);
    let named = |tensor: &models::parameters::Written<'_>| Named {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        values: tensor.values(),
    };
    let tensors = written.iter().map(named).collect();
    let (ids, settings) = ((0..40).collect::<Vec<u32>>(), llama_settings(&config, stories::THETA));
    let compute = move |tensors: &[Stored]| {
        answers(&models::load(&as_gguf_stored(&settings, tensors), &ops::device::cpu()).unwrap(), &ids)
    };
    (File::new(tensors, compute), config.vocabulary)
}

/// The document, each of whose cells was held.
fn document() -> String {
    let mut subjects: Vec<Subject> = llama::subjects();
    subjects.extend(gpt2::subjects());
    subjects.extend(parity::subjects());
    subjects.sort_by_key(|subject| subject.family);
    subjects.extend(encoders::subjects());
    subjects.extend(rerankers::subjects());
    let mut text = String::from(INTRODUCTION);
    let files = ["folder F32", "folder F16", "folder BF16", "GGUF F32", "GGUF F16", "GGUF BF16"];
    text.push_str(&heading(&[&["family", "fixture"][..], &files].concat()));
    for subject in &subjects {
        subject.hold_f32(&subject.folder, "folder");
        subject.hold_rounded(&subject.folder, "folder", all);
        let of_gguf = match &subject.gguf {
            Some(file) => {
                subject.hold_f32(file, "GGUF");
                subject.hold_rounded(file, "GGUF", matrices);
                HELD
            }
            None => NONE,
        };
        line(&mut text, subject, &[HELD, HELD, HELD, of_gguf, of_gguf, of_gguf]);
    }
    text.push_str(BLOCKS);
    let names = SHORT.map(|kind| kind.blocks().name());
    text.push_str(&heading(&[&["family", "fixture"][..], &names].concat()));
    for subject in subjects.iter().filter(|subject| subject.gguf.is_some()) {
        let file = subject.gguf.as_ref().expect("the others are passed over");
        let cell = |kind| if holds_blocks(file, subject.row, kind, &subject.fixture) { HELD } else { NONE };
        line(&mut text, subject, &SHORT.map(cell));
    }
    text.push_str(LONG);
    let (file, row) = wide();
    for kind in writable() {
        assert!(holds_blocks(&file, row, kind, "rows of 256"), "{kind:?} has blocks that are longer");
    }
    let names: Vec<&str> = writable().iter().map(|kind| kind.blocks().name()).collect();
    writeln!(text, "{}.", names.join(", ")).expect("a text takes everything");
    text
}

fn heading(names: &[&str]) -> String {
    format!("| {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len()))
}

fn line(text: &mut String, subject: &Subject, cells: &[&str]) {
    let Subject { family, fixture, .. } = subject;
    writeln!(text, "| {family} | {fixture} | {} |", cells.join(" | ")).expect("a text takes everything");
}

const INTRODUCTION: &str = "\
# Parity

Written by the test `the_table_of_parity_is_what_was_held` of the crate `models`, which holds every cell and fails where
this page says something else; `UPDATE_EXPECT=1` writes it anew. Each row is a small model of random weights with the
quirks of its family (`fixtures/`), each cell a file of it that the test writes and reads. The numbers are the logits of
72 tokens, 41 as a prompt and 31 as generated rows; of encoders the last layer's rows, of rerankers the logits of nine
pairs of texts. Layer by layer, in pieces, and on every device of the build, F32 is held by the tests of the families.

- **F32**: every logit within 2e-4 of what `transformers` computed.
- **F16**, **BF16**: every logit within 2e-4 of the same rounded numbers in F32 (rows of encoders and logits of
  rerankers in BF16 within 0.1, because they take products of sixteen bits); and of `transformers` with unrounded
  weights the middle row within 1 % (F16) or 5 % (BF16) of its size. In a folder every tensor is rounded, in a GGUF
  file the matrices.

";
const BLOCKS: &str = "
## Weights in blocks

GGUF files whose matrices this project's own quantiser wrote, against the same numbers widened to F32: the middle row
of logits within 20 % of its size. Products may round their activations to eight bits a block; to round the weights so
moves the middle row of these models, whose random weights make much of little, by up to 7 %. Matrices whose rows are
no whole blocks stay in F32, as do routers, positions and norms.

";
const LONG: &str = "
## Blocks of 256

The rows of these fixtures are shorter than the blocks of the K types. A random Llama with rows of 256 is held in the
same way in every type that can be written: ";

#[test]
fn the_table_of_parity_is_what_was_held() {
    expect_file!["../../../../docs/parity.md"].assert_eq(&document());
}

/// Weights of another type are farther away than any cell allows.
#[test]
fn other_weights_are_seen() {
    let (file, row) = wide();
    let [eight, two] =
        [Quantised::Q8_0, Quantised::Q2_K].map(|kind| twice(&file.tensors, Storage::Blocks(kind), matrices));
    let error = middle_error(&(file.compute)(&eight.narrow), &(file.compute)(&two.widened), row);
    assert!(error > MAX_IN_BLOCKS, "{error}");
}
