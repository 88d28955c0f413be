//! What people ask for, as plain values that can cross a channel today and a socket later.

mod constraint;
pub mod draw;
pub mod embed;
pub mod keys;
pub mod library;
pub mod measure;
mod message;
mod names;
pub mod pull;
pub mod quantise;
pub mod rerank;
pub mod training;
pub mod upscale;
pub mod vocabulary;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

pub use crate::caller::Class;
pub use constraint::{Constraint, ToolCalls, ToolChoice};
pub use message::{Message, Tool, ToolCall, Turn};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Continue a text or answer a conversation.
    Generate(Generate),
    /// Tell what a prompt is to its model: its text and its tokens. Nothing is computed, nothing is loaded for it.
    Render(Box<Generate>),
    /// Bring a model file into the store.
    Import(Import),
    /// Turn texts into vectors.
    Embed(embed::Embed),
    /// Make pictures.
    Draw(draw::Draw),
    /// Make a picture larger.
    Upscale(upscale::Upscale),
    /// Tell which texts answer a question best.
    Rerank(rerank::Rerank),
    /// Fetch a model over the network.
    Pull(pull::Pull),
    /// Ask where models came from what is offered there now.
    Outdated {
        /// A model's name; all that were fetched when absent.
        model: Option<String>,
    },
    /// Make, list or end keys.
    Keys(keys::Keys),
    /// The models that are in memory.
    Loaded,
    /// Take a model out of memory, when it has given its answers.
    Unload {
        /// Its name.
        model: String,
    },
    /// All models.
    List,
    /// Everything about one model.
    Show {
        /// Its name.
        model: String,
    },
    /// A second name for a model.
    Copy {
        /// Its name.
        from: String,
        /// The new name.
        to: String,
    },
    /// Make a model from another one by a Modelfile.
    Create(library::Create),
    /// Make a model from another one, or from files that came before.
    Make(library::Make),
    /// Tell whether the store has a file, before it is known which model it is for.
    Blob {
        /// Its digest.
        digest: String,
    },
    /// Tell the tokens of a text.
    Tokenise(vocabulary::Tokenise),
    /// Tell the text of tokens.
    Detokenise(vocabulary::Detokenise),
    /// Tell the Modelfile that makes a model again.
    Modelfile {
        /// Its name.
        model: String,
    },
    /// Tell what could be collected: old versions, what nobody names, what dead writers left.
    PlanCollection {
        /// How many versions of each name to keep; all when absent.
        n_versions: Option<usize>,
    },
    /// Remove what was told to be collectable, where it is still not needed.
    Collect(crate::event::library::Collectable),
    /// Hold a name at its version.
    Pin {
        /// The name.
        model: String,
    },
    /// Let a name move again.
    Unpin {
        /// The name.
        model: String,
    },
    /// Make a name stand for another of its versions.
    RollBack(library::RollBack),
    /// Tell what differs from one model to another.
    Compare {
        /// The first one's name.
        from: String,
        /// The second one's name.
        to: String,
    },
    /// Take a model away.
    Remove {
        /// Its name.
        model: String,
    },
    /// Read every byte again and compare with its hash.
    Verify {
        /// Its name; all models when absent.
        model: Option<String>,
    },
    /// Train a model.
    Train(training::Train),
    /// Look at runs.
    Runs(training::Runs),
    /// Write a model for other programs.
    Export(training::Export),
    /// Store a model in fewer bits.
    Quantise(quantise::Quantise),
    /// Measure how fast a model is here.
    Bench(measure::Bench),
    /// Say how much memory a model needs here and how fast it will be.
    Fit(measure::Fit),
}

/// Continue a text or answer a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    /// The model's name, or the path of a model file.
    pub model: String,
    /// What to continue.
    pub prompt: Prompt,
    /// How to choose tokens.
    #[serde(default)]
    pub sampling: Sampling,
    /// What to tell besides the text.
    #[serde(default)]
    pub detail: Detail,
    /// What the model may call; in conversations only.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Whether the answer has to call them.
    #[serde(default, skip_serializing_if = "ToolChoice::is_usual")]
    pub tool_choice: ToolChoice,
    /// How many calls the answer may have.
    #[serde(default, skip_serializing_if = "ToolCalls::is_usual")]
    pub tool_calls: ToolCalls,
    /// The form that the answer has to have; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<Constraint>,
    /// Whether the model thinks before it answers, where its template lets one choose; absent, as the template has it.
    #[serde(default)]
    pub thinking: Option<bool>,
    /// Where the answer to a conversation begins.
    #[serde(default, skip_serializing_if = "Turn::is_usual")]
    pub turn: Turn,
    /// Further variables of the chat template.
    #[serde(default)]
    pub variables: Map<String, Json>,
    /// A smaller model of the same vocabulary, which guesses what this one will say: the answer is the same, sooner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    /// How long the model stays loaded behind this answer; absent, as before, or for the usual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// A Jinja template in the place of the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Tokens that prompt and answer may have together; refused where it is more than the model has here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
}

impl Generate {
    /// With the usual settings and without tools.
    pub fn new(model: impl Into<String>, prompt: Prompt) -> Self {
        Self {
            model: model.into(),
            prompt,
            sampling: Sampling::default(),
            detail: Detail::default(),
            tools: Vec::new(),
            tool_choice: ToolChoice::default(),
            tool_calls: ToolCalls::default(),
            constraint: None,
            thinking: None,
            turn: Turn::New,
            variables: Map::new(),
            draft: None,
            keep: None,
            template: None,
            context: None,
        }
    }
}

/// How long a model that nobody uses stays loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// For so many seconds.
    Seconds(u64),
    /// Until somebody ends it.
    Always,
}

/// What to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// A text, as it is.
    Raw(String),
    /// Tokens, as they are: none is put before them.
    Tokens(Vec<u32>),
    /// What belongs between two texts, for models that learned to fill in.
    FillIn {
        /// The text before.
        prefix: String,
        /// The text behind.
        suffix: String,
    },
    /// A conversation, through the model's chat template.
    Chat(Vec<Message>),
}

/// How to choose tokens. What is absent is as the model says, and else as [`Sampling::usual`] says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits; 0 takes the best token always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Keep the `top_k` best tokens; 0 keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Keep the best tokens whose probabilities sum to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Drop tokens less likely than this share of the best one's probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Keep tokens whose surprise is nearest to the expected one, up to this sum of probabilities; 1 keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical_p: Option<f32>,
    /// Cut tokens off so that answers surprise by a wanted amount; takes the place of the other cuts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirostat: Option<Mirostat>,
    /// The surprise that is wanted with it, in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirostat_tau: Option<f32>,
    /// How much of the error the next cut moves by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirostat_eta: Option<f32>,
    /// Divides (or multiplies, when negative) the logits of tokens that occurred; 1 changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f32>,
    /// Subtracted from the logits of tokens that occurred in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    /// Subtracted from the logits of tokens, for each time that they occurred in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// How many of the last tokens, the prompt's among them, the three penalties look at; absent, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_last_n: Option<usize>,
    /// Added to the logits of single tokens.
    pub logit_bias: BTreeMap<u32, f32>,
    /// Starts the random numbers; absent, one is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Tokens at most; absent, as many as fit the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// Tokens before the model may end the answer, unless its form is complete; with [`Sampling::ENDLESS`] it
    /// never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tokens: Option<usize>,
    /// Texts that end the answer and are not part of it; they take the place of the model's.
    pub stop: Vec<String>,
}

/// Versions of Mirostat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mirostat {
    /// None, also where the model asks for one.
    Off,
    /// The first, which estimates the exponent of the distribution.
    First,
    /// The second, which cuts by surprise.
    Second,
}

impl Mirostat {
    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::First => 1,
            Self::Second => 2,
        }
    }

    /// By its number.
    pub fn numbered(version: i64) -> Self {
        match version {
            1 => Self::First,
            2 => Self::Second,
            _ => Self::Off,
        }
    }
}

impl Sampling {
    /// How far back penalties look, as clients of llama.cpp and Ollama say it: below 0 for the whole text.
    pub fn last_n(n: i64) -> usize {
        usize::try_from(n).unwrap_or(usize::MAX)
    }

    /// Tokens before the model may end an answer that it shall not end.
    pub const ENDLESS: usize = usize::MAX;

    /// What holds where neither the person nor the model says otherwise.
    pub fn usual() -> Self {
        Self {
            temperature: Some(0.7),
            top_k: Some(40),
            top_p: Some(0.95),
            min_p: Some(0.05),
            repetition_penalty: Some(1.0),
            presence_penalty: Some(0.0),
            frequency_penalty: Some(0.0),
            ..Self::default()
        }
    }

    /// Whether tokens that occurred are to be less likely, or more.
    pub fn is_penalised(&self) -> bool {
        let changes = |value: Option<f32>, neutral: f32| value.is_some_and(|value| value != neutral);
        changes(self.repetition_penalty, 1.0)
            || changes(self.presence_penalty, 0.0)
            || changes(self.frequency_penalty, 0.0)
    }

    /// What is said here, and where nothing is, what `other` says.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        let (bias, stop) = (&self.logit_bias, &self.stop);
        Self {
            temperature: self.temperature.or(other.temperature),
            top_k: self.top_k.or(other.top_k),
            top_p: self.top_p.or(other.top_p),
            min_p: self.min_p.or(other.min_p),
            typical_p: self.typical_p.or(other.typical_p),
            mirostat: self.mirostat.or(other.mirostat),
            mirostat_tau: self.mirostat_tau.or(other.mirostat_tau),
            mirostat_eta: self.mirostat_eta.or(other.mirostat_eta),
            repetition_penalty: self.repetition_penalty.or(other.repetition_penalty),
            presence_penalty: self.presence_penalty.or(other.presence_penalty),
            frequency_penalty: self.frequency_penalty.or(other.frequency_penalty),
            repeat_last_n: self.repeat_last_n.or(other.repeat_last_n),
            logit_bias: if bias.is_empty() { other.logit_bias.clone() } else { bias.clone() },
            seed: self.seed.or(other.seed),
            max_tokens: self.max_tokens.or(other.max_tokens),
            min_tokens: self.min_tokens.or(other.min_tokens),
            stop: if stop.is_empty() { other.stop.clone() } else { stop.clone() },
        }
    }
}

/// What to tell besides the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// How many alternatives to name for each generated token; 0 for none.
    pub alternatives: usize,
    /// Tell the prompt's tokens.
    pub prompt_tokens: bool,
    /// For each token of the prompt, tell how likely it was behind those before it, with so many alternatives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_alternatives: Option<usize>,
    /// For each generated token, tell what each layer would have said.
    pub lens: bool,
    /// Tell how long each kind of layer took.
    pub timing: bool,
}

/// Bring a model file into the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Import {
    /// The file.
    pub path: PathBuf,
    /// Its vocabulary, where it is a file of its own.
    pub tokenizer: Option<PathBuf>,
    /// The name that the model gets; from the file's name when absent.
    pub name: Option<String>,
    /// Whether its bytes are copied.
    pub placement: Placement,
}

/// Whether a file's bytes are copied into the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// They are copied, by reference where the file system can.
    #[default]
    Copy,
    /// The file is used where it is, and verified again when it changed.
    InPlace,
}
