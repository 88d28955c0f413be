//! `cargo xtask isa`: whether every instruction set of this machine holds the same token likeliest.
//!
//! Each set serves the same model with `HEARTH_ISA`, is given the same texts and continues them greedily; the token that
//! is likeliest at a place of a text, and of an answer up to the first that differs, is held against the one of plain
//! arithmetic. Both roles of a row are there: those of a prompt, and those that are generated.

use crate::{served, starter_text};
use anyhow::{Context, Result, bail, ensure};
use base::Rng;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::wire;

/// What every machine has, and what the others are held against.
const PLAIN: &str = "scalar";
/// Instruction sets by their names in `HEARTH_ISA` and in Linux's `/proc/cpuinfo`.
const SETS: [(&str, &str); 6] = [
    ("avx2", "avx2"),
    ("avx512", "avx512f"),
    ("avx512vnni", "avx512_vnni"),
    ("avx512bf16", "avx512_bf16"),
    ("avx512fp16", "avx512_fp16"),
    ("amx", "amx_bf16"),
];
/// Places of texts and of answers that are held against each other.
const N_TOKENS: usize = 10_000;
/// Tokens behind each text.
const N_ANSWERED: usize = 32;
/// So many of them may have another likeliest token.
const MAY_DIFFER: f64 = 0.005;

/// What the command line asks for.
#[derive(Debug)]
struct Wishes {
    model: String,
    program: Option<PathBuf>,
    n_tokens: usize,
}

/// The likeliest token at each place of a text and of what was said behind it.
#[derive(Clone, Debug)]
struct Likeliest {
    tokens: Vec<String>,
    /// How many of them are of the text.
    n_text: usize,
}

/// How many places two sets have in common, and at how many another token is likeliest.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    n: usize,
    n_other: usize,
}

/// Asks each set, and fails where one says too often something else.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let flags = std::fs::read_to_string("/proc/cpuinfo").context("this chore reads Linux's /proc/cpuinfo")?;
    let home = served::Home::new(&served::program(wishes.program)?)?;
    let name = if Path::new(&wishes.model).is_file() {
        home.import(Path::new(&wishes.model), "asked")?;
        "asked"
    } else {
        &wishes.model
    };
    let plain = ask(&home, (name, PLAIN), wishes.n_tokens)?;
    let mut is_met = true;
    for (set, flag) in SETS {
        if !has(&flags, flag) {
            println!("{set:<12} not on this machine");
            continue;
        }
        let said = ask(&home, (name, set), wishes.n_tokens)?;
        let mut all = Difference::default();
        for (ours, theirs) in plain.iter().zip(&said) {
            all.add(ours, theirs);
        }
        println!(
            "{set:<12} another token than {PLAIN} at {} of {} places: {:.3} %",
            all.n_other,
            all.n,
            all.share() * 100.0
        );
        is_met &= all.share() <= MAY_DIFFER;
    }
    ensure!(is_met, "a set differs at more than {} % of the places", MAY_DIFFER * 100.0);
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let mut wishes = Wishes { model: "starter".to_owned(), program: None, n_tokens: N_TOKENS };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--model" => wishes.model.clone_from(value),
            "--program" => wishes.program = Some(value.into()),
            "--tokens" => wishes.n_tokens = value.parse().with_context(|| format!("--tokens {value}"))?,
            _ => bail!("{name} is unknown; there are --model, --program and --tokens"),
        }
    }
    Ok(wishes)
}

/// Whether a processor's list of flags has this one, as a whole word.
fn has(cpuinfo: &str, flag: &str) -> bool {
    let flags = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
    flags.is_some_and(|(_, flags)| flags.split_whitespace().any(|one| one == flag))
}

/// What a set holds likeliest, over stories that the model never saw, until there are places enough.
fn ask(home: &served::Home, (model, set): (&str, &str), n_tokens: usize) -> Result<Vec<Likeliest>> {
    let mut server = home.serve(&[("HEARTH_ISA", set)])?;
    let (mut said, mut n, mut rng) = (Vec::new(), 0, Rng::new(1));
    while n < n_tokens {
        let text = starter_text::held_out_story(&mut rng);
        let one = continued(&server, model, &text).with_context(|| format!("{set}: {text:?}"))?;
        n += one.tokens.len();
        said.push(one);
    }
    server.stop(Duration::from_secs(60))?;
    Ok(said)
}

fn continued(server: &served::Served, model: &str, text: &str) -> Result<Likeliest> {
    let body = json!({
        "model": model, "prompt": text, "echo": true, "logprobs": 1, "max_tokens": N_ANSWERED, "temperature": 0,
    });
    let answer = wire::post(server.address, "/v1/completions", &[], &body.to_string())?;
    let told: Value = serde_json::from_str(&answer.text()?)?;
    let places = &told["choices"][0]["logprobs"]["top_logprobs"];
    let places = places.as_array().with_context(|| format!("no probabilities: {told}"))?;
    let n_prompt = told["usage"]["prompt_tokens"].as_u64().context("no count of the prompt's tokens")?;
    // The first token stands behind nothing.
    let tokens = places.iter().filter(|place| !place.is_null()).map(likeliest).collect::<Result<_>>()?;
    Ok(Likeliest { tokens, n_text: usize::try_from(n_prompt)?.saturating_sub(1) })
}

/// The token of the highest probability; where the one that stands there is another, both are told.
fn likeliest(place: &Value) -> Result<String> {
    let tokens = place.as_object().context("a place that tells no tokens")?;
    let highest = tokens.iter().max_by(|a, b| {
        let [a, b] = [a.1, b.1].map(|value| value.as_f64().unwrap_or(f64::NEG_INFINITY));
        a.total_cmp(&b)
    });
    Ok(highest.context("a place without tokens")?.0.clone())
}

impl Difference {
    /// Adds one text: the places of the text itself, and those of the answer up to the first that differs, behind which
    /// the two do not stand at the same place any more.
    fn add(&mut self, ours: &Likeliest, theirs: &Likeliest) {
        for (at, (one, other)) in ours.tokens.iter().zip(&theirs.tokens).enumerate() {
            self.n += 1;
            if one != other {
                self.n_other += 1;
                if at >= ours.n_text {
                    return;
                }
            }
        }
    }

    fn share(&self) -> f64 {
        self.n_other as f64 / self.n.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_until_two_answers_part() {
        let ours = Likeliest { tokens: (0..9).map(|at| at.to_string()).collect(), n_text: 3 };
        let with = |places: &[usize]| {
            let mut theirs = ours.clone();
            places.iter().for_each(|&at| theirs.tokens[at] = "other".to_owned());
            let mut difference = Difference::default();
            difference.add(&ours, &theirs);
            difference
        };
        assert_eq!(with(&[]), Difference { n: 9, n_other: 0 });
        assert_eq!(with(&[0, 2]), Difference { n: 9, n_other: 2 });
        assert_eq!(with(&[1, 4, 5]), Difference { n: 5, n_other: 2 });
    }

    #[test]
    fn the_likeliest_is_found_and_flags_are_whole_words() {
        assert_eq!(likeliest(&json!({ " a": -2.0, " b": -0.5 })).unwrap(), " b");
        assert!(likeliest(&json!({})).is_err());
        let flags = "model name\t: x\nflags\t\t: fpu avx2 avx512_vnni\n";
        assert!(has(flags, "avx2") && !has(flags, "avx512f") && !has(flags, "avx"));
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(read(&words(&["--tokens", "7"])).unwrap().n_tokens, 7);
        assert!(read(&words(&["--tokens"])).is_err());
        assert!(read(&words(&["--what", "7"])).unwrap_err().to_string().contains("--what"));
    }
}
