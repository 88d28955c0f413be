//! The end of a training: the model goes into the store, the plot and the card beside the run.

use std::fmt::Write;

use formats::metadata::Value;
use formats::{Dtype, Metadata, TensorSpec, gguf};
use models::parameters::Parameters;
use store::{ModelInfo, ModelName, NewFile, Role, Source};
use train::Saved;

use super::course::Arrived;
use super::record::Record;
use super::weights::random;
use super::{BEST, Place, plot};
use crate::Failure;
use crate::event::training::{Ending, Trained};
use crate::worker::stream::{Sink, stream};

/// Stores the model, if the training came to its end, and writes down what it was.
pub(super) fn finish(arrived: Arrived<'_>, vocabulary: Metadata, place: &Place) -> Result<Trained, Failure> {
    let Arrived { folder, mut record, training, curve, measured, ending, .. } = arrived;
    record.ending = Some(ending);
    let mut model = None;
    if ending != Ending::Stopped {
        let best = folder.file(BEST);
        let parameters = match record.best {
            Some(_) => {
                // Both at once would be more than the training was given.
                drop(training);
                Saved::open(&best)?.restore(random(&record))?.into_parameters()
            }
            None => training.into_parameters(),
        };
        model = Some(store(&record, &parameters, vocabulary, place)?);
        let plot = plot::loss((&record.run, "loss, nats a token"), &curve, &measured);
        folder.write("loss.svg", plot.as_bytes())?;
        folder.write("README.md", card(&record).as_bytes())?;
    }
    folder.write_record(&record)?;
    Ok(Trained { ending, model, folder: folder.path, record })
}

/// The model as a GGUF file in the store, its numbers as they were learned.
fn store(
    record: &Record,
    parameters: &Parameters,
    mut metadata: Metadata,
    place: &Place,
) -> Result<String, Failure> {
    let name = ModelName::parse(&record.name)?;
    let mut text = |key: &str, value: String| metadata.insert(key, Value::String(value));
    text("general.name", name.name().to_owned());
    text("general.type", "model".into());
    text("general.description", format!("trained by Hearth {}, run {}", record.hearth, record.run));
    let family = record.plan.sizes.family.family();
    parameters.config().describe_gguf(family, &mut metadata);
    let write = |out: Sink| {
        let written = parameters.written(&family.gguf);
        let spec = |tensor: &models::parameters::Written<'_>| TensorSpec {
            name: tensor.name.clone(),
            dtype: Dtype::F32,
            shape: tensor.shape.clone(),
        };
        let specs: Vec<TensorSpec> = written.iter().map(spec).collect();
        let mut writer = gguf::write(out, &metadata, &specs)?;
        for tensor in &written {
            let bytes: Vec<u8> = tensor.values().iter().flat_map(|value| value.to_le_bytes()).collect();
            writer.append(&bytes)?;
        }
        writer.finish()
    };
    const HEADER_BYTES: u64 = 256 << 20;
    let at_most_bytes = 4 * parameters.n_values() as u64 + HEADER_BYTES;
    let model = stream(write, |reader| {
        let source = Source::Reader { reader, at_most_bytes };
        let file = NewFile { role: Role::Model, format: "gguf".into(), name: None, source };
        let info = ModelInfo { source: format!("run {}", record.run), ..ModelInfo::default() };
        place.store.import(&name, vec![file], info, place.now_unix_ms).map_err(Failure::from)
    })?;
    Ok(model.name.to_string())
}

/// What a person should know before they use the model.
fn card(record: &Record) -> String {
    let Record { plan, knobs, .. } = record;
    let mut card =
        format!("# {}\n\nA language model trained from scratch with Hearth {}", record.name, record.hearth);
    let mut line = |text: String| card.push_str(&text);
    line(format!(
        " (size `{}`): {} numbers in {} layers of width {}, a vocabulary of {} tokens, {} tokens of context.\n\n",
        knobs.size.name(),
        plan.sizes.n_values(),
        plan.sizes.layers,
        plan.sizes.width,
        plan.sizes.vocabulary,
        plan.sizes.context
    ));
    line(format!(
        "## What it learned from\n\n{} documents, {} tokens to learn from and {} that only measured, of `{}` (digest \
         `{}`). It knows nothing else: no facts beyond these texts, no date, no other language.\n\n",
        record.n_documents,
        record.n_training_tokens,
        record.n_held_out_tokens,
        record.data.display(),
        record.data_digest
    ));
    line(format!("## How well\n\n{}\n\n![The loss over the steps](loss.svg)\n\n", how_well(record)));
    line(
        "## What it cannot do\n\nA model of this size repeats the manner of its texts. It makes things up, it cannot be \
         trusted with facts or advice, and it has no notion of what is safe or true. Read what it says before you \
         use it, and do not put it where a wrong answer harms somebody.\n\n"
            .into(),
    );
    line("## How it was trained\n\n| knob | value | why |\n|---|---|---|\n".into());
    for row in &plan.derived {
        line(format!("| {} | {} | {} |\n", row.name, row.value, row.reason));
    }
    let _ = write!(
        card,
        "\n{} steps in {:.0} s on {} threads ({}). The same data, version, machine and seed give the same model, bit \
         for bit.\n",
        record.steps, record.seconds, record.n_threads, record.isa
    );
    card
}

fn how_well(record: &Record) -> String {
    match (record.best, record.loss) {
        (Some(best), _) => format!(
            "On texts that it never saw it is left with the choice among {:.1} tokens on average (perplexity; loss \
             {:.4} nats a token, at step {}).",
            best.perplexity, best.loss, best.step
        ),
        (None, Some(loss)) => format!("The loss of its last steps was {loss:.4} nats a token."),
        (None, None) => "It was not measured.".into(),
    }
}
