//! `cargo xtask fit-check`: what `hearth fit` expects beside what `hearth bench` measures, on ten real shapes.
//!
//! Heavy, and only worth something on a machine that does nothing else: not a part of the gate. A model is made, asked
//! about, measured and removed before the next one is made, so that the largest is all the room that is needed. The
//! shapes judge `hearth fit`; nothing in it was set by them.

use crate::{synth, workspace};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A shape and the mix that it is made in.
type Case = (&'static str, &'static str);

/// Ten shapes, each in a mix that people use it in, the smallest file first.
const CASES: &[Case] = &[
    ("smollm2-135m", "Q8_0"),
    ("gpt2", "F16"),
    ("qwen2.5-0.5b", "Q4_0"),
    ("qwen3-0.6b", "Q8_0"),
    ("gemma3-1b", "Q5_K_M"),
    ("llama-1b", "Q4_K_M"),
    ("qwen3-1.7b", "Q6_K"),
    ("phi3-mini", "Q4_K_M"),
    ("moe-7b-a1b", "Q4_K_M"),
    ("llama-8b", "Q4_K_M"),
];
/// Tokens of the prompt, and tokens behind it.
const N_PROMPT: usize = 512;
const N_GENERATED: usize = 64;
/// How far an expectation may be off, as a share of what was measured.
const MEMORY_MAY: f64 = 0.10;
const SPEED_MAY: f64 = 0.25;

/// What the command line asks for.
struct Wishes {
    shape: Option<String>,
    scratch: PathBuf,
    programs: Option<PathBuf>,
}

/// Memory in bytes, tokens of a prompt a second, generated tokens a second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures([f64; 3]);

/// Makes, asks and measures each shape; fails when an expectation is too far off.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let cases: Vec<&Case> =
        CASES.iter().filter(|(shape, _)| wishes.shape.as_deref().is_none_or(|one| one == *shape)).collect();
    let names: Vec<&str> = CASES.iter().map(|(shape, _)| *shape).collect();
    ensure!(!cases.is_empty(), "no such shape; there are {}", names.join(", "));
    let programs = match &wishes.programs {
        Some(folder) => folder.clone(),
        None => synth::build()?,
    };
    println!("{:<14} {:<7} {:>24} {:>24} {:>24}", "shape", "mix", "memory MB", "prompt/s", "generated/s");
    let mut n_missed = 0;
    for (shape, mix) in cases {
        let [expected, measured] = compare(shape, mix, (&programs, &wishes.scratch))?;
        let (line, is_missed) = line((shape, mix), expected, measured);
        println!("{line}");
        n_missed += usize::from(is_missed);
    }
    ensure!(n_missed == 0, "{n_missed} shapes are further off than 10 % in memory or 25 % in speed");
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let mut wishes = Wishes { shape: None, scratch: workspace::target().join("fit-check"), programs: None };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--shape" => wishes.shape = Some(value.clone()),
            "--scratch" => wishes.scratch = value.into(),
            "--programs" => wishes.programs = Some(value.into()),
            unknown => {
                bail!("{unknown} is not known; there are --shape NAME --scratch FOLDER --programs FOLDER")
            }
        }
    }
    Ok(wishes)
}

/// What is expected of a shape, and what is measured.
fn compare(shape: &str, mix: &str, (programs, scratch): (&Path, &Path)) -> Result<[Figures; 2]> {
    std::fs::create_dir_all(scratch)?;
    let file = Removed(scratch.join(format!("{shape}-{mix}.gguf")));
    let mut make = Command::new(synth::program(programs));
    make.args(["--shape", shape, "--quant", mix, "--out"]).arg(&file.0);
    let output = make.output().context("the program that makes models does not start")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [prompt, generated] = [N_PROMPT, N_GENERATED].map(|n| n.to_string());
    // All of its tokens, and the one that the prompt already gives.
    let whole = (N_PROMPT + N_GENERATED + 1).to_string();
    let fit = ask(programs, scratch, &["fit", "--context", &prompt, "--context", &whole], &file.0)?;
    let bench = ask(programs, scratch, &["bench", "--prompt", &prompt, "--tokens", &generated], &file.0)?;
    let expected = expected(&fit).context("what `hearth fit` says is not as it was")?;
    Ok([expected, measured(&bench).context("what `hearth bench` says is not as it was")?])
}

/// A file that goes when nobody needs it any more, whatever happened.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The last event that the program tells.
fn ask(programs: &Path, scratch: &Path, words: &[&str], file: &Path) -> Result<Value> {
    let output = Command::new(programs.join("hearth"))
        .args(words)
        .arg("--json")
        .arg(file)
        .env("HEARTH_HOME", scratch.join("home"))
        .output()
        .context("hearth does not start")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().context("hearth says nothing")?;
    Ok(serde_json::from_str(last)?)
}

fn expected(event: &Value) -> Option<Figures> {
    let [prompt, whole] = [0, 1].map(|at| &event["lengths"][at]);
    let of = |at: &Value, key: &str| at[key].as_f64();
    Some(Figures([
        of(whole, "memory_bytes")?,
        of(prompt, "prompt_tokens_per_s")?,
        of(prompt, "generated_tokens_per_s")?,
    ]))
}

fn measured(event: &Value) -> Option<Figures> {
    let median = |key: &str| event[key]["median"].as_f64();
    Some(Figures([
        event["peak_bytes"].as_f64()?,
        median("prompt_tokens_per_s")?,
        median("generated_tokens_per_s")?,
    ]))
}

/// A line of the table, and whether anything in it is too far off.
fn line((shape, mix): (&str, &str), expected: Figures, measured: Figures) -> (String, bool) {
    let mut line = format!("{shape:<14} {mix:<7}");
    let mut is_missed = false;
    for (at, may) in [MEMORY_MAY, SPEED_MAY, SPEED_MAY].into_iter().enumerate() {
        let scale = if at == 0 { 1e6 } else { 1.0 };
        let (expected, measured) = (expected.0[at] / scale, measured.0[at] / scale);
        let ratio = expected / measured;
        let is_off = ratio.is_nan() || (ratio - 1.0).abs() > may;
        is_missed |= is_off;
        let mark = if is_off { "!" } else { " " };
        line += &format!(" {:>7} {:>8} {ratio:>6.2}{mark}", short(expected), short(measured));
    }
    (line, is_missed)
}

/// A number with as many places as tell it apart.
fn short(number: f64) -> String {
    let places = if number < 100.0 { 2 } else { 0 };
    format!("{number:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_become_figures() {
        let at = |memory: u64, prompt: f64| json!({ "memory_bytes": memory, "prompt_tokens_per_s": prompt, "generated_tokens_per_s": 9.5 });
        let fit = json!({ "event": "fitting", "lengths": [at(7, 100.0), at(8, 90.0)] });
        assert_eq!(expected(&fit), Some(Figures([8.0, 100.0, 9.5])));
        let spread = |median: f64| json!({ "lowest": 1.0, "median": median, "highest": 200.0 });
        let bench = json!({ "event": "measured", "peak_bytes": 10, "prompt_tokens_per_s": spread(101.0),
            "generated_tokens_per_s": spread(9.0) });
        assert_eq!(measured(&bench), Some(Figures([10.0, 101.0, 9.0])));
        assert_eq!(measured(&json!({ "event": "measured" })), None);
    }

    #[test]
    fn too_far_off_is_missed_either_way() {
        let missed = |expected: [f64; 3]| line(("a", "b"), Figures(expected), Figures([1e9, 100.0, 10.0]));
        assert!(!missed([1.09e9, 76.0, 12.4]).1);
        for off in [[1.11e9, 100.0, 10.0], [0.89e9, 100.0, 10.0], [1e9, 126.0, 10.0], [1e9, 100.0, 7.4]] {
            assert!(missed(off).1, "{off:?}");
        }
        assert!(missed([f64::NAN, 100.0, 10.0]).1);
    }

    #[test]
    fn there_are_ten_shapes() {
        let mut shapes: Vec<&str> = CASES.iter().map(|(shape, _)| *shape).collect();
        shapes.sort_unstable();
        shapes.dedup();
        assert_eq!(shapes.len(), 10);
    }
}
