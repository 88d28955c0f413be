//! What a person is told of a training on pictures besides what every training tells.

use app::event::pictures::{Painted, PictureStep, Stage};
use app::event::training::Ending;

use crate::console::Console;
use crate::terminal::paint::Ink;
use crate::terminal::{units, visible};

/// A step in a line.
pub fn line(step: &PictureStep, loss: Option<f64>) -> String {
    let share = 100.0 * step.report.step as f64 / step.n_steps.max(1) as f64;
    let stage = match step.stage {
        Stage::AutoEncoder => "auto-encoder",
        Stage::Denoiser => "text and noise",
    };
    format!(
        "step {} of {} ({share:.0}%), {stage}: loss {:.4}, {:.1} pictures a second, {} left of this part",
        step.report.step,
        step.n_steps,
        loss.unwrap_or(step.report.loss),
        step.pictures_per_second,
        units::duration(step.remaining_s)
    )
}

/// How it ended, and what to do next.
pub fn end(console: &mut Console, painted: &Painted) {
    let record = &painted.record;
    let steps = units::many(record.steps as usize, "step");
    let bold = |text: &str| console.talk_color().paint(Ink::Bold, text);
    let run = visible::line(&record.run).into_owned();
    if painted.ending == Ending::Stopped {
        let command = bold(&format!("hearth train --resume {run}"));
        let of = record.settings.steps();
        return console.tell(&format!("Saved after {steps} of {of}. To go on: {command}\n"));
    }
    let mut text = format!("Done: {steps} in {}.\n", units::duration(record.seconds));
    if let Some(model) = &painted.model {
        let is_plain = |letter: char| letter.is_alphanumeric() || " ,.'-".contains(letter);
        let prompt = if painted.caption.chars().all(is_plain) { painted.caption.as_str() } else { "…" };
        let model = model.display().to_string();
        let command = format!("hearth draw \"{prompt}\" --model {}", visible::line(&model));
        text += &format!("Try it:   {}\n", bold(&command));
    }
    text += &format!("The run:  {}\n", bold(&format!("hearth runs show {run}")));
    let folder = painted.folder.display().to_string();
    text += &format!("Its plots:  loss-auto-encoder.svg and loss.svg in {}\n", visible::line(&folder));
    console.tell(&text);
}
