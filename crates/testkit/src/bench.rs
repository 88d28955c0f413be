//! What Hearth's programs of `cargo xtask bench` share: the options that each of them is started with, and the line
//! of JSON that each of them ends with.
//!
//! Does not: measure. The scripts in `benches/peers` take the same options and print the same line.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// What a program of a bench is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What stands before and between the options: which shape, which precision.
    pub words: Vec<String>,
    /// Threads that compute.
    pub threads: usize,
    /// Steps or repetitions; the program's own number where nothing is said.
    pub steps: Option<u64>,
    /// Where random numbers begin.
    pub seed: u64,
    folder: Option<PathBuf>,
}

impl Options {
    /// The options of this process.
    ///
    /// # Panics
    /// When they cannot be read, with what is wrong.
    pub fn of_this_process() -> Self {
        let read = Self::read(std::env::args().skip(1));
        read.unwrap_or_else(|problem| {
            panic!("{problem}; there are --threads N --steps N --seed N --folder FOLDER")
        })
    }

    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { words: Vec::new(), threads: 2, steps: None, seed: 1, folder: None };
        // Cargo adds `--bench` when it runs a bench.
        let mut rest = arguments.filter(|argument| argument != "--bench");
        while let Some(argument) = rest.next() {
            if !argument.starts_with("--") {
                options.words.push(argument);
                continue;
            }
            let value = rest.next().ok_or_else(|| format!("{argument} needs a value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{argument} is a number, not {value}"));
            match argument.as_str() {
                "--threads" => options.threads = number()?.clamp(1, 1024) as usize,
                "--steps" => options.steps = Some(number()?),
                "--seed" => options.seed = number()?,
                "--folder" => options.folder = Some(PathBuf::from(value)),
                _ => return Err(format!("{argument} is not known")),
            }
        }
        Ok(options)
    }

    /// A word by its place, or what is meant where nothing is said.
    pub fn word<'a>(&'a self, index: usize, otherwise: &'a str) -> &'a str {
        self.words.get(index).map_or(otherwise, String::as_str)
    }

    /// Where both programs of a case keep what one of them makes for the other.
    ///
    /// # Panics
    /// When none was given.
    pub fn folder(&self) -> &Path {
        self.folder.as_deref().expect("this program needs --folder FOLDER")
    }
}

/// What a program found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    facts: Map<String, Value>,
    figures: Map<String, Value>,
    series: Map<String, Value>,
}

impl Outcome {
    /// Adds what a reader has to know besides the numbers: threads, instruction set, version.
    pub fn fact(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.facts.insert(name.into(), value.to_string().into());
        self
    }

    /// Adds a number.
    pub fn figure(&mut self, name: &str, value: f64) -> &mut Self {
        self.figures.insert(name.into(), value.into());
        self
    }

    /// Adds a row of numbers, such as the loss of each step.
    pub fn series(&mut self, name: &str, values: &[f64]) -> &mut Self {
        self.series.insert(name.into(), values.into());
        self
    }

    /// Everything as one line of JSON.
    pub fn line(&self) -> String {
        json!({"facts": self.facts, "figures": self.figures, "series": self.series}).to_string()
    }

    /// Prints the line: the last thing that a program does.
    pub fn print(&self) {
        println!("{}", self.line());
    }
}

/// The middle one; the upper one of the two in the middle.
///
/// # Panics
/// When there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The most memory that this process ever had, in MB (2²⁰ bytes); `None` where the system does not tell.
pub fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().split(' ').next()?.parse::<f64>().ok()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_and_options_stand_in_any_order() {
        let options = read("15m --threads 3 bf16 --seed 7 --bench --steps 12 --folder a/b").unwrap();
        assert_eq!((options.word(0, "x"), options.word(1, "x"), options.word(2, "x")), ("15m", "bf16", "x"));
        assert_eq!((options.threads, options.steps, options.seed), (3, Some(12), 7));
        assert_eq!(options.folder(), Path::new("a/b"));
        for wrong in ["--threads", "--threads many", "--colour red"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_outcome_is_one_line_of_json() {
        let mut outcome = Outcome::default();
        outcome.fact("threads", 2).figure("tokens_per_second", 1.5).series("losses", &[2.0, 1.0]);
        let line = outcome.line();
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["facts"]["threads"], "2");
        assert_eq!(value["figures"]["tokens_per_second"], 1.5);
        assert_eq!(value["series"]["losses"][1], 1.0);
    }
}
