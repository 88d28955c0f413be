//! What a job tells while it runs, as plain values. The last event of a job is its end or its failure.

pub mod draw;
pub mod embed;
pub mod glass;
pub mod keys;
pub mod library;
pub mod loaded;
pub mod measure;
pub mod pictures;
pub mod pull;
pub mod quantise;
pub mod rerank;
pub mod tokens;
pub mod training;

use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The model is loaded and the prompt is counted; generation begins.
    Started(Started),
    /// More text of the answer. Never splits a character.
    Text {
        /// The piece.
        text: String,
    },
    /// More of what the model thinks before its answer.
    Thinking {
        /// The piece.
        text: String,
    },
    /// The model calls a tool.
    ToolCall {
        /// Which call of this answer, counted from 0.
        index: usize,
        /// The id that the model gave it.
        id: Option<String>,
        /// The tool's name.
        name: String,
        /// One JSON object, as the model wrote it.
        arguments: String,
    },
    /// How likely tokens of the prompt were, when that was asked for: the next ones of them.
    Scored {
        /// In their order, from the second of the prompt on.
        tokens: Vec<Token>,
    },
    /// One generated token, when detail was asked for.
    Token(Token),
    /// The answer is complete.
    Finished(Finished),
    /// A key was made. Its secret is told this once and kept nowhere.
    KeyCreated {
        /// The key.
        key: keys::Key,
        /// What its owner presents.
        secret: String,
    },
    /// All keys.
    Keys {
        /// The oldest first.
        keys: Vec<keys::Key>,
    },
    /// A key was ended.
    KeyRevoked(keys::Key),
    /// What a prompt is to a model.
    Rendered(tokens::Rendered),
    /// What is in memory.
    Loaded(loaded::Memory),
    /// A model is out of memory, or will be when its answers have ended.
    Unloaded {
        /// Its name.
        model: String,
    },
    /// A model was brought into the store, or copied.
    Stored(Model),
    /// The models that there are.
    Models {
        /// In the order of their names.
        models: Vec<Model>,
        /// What is wrong with those that cannot be read.
        broken: Vec<crate::Failure>,
        /// What other programs keep that is no model, or not whole.
        #[serde(default)]
        skipped: Vec<library::Skipped>,
    },
    /// A model was made by a Modelfile.
    Created {
        /// The model.
        model: Model,
        /// What of the Modelfile takes no effect here, or not as written.
        notes: Vec<library::Note>,
    },
    /// Whether the store has a file, and how long it is.
    Blob {
        /// Its digest.
        digest: String,
        /// Its bytes; absent where there is none.
        size_bytes: Option<u64>,
    },
    /// The tokens of a text.
    Tokenised {
        /// In their order.
        tokens: Vec<Piece>,
    },
    /// The text of tokens.
    Detokenised {
        /// Special tokens by their names; bytes that are no text as the replacement character.
        text: String,
    },
    /// The Modelfile that makes a model again.
    Modelfile {
        /// Its text.
        text: String,
    },
    /// What could be collected.
    Collectable(library::Collectable),
    /// What was collected.
    Collected(library::Collected),
    /// A name is held at its version, or may move again.
    Pinned {
        /// The name.
        model: String,
        /// Whether it is held.
        is_pinned: bool,
    },
    /// A name stands for another of its versions.
    RolledBack {
        /// The model as it is now.
        model: Model,
        /// The digest of the version before.
        before: String,
    },
    /// What differs from one model to another.
    Difference(Box<library::Difference>),
    /// Everything about one model.
    Details(Box<Details>),
    /// A model is gone.
    Removed {
        /// Its name.
        model: String,
        /// Bytes that became free.
        freed_bytes: u64,
    },
    /// One file of a model was read again.
    Verified {
        /// The model's name.
        model: String,
        /// The file's digest.
        digest: String,
        /// `ok`, or what is wrong.
        outcome: String,
        /// Whether it is as it should be.
        intact: bool,
    },
    /// Every file was read again.
    AllVerified {
        /// How many files there were.
        n_files: usize,
        /// How many of them are not as they should be.
        n_damaged: usize,
    },
    /// The work waits for memory that others hold; told again when that changes.
    Waiting(loaded::Waiting),
    /// Some of the work is done.
    Progress {
        /// What is being done.
        what: String,
        /// Bytes done.
        done_bytes: u64,
        /// Bytes in all.
        total_bytes: u64,
    },
    /// A text became a vector.
    Embedding(embed::Embedding),
    /// What a person should know before the end.
    Note {
        /// One sentence.
        text: String,
    },
    /// Prompts are read, and the steps of pictures begin.
    Begun(Box<draw::Begun>),
    /// What a picture roughly looks like on its way.
    Preview(draw::Preview),
    /// A step of a picture is done.
    Drawing(draw::Drawing),
    /// A picture.
    Picture(draw::Picture),
    /// What happened inside while the first picture was made, where that was asked for.
    Glass(Box<glass::Glass>),
    /// All pictures are there.
    Drawn(draw::Drawn),
    /// Every text became a vector.
    Embedded {
        /// The encoder.
        model: String,
        /// How many texts there were.
        n_texts: usize,
        /// Tokens of all of them.
        #[serde(default)]
        n_tokens: usize,
    },
    /// Texts were judged by how well they answer a question.
    Ranked(rerank::Ranked),
    /// A fetch goes on.
    Fetching(pull::Fetching),
    /// A model was fetched.
    Pulled(Box<pull::Pulled>),
    /// How models stand beside what their sources offer.
    Outdated {
        /// Those whose sources answered, or that have none.
        models: Vec<pull::Standing>,
        /// What went wrong with the others.
        broken: Vec<crate::Failure>,
    },
    /// A training goes on.
    Training(training::Training),
    /// A training ended, or was stopped.
    Trained(Box<training::Trained>),
    /// A training on pictures ended, or was stopped.
    Painted(Box<pictures::Painted>),
    /// The runs that there are.
    Runs {
        /// The newest first.
        runs: Vec<crate::Record>,
        /// Those on pictures, the newest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pictures: Vec<pictures::PictureRecord>,
        /// What is wrong with those that cannot be read.
        broken: Vec<crate::Failure>,
    },
    /// One run.
    Run(Box<training::RunDetails>),
    /// One run on pictures.
    PictureRun(Box<pictures::PictureRun>),
    /// Two runs beside each other.
    Compared(Box<training::Compared>),
    /// A model was written.
    Exported(training::Exported),
    /// A model was measured here.
    Measured(Box<measure::Measured>),
    /// What is expected of a model here.
    Fitting(Box<measure::Fitting>),
    /// What an image model needs on this machine.
    FittingPictures(Box<measure::FittingPictures>),
    /// A model was stored in fewer bits.
    Quantised(Box<quantise::Quantised>),
    /// The job came to nothing.
    Failed(crate::Failure),
}

impl Event {
    /// Whether nothing follows this event.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Started(_) | Self::Text { .. } | Self::Token(_) | Self::Progress { .. } => false,
            Self::Thinking { .. } | Self::ToolCall { .. } => false,
            Self::Verified { .. } | Self::Training(_) | Self::Fetching(_) => false,
            Self::Embedding(_) | Self::Scored { .. } | Self::Waiting(_) => false,
            Self::Drawing(_) | Self::Picture(_) | Self::Note { .. } => false,
            Self::Begun(_) | Self::Preview(_) | Self::Glass(_) => false,
            Self::Blob { .. } | Self::Tokenised { .. } | Self::Detokenised { .. } => true,
            Self::Loaded(_) | Self::Unloaded { .. } | Self::Rendered(_) => true,
            Self::KeyCreated { .. } | Self::Keys { .. } | Self::KeyRevoked(_) => true,
            Self::Pulled(_) | Self::Outdated { .. } | Self::Embedded { .. } | Self::Ranked(_) => true,
            Self::Finished(_) | Self::Stored(_) | Self::Models { .. } | Self::Details(_) => true,
            Self::Created { .. } | Self::Modelfile { .. } | Self::Collectable(_) | Self::Collected(_) => true,
            Self::Pinned { .. } | Self::RolledBack { .. } | Self::Difference(_) => true,
            Self::Removed { .. } | Self::AllVerified { .. } | Self::Failed(_) => true,
            Self::Trained(_) | Self::Runs { .. } | Self::Run(_) | Self::Compared(_) => true,
            Self::Painted(_) | Self::PictureRun(_) => true,
            Self::Exported(_)
            | Self::Measured(_)
            | Self::Fitting(_)
            | Self::FittingPictures(_)
            | Self::Quantised(_)
            | Self::Drawn(_) => true,
        }
    }
}

/// The model is loaded and the prompt is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The model's full name.
    pub model: String,
    /// Tokens that the model can hold.
    pub context: usize,
    /// Tokens of the prompt.
    pub n_prompt_tokens: usize,
    /// The tokens themselves, when they were asked for.
    pub prompt_tokens: Vec<Piece>,
    /// The seed of the random numbers, given or drawn.
    pub seed: u64,
    /// How tokens are chosen: what was asked for, else what the model says, else the usual.
    #[serde(default)]
    pub sampling: crate::job::Sampling,
}

/// A token and its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// Its id.
    pub id: u32,
    /// Its text, special tokens by their names, bytes that are no text as `<0xXX>`.
    pub text: String,
    /// Its bytes, where they are not those of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
}

impl Piece {
    /// The bytes of the token.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or(self.text.as_bytes())
    }
}

/// One generated token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// The token.
    pub piece: Piece,
    /// Natural logarithm of its probability before sampling changed it.
    pub log_probability: f32,
    /// The most likely tokens, best first.
    pub alternatives: Vec<Alternative>,
    /// What each layer would have said, the first layer first, when it was asked for.
    pub lens: Vec<LayerView>,
}

/// A token that could have been chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The token.
    pub piece: Piece,
    /// Natural logarithm of its probability.
    pub log_probability: f32,
}

/// What a layer would have said, had it been the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerView {
    /// The layer, counted from 0.
    pub layer: usize,
    /// Its most likely token.
    pub best: Alternative,
    /// Natural logarithm of the probability that it gives to the token that was chosen.
    pub chosen_log_probability: f32,
}

/// The answer is complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Why it ended.
    pub reason: Reason,
    /// The stop text that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_text: Option<String>,
    /// Tokens of the prompt.
    pub n_prompt_tokens: usize,
    /// Those of them, the first ones, that an earlier text began with too, so that they were not computed again.
    #[serde(default)]
    pub n_found_tokens: usize,
    /// Tokens of the answer.
    pub n_generated_tokens: usize,
    /// Those of them that the model thought with.
    #[serde(default)]
    pub n_thinking_tokens: usize,
    /// Milliseconds to load the model; 0 when it was loaded already.
    pub load_ms: f64,
    /// Milliseconds for the prompt, up to the first token.
    pub prompt_ms: f64,
    /// Milliseconds for the tokens after the first.
    pub generate_ms: f64,
    /// Time by kind of layer, the longest first, when it was asked for.
    pub timing: Vec<Timing>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The model ended it, or a stop text came.
    Stop,
    /// It reached the number of tokens asked for, or the end of the context.
    Length,
    /// Somebody ended it.
    Cancelled,
}

/// Time that one kind of layer took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The kind of layer.
    pub kind: String,
    /// Milliseconds for the prompt.
    pub prompt_ms: f64,
    /// Milliseconds for the generated tokens.
    pub generate_ms: f64,
}

/// A model in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its name, as short as it can be written.
    pub name: String,
    /// The digest of its manifest or file.
    pub digest: String,
    /// Bytes of all its files.
    pub size_bytes: u64,
    /// When it came, in milliseconds since 1970; 0 for the model in the box.
    pub created_ms: u64,
    /// Its architecture, where the file says one.
    pub architecture: String,
    /// Whose files these are, where they are used in place; empty for Hearth's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// Whether its name is held at this version.
    #[serde(default)]
    pub is_pinned: bool,
    /// How many versions of it there are; 0 for the model in the box.
    #[serde(default)]
    pub n_versions: usize,
    /// The adapter that it is, or has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<library::Adapter>,
}

/// Everything about one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// What lists show.
    pub model: Model,
    /// How many weights it has.
    pub n_parameters: u64,
    /// Sizes and settings by name, in the words of the glossary.
    pub sizes: Vec<(String, String)>,
    /// What the file says about itself, shortened where long.
    pub metadata: Vec<(String, String)>,
    /// Its tensors: name, shape, storage, bytes.
    pub tensors: Vec<(String, Vec<usize>, String, u64)>,
    /// Its chat template; empty where it has none.
    pub chat_template: String,
    /// What the file says about itself, whole and as JSON; nothing of lists.
    #[serde(default)]
    pub facts: serde_json::Map<String, serde_json::Value>,
    /// What it can be asked for.
    #[serde(default)]
    pub abilities: Vec<library::Ability>,
    /// What is said of it beside its weights.
    #[serde(default)]
    pub about: library::About,
}
