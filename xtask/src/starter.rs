//! Makes the model in the box: writes its text, learns its vocabulary, trains it, and writes `starter.gguf`.
//!
//! Is not how people train models with Hearth: it needs only what a tiny model needs. The recipe is
//! docs/recipes/starter/README.md.

mod answer;
mod batches;
mod checkpoint;
mod file;
mod optimiser;
mod training;
mod vocabulary;

use ::text::Tokenizer;
use anyhow::{Context, Result, bail};
use formats::FileBytes;
use models::Config;
use models::families::LLAMA;
use models::parameters::Parameters;
use std::path::{Path, PathBuf};
use training::{Plan, Training};

/// The sizes of the model. Rows are multiples of 32, so that every way to store weights fits them.
pub struct Sizes {
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of context.
    pub context: usize,
    /// Width of the stream.
    pub width: usize,
    /// Layers.
    pub n_layers: usize,
    /// Width of the feed-forward block.
    pub feed_forward: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads.
    pub n_kv_heads: usize,
}

const SIZES: Sizes = Sizes {
    vocabulary: 1024,
    context: 512,
    width: 256,
    n_layers: 4,
    feed_forward: 512,
    n_heads: 4,
    n_kv_heads: 2,
};

/// What the reports show, one of each kind of question.
const QUESTIONS: &[&str] = &[
    "Hello!",
    "Who are you?",
    "Tell me a story about a cat and a boat.",
    "How do I import a model?",
    "What is 3 + 4?",
    "What is the opposite of hot?",
    "What is the capital of France?",
];

/// What the command line asks for.
struct Wishes {
    out: PathBuf,
    resume: bool,
    ask: bool,
    plan: Plan,
}

/// Trains the model, or with `--ask` only asks the one that is there.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    if wishes.ask {
        return show_answers(&wishes.out);
    }
    let parts = vocabulary::learn(SIZES.vocabulary, wishes.plan.seed);
    if parts.tokens.len() != SIZES.vocabulary {
        bail!("the text gives only {} tokens", parts.tokens.len());
    }
    let metadata = file::metadata(&SIZES, &parts);
    let tokenizer = Tokenizer::from_parts(parts)?;
    let config = Config::from_gguf(&metadata, &LLAMA.gguf, "starter")?;
    let mut training = match wishes.resume {
        true => Training::resume(config, &wishes.plan.folder)?,
        false => Training::new(config, wishes.plan.seed),
    };
    println!("{} values in {:.0} minutes", training.parameters.n_values(), wishes.plan.minutes);
    let sample = wishes.plan.folder.join("starter.gguf");
    training.run(&tokenizer, &wishes.plan, &mut |parameters: &Parameters| {
        let shown = file::write(&sample, &metadata, parameters).and_then(|()| show_answers(&sample));
        if let Err(error) = shown {
            eprintln!("no samples: {error:#}");
        }
    })?;
    file::write(&wishes.out, &metadata, &training.parameters)?;
    println!("{}", wishes.out.display());
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let limits = batches::Limits { tokens: 1024, length: SIZES.context };
    let folder = std::env::temp_dir().join("hearth-starter");
    let plan = Plan { minutes: 32.0, rate: 2e-3, seed: 1, limits, folder };
    let mut wishes = Wishes { out: PathBuf::from("assets/starter.gguf"), resume: false, ask: false, plan };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{name} needs a value"));
        match name.as_str() {
            "--resume" => wishes.resume = true,
            "--ask" => wishes.ask = true,
            "--out" => wishes.out = value()?.into(),
            "--checkpoints" => wishes.plan.folder = value()?.into(),
            "--minutes" => wishes.plan.minutes = value()?.parse()?,
            "--rate" => wishes.plan.rate = value()?.parse()?,
            "--seed" => wishes.plan.seed = value()?.parse()?,
            "--tokens" => wishes.plan.limits.tokens = value()?.parse()?,
            unknown => bail!(
                "{unknown} is not known; there are --out FILE --minutes N --checkpoints FOLDER --resume --rate X \
                 --seed N --tokens N --ask"
            ),
        }
    }
    Ok(wishes)
}

/// Asks the model in a file one question of each kind.
fn show_answers(path: &Path) -> Result<()> {
    let bytes = FileBytes::open(path)?;
    let file = formats::gguf::read(&bytes)?;
    let tokenizer = Tokenizer::from_parts(file::vocabulary(file.metadata())?)?;
    let model = models::load(&file, &ops::device::cpu())?;
    for question in QUESTIONS {
        println!("  > {question}\n    {}", answer::answer(&model, &tokenizer, question)?);
    }
    Ok(())
}
