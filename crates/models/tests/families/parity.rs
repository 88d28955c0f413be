//! Every family against `transformers`, layer by layer: from the files of a Hugging Face folder and from what llama.cpp
//! would convert them to, whole and in pieces, on every device.

use std::rc::Rc;

use burn::tensor::Device;
use formats::TensorFile;
use formats::metadata::Value;
use models::blocks::{EmbeddingScale, FeedForwardKind, Residual, Weighing};
use models::config::{Scaling, Turn};
use models::families::recognise_config;
use models::families::*;
use models::{Config, Decoder, Family};
use ops::activation::gelu::Gelu;
use ops::rope::Layout;

use crate::converted::{Conversion, Step, settings};
use crate::files::{Named, Stored, as_gguf_stored, as_safetensors, as_safetensors_stored, stored};
use crate::reference::{MIN_QUIRK, Reference, check, check_quirk};
use crate::run::{devices, run_causal};
use crate::seeded;
use crate::table::{File, Subject, answers};

/// A fixture of a family.
struct Case {
    fixture: &'static str,
    family: &'static Family,
    /// The context that the model is opened for, where it is not that of its file.
    context: Option<usize>,
    /// How llama.cpp would convert it; `None` where it does not.
    conversion: Option<Conversion>,
    quirks: &'static [Quirk],
}

/// One thing done wrongly.
type Quirk = (&'static str, fn(&mut Config, &mut Vec<Named>));

const PLAIN: Conversion = Conversion { architecture: "llama", names: &[], steps: &[] };
const LLAMA_CONVERSION: Conversion = Conversion { steps: &[Step::PairedHeads], ..PLAIN };

/// The settings of a GGUF file, and its tensors.
type Converted = (Vec<(String, Value)>, Vec<Named>);
const GEMMA_NAMES: &[(&str, &str)] = &[
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

const fn case(fixture: &'static str, family: &'static Family, conversion: Conversion) -> Case {
    Case { fixture, family, context: None, conversion: Some(conversion), quirks: &[] }
}

const NO_WINDOWS: Quirk =
    ("no window", |config, _| config.layers.iter_mut().for_each(|layer| layer.window = None));
const WIDER: Quirk = ("a window wider by one", |config, _| {
    config.layers.iter_mut().for_each(|layer| layer.window = layer.window.map(|window| window + 1));
});
const OTHER_WINDOWS: Quirk = ("windows in the other layers", |config, _| {
    let kinds: Vec<_> = config.layers.iter().rev().map(|layer| layer.window).collect();
    config.layers.iter_mut().zip(kinds).for_each(|(layer, window)| layer.window = window);
});
const OTHER_PAIRS: Quirk = ("pairs of the other layout", |config, _| {
    config.rope_layout = match config.rope_layout {
        Layout::Halves => Layout::Interleaved,
        Layout::Interleaved => Layout::Halves,
    };
});
const UNSTRETCHED: Quirk = ("angles that are not stretched", |config, _| {
    let rope = config.rope.as_mut().unwrap();
    rope.scaling = Scaling::None;
    *config = config.clone().opened_for(config.context);
});
const OTHER_AMPLITUDE: Quirk =
    ("turned without amplitude", |config, _| config.rope.as_mut().unwrap().amplitude = 1.0);
const WHOLE_HEADS: Quirk = ("whole heads turned", |config, _| {
    config.rope.as_mut().unwrap().dims = config.head_size;
    *config = config.clone().opened_for(config.context);
});
const NO_BIAS: Quirk = ("no bias", |_, tensors| tensors.retain(|tensor| !tensor.name.ends_with("bias")));
const FLAT_HEADS: Quirk = ("norms of heads without factors", |_, tensors| {
    let of_heads = |tensor: &&mut Named| tensor.name.contains("q_norm") || tensor.name.contains("k_norm");
    tensors.iter_mut().filter(of_heads).for_each(|tensor| tensor.values.fill(1.0));
});
const ONE_EXPERT: Quirk = ("one expert less", |config, _| config.experts.as_mut().unwrap().n_chosen -= 1);
const AMONG_ALL: Quirk = ("weights among all", |config, _| config.blocks.weighing = Weighing::AmongAll);
const SCALE: Quirk =
    ("scaled by the head", |config, _| config.score_scale = (config.head_size as f32).powf(-0.5));
const SMALL_ROWS: Quirk = ("an embedding as it is", |config, _| {
    assert_eq!(config.blocks.embedding_scale, EmbeddingScale::RootOfWidth);
    config.embedding_scale = 1.0;
});

fn cases() -> Vec<Case> {
    vec![
        Case {
            quirks: &[NO_BIAS, OTHER_PAIRS],
            ..case("qwen2", &QWEN2, Conversion { architecture: "qwen2", ..PLAIN })
        },
        Case {
            quirks: &[FLAT_HEADS, OTHER_PAIRS],
            ..case("qwen3", &QWEN3, Conversion { architecture: "qwen3", ..PLAIN })
        },
        Case { quirks: &[NO_WINDOWS, WIDER], ..case("mistral", &MISTRAL, LLAMA_CONVERSION) },
        Case { quirks: &[NO_WINDOWS, OTHER_WINDOWS], ..case("ministral", &MINISTRAL, LLAMA_CONVERSION) },
        Case { quirks: &[UNSTRETCHED], ..case("llama-llama3", &LLAMA, LLAMA_CONVERSION) },
        Case { quirks: &[UNSTRETCHED], ..case("llama-linear", &LLAMA, LLAMA_CONVERSION) },
        // llama.cpp has no such angles, and its conversion none for a fixed context.
        Case {
            context: Some(72),
            conversion: None,
            quirks: &[UNSTRETCHED],
            ..case("llama-dynamic", &LLAMA, LLAMA_CONVERSION)
        },
        Case { quirks: &[UNSTRETCHED, OTHER_AMPLITUDE], ..case("llama-yarn", &LLAMA, LLAMA_CONVERSION) },
        gemma2(),
        gemma3(),
        Case {
            quirks: &[NO_WINDOWS, WIDER],
            ..case("phi3", &PHI3, Conversion { architecture: "phi3", ..PLAIN })
        },
        Case {
            quirks: &[UNSTRETCHED, OTHER_AMPLITUDE],
            ..case("phi3-long", &PHI3, Conversion { architecture: "phi3", ..PLAIN })
        },
        Case {
            context: Some(80),
            quirks: &[
                UNSTRETCHED,
                OTHER_AMPLITUDE,
                ("opened for more", |config, _| {
                    *config = config.clone().opened_for(81);
                }),
            ],
            ..case("phi3-short", &PHI3, Conversion { architecture: "phi3", ..PLAIN })
        },
        Case {
            quirks: &[("every layer turned", |config, _| {
                config.layers.iter_mut().for_each(|layer| layer.turn = Turn::Global);
            })],
            ..case("smollm3", &SMOLLM3, Conversion { architecture: "smollm3", ..LLAMA_CONVERSION })
        },
        glm4(),
        gpt_neox("gpt_neox"),
        gpt_neox("gpt_neox-sequential"),
        Case {
            quirks: &[ONE_EXPERT, AMONG_ALL],
            ..case(
                "mixtral",
                &MIXTRAL,
                Conversion { steps: &[Step::PairedHeads, Step::StackedExperts], ..PLAIN },
            )
        },
        Case {
            quirks: &[ONE_EXPERT, AMONG_ALL],
            ..case(
                "qwen3_moe",
                &QWEN3_MOE,
                Conversion { architecture: "qwen3moe", steps: &[Step::StackedExperts], ..PLAIN },
            )
        },
        gpt_oss(),
    ]
}

fn gemma2() -> Case {
    let conversion = Conversion { architecture: "gemma2", names: GEMMA_NAMES, steps: &[Step::WholeNorms] };
    Case {
        quirks: &[
            NO_WINDOWS,
            WIDER,
            OTHER_WINDOWS,
            SCALE,
            SMALL_ROWS,
            ("scores without a cap", |config, _| config.score_cap = None),
            ("logits without a cap", |config, _| config.logit_cap = None),
            ("the other gate", |config, _| config.blocks.feed_forward = FeedForwardKind::SwiGlu),
        ],
        ..case("gemma2", &GEMMA2, conversion)
    }
}

fn gemma3() -> Case {
    let conversion = Conversion { architecture: "gemma3", names: GEMMA_NAMES, steps: &[Step::WholeNorms] };
    Case {
        quirks: &[
            NO_WINDOWS,
            WIDER,
            SCALE,
            SMALL_ROWS,
            FLAT_HEADS,
            UNSTRETCHED,
            ("one base of angles", |config, _| {
                config.layers.iter_mut().for_each(|layer| layer.turn = Turn::Global);
            }),
            ("the other gate", |config, _| config.blocks.feed_forward = FeedForwardKind::SwiGlu),
        ],
        ..case("gemma3", &GEMMA3, conversion)
    }
}

fn glm4() -> Case {
    let names = &[
        ("post_self_attn_layernorm", "post_attention_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("post_mlp_layernorm", "post_ffw_norm"),
    ];
    Case {
        quirks: &[NO_BIAS, OTHER_PAIRS, WHOLE_HEADS],
        ..case("glm4", &GLM4, Conversion { architecture: "glm4", names, steps: &[] })
    }
}

fn gpt_neox(fixture: &'static str) -> Case {
    let names = &[
        ("attention.query_key_value", "attn_qkv"),
        ("attention.dense", "attn_output"),
        ("mlp.dense_h_to_4h", "ffn_up"),
        ("mlp.dense_4h_to_h", "ffn_down"),
        ("embed_out", "output"),
    ];
    Case {
        quirks: &[
            WHOLE_HEADS,
            ("the other residual", |config, _| {
                config.blocks.residual = match config.blocks.residual {
                    Residual::Parallel => Residual::Sequential,
                    Residual::Sequential => Residual::Parallel,
                };
            }),
            ("no gelu but a rough one", |config, _| {
                assert_eq!(config.blocks.feed_forward, FeedForwardKind::Gelu(Gelu::Erf));
                config.blocks.feed_forward = FeedForwardKind::Gelu(Gelu::Tanh);
            }),
        ],
        ..case(fixture, &GPT_NEOX, Conversion { architecture: "gptneox", names, steps: &[Step::HeadsByKind] })
    }
}

fn gpt_oss() -> Case {
    let conversion = Conversion {
        architecture: "gpt-oss",
        names: &[("post_attention_layernorm", "post_attention_norm")],
        steps: &[Step::SplitExperts],
    };
    Case {
        quirks: &[
            NO_WINDOWS,
            OTHER_WINDOWS,
            UNSTRETCHED,
            OTHER_AMPLITUDE,
            ONE_EXPERT,
            AMONG_ALL,
            ("no sinks to speak of", |_, tensors| {
                let sinks = tensors.iter_mut().filter(|tensor| tensor.name.ends_with("sinks"));
                sinks.for_each(|tensor| tensor.values.fill(-1e9));
            }),
            ("an unclamped gate", |config, _| config.blocks.feed_forward = FeedForwardKind::SwiGlu),
        ],
        ..case("gpt_oss", &GPT_OSS, conversion)
    }
}

impl Case {
    fn open(&self) -> Reference {
        let mut reference = Reference::open(&format!("families/{}", self.fixture), &self.family.hugging_face);
        reference.config = self.opened(reference.config);
        reference
    }

    fn opened(&self, config: Config) -> Config {
        match self.context {
            Some(context) => config.opened_for(context),
            None => config,
        }
    }

    /// From the files of a Hugging Face folder.
    fn load(&self, tensors: &[Named], config: Config, device: &Device) -> Decoder {
        Decoder::load(&as_safetensors(tensors), config, &self.family.hugging_face, device).unwrap()
    }

    /// The settings and the tensors that llama.cpp converts them to.
    fn conversion(&self, reference: &Reference) -> Option<Converted> {
        let conversion = self.conversion.as_ref()?;
        let tensors = conversion.tensors(&weights(&reference.file), &reference.settings);
        Some((settings(conversion.architecture, &reference.settings), tensors))
    }

    /// From the tensors that llama.cpp converts them to, stored in any way.
    fn decoder_of(&self, settings: &[(String, Value)], tensors: &[Stored], device: &Device) -> Decoder {
        let list: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let file = as_gguf_stored(&list, tensors);
        let family = models::recognise(&file).unwrap();
        let config = Config::from_gguf(file.metadata(), &family.gguf, "model.gguf").unwrap();
        Decoder::load(&file, self.opened(config), &family.gguf, device).unwrap()
    }

    fn converted(&self, reference: &Reference, device: &Device) -> Option<Decoder> {
        let (settings, tensors) = self.conversion(reference)?;
        Some(self.decoder_of(&settings, &stored(&tensors), device))
    }

    /// What the table of parity compares.
    fn subject(self) -> Subject {
        let reference = self.open();
        let case = Rc::new(self);
        let (ids, config, dialect) =
            (reference.ids.clone(), reference.config.clone(), &case.family.hugging_face);
        let folder = File::new(weights(&reference.file), move |tensors| {
            let file = as_safetensors_stored(tensors);
            answers(&Decoder::load(&file, config.clone(), dialect, &ops::device::cpu()).unwrap(), &ids)
        });
        let (ids, of_file) = (reference.ids.clone(), Rc::clone(&case));
        let gguf = case.conversion(&reference).map(|(settings, tensors)| {
            File::new(tensors, move |tensors| {
                answers(&of_file.decoder_of(&settings, tensors, &ops::device::cpu()), &ids)
            })
        });
        Subject {
            rounded: None,
            fixture: case.fixture.into(),
            family: case.family.name,
            row: reference.config.vocabulary,
            expected: reference.logits(),
            folder,
            gguf,
        }
    }
}

/// What the table of parity compares.
pub fn subjects() -> Vec<Subject> {
    cases().into_iter().map(Case::subject).collect()
}

/// The tensors of the files that `transformers` wrote.
pub fn weights(file: &TensorFile) -> Vec<Named> {
    let text: &str = file.metadata().read("tensors").unwrap();
    let shapes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let size = |size: &serde_json::Value| size.as_u64().unwrap() as usize;
    let named = |(name, shape): (&String, &serde_json::Value)| {
        let shape: Vec<usize> = shape.as_array().unwrap().iter().map(size).collect();
        Named { name: name.clone(), values: seeded::families(name, &shape), shape }
    };
    shapes.iter().map(named).collect()
}

#[test]
fn every_layer_is_as_in_transformers() {
    for case in cases() {
        let reference = case.open();
        let found = recognise_config(&reference.settings, "config.json").unwrap();
        assert_eq!(found.name, case.family.name);
        for (label, device) in devices() {
            let decoder = case.load(&weights(&reference.file), reference.config.clone(), &device);
            check(&reference, &decoder, &format!("{}, Hugging Face, {label}", case.fixture));
            if let Some(decoder) = case.converted(&reference, &device) {
                check(&reference, &decoder, &format!("{}, GGUF, {label}", case.fixture));
            }
        }
    }
}

#[test]
fn the_probe_sees_what_each_expert_takes() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.open().config.experts.is_some()).collect();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let reference = case.open();
        let (sizes, n_tokens) = (reference.config.experts.unwrap(), reference.ids.len());
        let [width, inner] = [reference.config.width, reference.config.feed_forward];
        let decoder = case.load(&weights(&reference.file), reference.config.clone(), &ops::device::cpu());
        let (_, seen) = run_causal(&decoder, &reference.ids, 1);
        let all: Vec<&[f32]> = seen.0["layers.1.feed_forward.norm"].chunks(width).collect();
        let mut n_rows = 0;
        for expert in 0..sizes.n_experts {
            let part = |part: &str| seen.0.get(&format!("layers.1.experts.{expert}.{part}"));
            let (Some(input), Some(product)) = (part("input"), part("inner")) else { continue };
            assert!(input.chunks(width).all(|row| all.contains(&row)), "{}: {expert}", case.fixture);
            assert_eq!(product.len() / inner, input.len() / width, "{}: {expert}", case.fixture);
            n_rows += input.len() / width;
        }
        assert_eq!(n_rows, n_tokens * sizes.n_chosen, "{}", case.fixture);
    }
}

/// Every tensor as llama.cpp's conversion has it, and back as `transformers` had it: the same bits, or for norms that
/// are less one in a folder the same up to the last.
#[test]
fn tensors_are_translated_as_llama_cpp_converts_them_and_back() {
    for case in cases() {
        let Some(conversion) = &case.conversion else { continue };
        let (reference, family) = (case.open(), case.family);
        let old = weights(&reference.file);
        let file = as_safetensors(&old);
        let config =
            Config::from_hugging_face(&reference.settings, &family.hugging_face, "config.json").unwrap();
        let expected = conversion.tensors(&old, &reference.settings);
        let translated = names_and_values(&file, &config, [&family.hugging_face, &family.gguf]);
        compare(&translated, &expected, case.fixture);
        let list: Vec<(&str, Value)> = Vec::new();
        let file = as_gguf_stored(&list, &stored(&translated));
        compare(&names_and_values(&file, &config, [&family.gguf, &family.hugging_face]), &old, case.fixture);
    }
}

fn names_and_values(
    file: &TensorFile,
    config: &Config,
    dialects: [&'static models::Dialect; 2],
) -> Vec<Named> {
    let names: Vec<String> = file.tensors().iter().map(|tensor| tensor.name.clone()).collect();
    let translated = models::tensors::translate::translate(file, &names, config, dialects).unwrap();
    let named = |tensor: &models::tensors::translate::Translated<'_>| Named {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        values: tensor.values().unwrap(),
    };
    translated.iter().map(named).collect()
}

fn compare(found: &[Named], expected: &[Named], label: &str) {
    let names = |list: &[Named]| {
        let mut names: Vec<_> = list.iter().map(|tensor| tensor.name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(names(found), names(expected), "{label}");
    for tensor in expected {
        let other = found.iter().find(|other| other.name == tensor.name).unwrap();
        assert_eq!(other.shape, tensor.shape, "{label} {}", tensor.name);
        let is_same =
            other.values.iter().zip(&tensor.values).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0));
        assert!(is_same && other.values.len() == tensor.values.len(), "{label} {}", tensor.name);
    }
}

#[test]
fn every_quirk_that_is_switched_off_shows() {
    for case in cases() {
        let reference = case.open();
        for (name, quirk) in case.quirks {
            let (mut config, mut tensors) = (reference.config.clone(), weights(&reference.file));
            quirk(&mut config, &mut tensors);
            let decoder = case.load(&tensors, config, &ops::device::cpu());
            // The two forms of GELU differ by 5e-4 at most.
            let least = if name.contains("rough") { 5e-4 } else { MIN_QUIRK };
            check_quirk(&reference, &decoder, &format!("{}, {name}", case.fixture), least);
        }
    }
}
