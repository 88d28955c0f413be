//! The chore `starter-text`: writes the documents to `.jsonl` files, a few for each topic, and says how many bytes
//! and about how many tokens each topic has.

use super::{Document, N_PARTS, TOPICS, Topic, stories};
use anyhow::{Context, Result, bail};
use base::Rng;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Documents of one file at most.
const SHARD: usize = 50_000;

/// What the command line asks for.
struct Wishes {
    out: Option<PathBuf>,
    held_out_stories: Option<PathBuf>,
    seed: u64,
    n_documents: usize,
    /// Which part, counted from 0.
    part: usize,
}

/// How much was written.
#[derive(Default)]
struct Written {
    n_documents: usize,
    n_bytes: usize,
    n_tokens: usize,
    /// Tokens that the training learns from: those of the answers, and all of a plain text.
    n_learned: usize,
    /// Answers, and lines of plain texts.
    n_answers: usize,
}

/// Writes the text.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    if wishes.out.is_none() && wishes.held_out_stories.is_none() {
        bail!("where to? --out FOLDER, and for measuring --held-out-stories FILE");
    }
    if let Some(path) = &wishes.held_out_stories {
        let mut rng = Rng::new(wishes.seed);
        let written = shard(path, 500, &mut || Document::Plain(stories::held_out(&mut rng)))?;
        report("held-out stories", &written, &written);
    }
    let Some(folder) = &wishes.out else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let written: Vec<Written> =
        (0..TOPICS.len()).map(|index| topic(folder, index, &wishes)).collect::<Result<_>>()?;
    let mut all = Written::default();
    written.iter().for_each(|written| all.add(written));
    for (topic, written) in TOPICS.iter().zip(&written) {
        report(topic.name, written, &all);
    }
    let (tokens, learned) = (all.n_tokens as f64 / 1e6, all.n_learned as f64 / 1e6);
    println!("about {tokens:.1} million tokens, {learned:.1} of them learned from, in {}", folder.display());
    Ok(())
}

impl Written {
    fn add(&mut self, other: &Written) {
        self.n_documents += other.n_documents;
        self.n_bytes += other.n_bytes;
        self.n_tokens += other.n_tokens;
        self.n_learned += other.n_learned;
        self.n_answers += other.n_answers;
    }
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let mut wishes = Wishes { out: None, held_out_stories: None, seed: 1, n_documents: 100_000, part: 0 };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--out" => wishes.out = Some(value.into()),
            "--held-out-stories" => wishes.held_out_stories = Some(value.into()),
            "--seed" => wishes.seed = value.parse()?,
            "--documents" => wishes.n_documents = value.parse()?,
            "--part" => match value.parse() {
                Ok(part @ 1..=N_PARTS) => wishes.part = part - 1,
                _ => bail!("there is no part {value}: 1 to {N_PARTS}"),
            },
            unknown => bail!(
                "{unknown} is not known; there are --out FOLDER --documents N --seed N --part 1|2|3|4|5 --held-out-stories FILE"
            ),
        }
    }
    Ok(wishes)
}

/// The files of one topic. Each file has random numbers of its own, so that a longer text begins as a shorter one.
fn topic(folder: &Path, index: usize, wishes: &Wishes) -> Result<Written> {
    let Topic { name, percent, documents } = TOPICS[index];
    let document = documents[wishes.part];
    let mut rest = wishes.n_documents * percent[wishes.part] / 100;
    let mut written = Written::default();
    for number in 0.. {
        if rest == 0 {
            break;
        }
        let n = rest.min(SHARD);
        let mut rng = Rng::new(wishes.seed ^ ((index as u64 + 1) << 32) ^ ((number as u64 + 1) << 40));
        let path = folder.join(format!("{name}-{number:03}.jsonl"));
        let part = shard(&path, n, &mut || document(&mut rng))?;
        written.add(&part);
        rest -= n;
    }
    Ok(written)
}

fn shard(path: &Path, n: usize, next: &mut dyn FnMut() -> Document) -> Result<Written> {
    let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut file = BufWriter::new(file);
    let mut written = Written::default();
    for _ in 0..n {
        let document = next();
        let line = document.json().to_string();
        writeln!(file, "{line}")?;
        written.n_documents += 1;
        written.n_bytes += line.len() + 1;
        written.n_tokens += tokens(&document);
        let (n_learned, n_answers) = answers(&document);
        written.n_learned += n_learned;
        written.n_answers += n_answers;
    }
    file.flush()?;
    Ok(written)
}

fn report(name: &str, written: &Written, all: &Written) {
    let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
    println!(
        "{name:<16} {:>8} documents {:>8.1} MB  about {:>6.2} million tokens, {:>4.1} %; learned from {:>6.2}, {:>4.1} %, in {:>7} answers",
        written.n_documents,
        written.n_bytes as f64 / 1e6,
        written.n_tokens as f64 / 1e6,
        percent(written.n_tokens, all.n_tokens),
        written.n_learned as f64 / 1e6,
        percent(written.n_learned, all.n_learned),
        written.n_answers,
    );
}

/// About how many tokens a training learns from, and in how many answers: those of the assistant, each with the
/// mark of its end; a plain text whole, with an answer in each line.
fn answers(document: &Document) -> (usize, usize) {
    match document {
        Document::Plain(text) => (1 + words(text), text.lines().count()),
        Document::Chat(messages) => {
            let answers = messages.iter().filter(|message| message.role == "assistant");
            answers.fold((0, 0), |(n, count), answer| (n + 1 + words(&answer.content), count + 1))
        }
    }
}

/// About how many tokens a vocabulary of a few thousand needs: one for each word, digit and mark, and four for
/// the frame of each turn.
fn tokens(document: &Document) -> usize {
    match document {
        Document::Plain(text) => 1 + words(text),
        Document::Chat(messages) => messages.iter().map(|message| 4 + words(&message.content)).sum(),
    }
}

fn words(text: &str) -> usize {
    let mut before = ' ';
    let mut n = 0;
    for letter in text.chars() {
        let goes_on = letter.is_alphabetic() && before.is_alphabetic();
        n += usize::from(!goes_on && letter != ' ');
        before = letter;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_digits_and_marks_count() {
        assert_eq!(words("What is 47 + 8?"), 7);
        assert_eq!(tokens(&Document::Plain("A cat.".into())), 4);
        let chat = Document::exchanges([crate::starter_text::Exchange::new("4 + 8 =", "12.")]);
        assert_eq!((tokens(&chat), answers(&chat)), (15, (4, 1)));
        assert_eq!(answers(&Document::Plain("1 + 1 = 2\n2 + 2 = 4".into())), (12, 2));
    }

    #[test]
    fn the_files_hold_as_many_documents_as_were_asked_for_and_read_as_json() {
        let folder = tempfile::tempdir().unwrap();
        let stories = folder.path().join("held-out.jsonl");
        let arguments = ["--out", folder.path().to_str().unwrap(), "--documents", "200", "--seed", "3"]
            .into_iter()
            .chain(["--held-out-stories", stories.to_str().unwrap()]);
        run(&arguments.map(str::to_owned).collect::<Vec<_>>()).unwrap();
        let lines = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        for topic in TOPICS {
            let text = lines(&format!("{}-000.jsonl", topic.name));
            assert_eq!(text.lines().count(), 2 * topic.percent[0]);
            for line in text.lines() {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(value["messages"].is_array() || value["text"].is_string());
            }
        }
        assert_eq!(lines("held-out.jsonl").lines().count(), 500);
        assert!(run(&["--out".to_owned()]).is_err() && run(&[]).is_err());
    }
}
