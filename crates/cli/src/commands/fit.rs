//! `hearth fit`: what a model needs on this machine and how fast it will be, before it runs.

use app::event::measure::{FitAs, FitAt, FitPart, Fitting, FittingPictures};
use app::job::measure::Fit;
use app::{Event, Job};
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::Command;
use super::bench::machine;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::table::{Side, table};
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "fit", build, run };

/// Tokens of context that the comparison of ways to store has room for.
const ROOM: usize = 4096;

const AFTER_HELP: &str = "\
Nothing of the model runs: the figures follow from its table of tensors and from what this machine is measured to do \
within a few seconds. `hearth bench` measures the model itself. A model that is not here is looked at where it is, by what \
`hearth pull` understands (hf.co/user/repo[:QUANT], name:tag, https://…): only the beginnings of its files are read, and \
nothing is kept. Of an image model that is here it says the memory of each part, of which one is there at a time, and how long \
a step takes about.";

fn build(command: clap::Command) -> clap::Command {
    let length = value_parser!(u32).range(1..);
    command
        .about("Say how much memory a model needs on this machine and how fast it will be")
        .arg(super::model_argument().required(true))
        .arg(
            Arg::new("context")
                .long("context")
                .value_name("TOKENS")
                .action(ArgAction::Append)
                .value_parser(length)
                .help("A length of context to answer for; may be given again"),
        )
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let contexts = matches.get_many::<u32>("context").unwrap_or_default().map(|length| *length as usize);
    let job = Fit { model: super::text(matches, "model"), contexts: contexts.collect() };
    session.follow(Job::Fit(job), &mut |console, event| match event {
        Event::Fitting(fitting) => console.print(&page(fitting)),
        Event::FittingPictures(fitting) => console.print(&pictures(fitting)),
        _ => Ok(()),
    })?;
    Ok(Exit::Done)
}

fn page(fitting: &Fitting) -> String {
    let Fitting { model, file_bytes, storage, context, lengths, storages, machine: limits, .. } = fitting;
    let available = limits
        .available_bytes
        .map_or(String::new(), |bytes| format!(", {} of memory free", units::bytes(bytes)));
    let head = format!(
        "{model}: {}, mostly {storage}, made for {context} tokens\nHere: {}{available}\n",
        units::bytes(*file_bytes),
        machine(limits)
    );
    let headings = ["CONTEXT", "MEMORY", "OF WHICH CACHE", "FITS", "PROMPT", "GENERATED"];
    let lengths = table(&headings.map(|heading| (heading, Side::Right)), &rows(lengths, length));
    let bytes = if fitting.is_offered { "DOWNLOAD" } else { "WEIGHTS" };
    let headings = ["STORED AS", bytes, "MEMORY", "FITS", "GENERATED", ""];
    let mut page = format!("{head}\n{lengths}");
    if !storages.is_empty() {
        let storages = table(&headings.map(|heading| (heading, Side::Right)), &rows(storages, stored));
        let what =
            if fitting.is_offered { "What its source has" } else { "The same model, stored in other ways" };
        let room = ROOM.min(*context);
        page += &format!("\n{what}, with room for {room} tokens:\n{storages}");
    }
    if let Some(take) = &fitting.take {
        page += &format!("\nTo fetch it: hearth pull {take}\n");
    }
    page
}

fn pictures(fitting: &FittingPictures) -> String {
    let FittingPictures { model, class, size: [width, height], parts, n_steps, machine: limits, .. } =
        fitting;
    let available = limits
        .available_bytes
        .map_or(String::new(), |bytes| format!(", {} of memory free", units::bytes(bytes)));
    let headings = ["PART", "WEIGHTS", "MEMORY"];
    let parts = table(&headings.map(|heading| (heading, Side::Right)), &rows(parts, part));
    let step_s = fitting.step_s;
    format!(
        "{model}: {class}, made for pictures of {width} x {height}\nHere: {}{available}\n\n{parts}\nOne part is in memory \
         at a time: {} at most. Fits: {}\nA step of {width} x {height}: {:.2} TFLOP, about {} here; {n_steps} steps about {}\n",
        machine(limits),
        units::bytes(fitting.memory_bytes),
        fits(fitting.fits),
        fitting.step_flops / 1e12,
        units::duration(step_s),
        units::duration(step_s * *n_steps as f64),
    )
}

fn part(part: &FitPart) -> Vec<String> {
    vec![part.name.clone(), units::bytes(part.weight_bytes), units::bytes(part.memory_bytes)]
}

fn rows<T>(list: &[T], row: fn(&T) -> Vec<String>) -> Vec<Vec<String>> {
    list.iter().map(row).collect()
}

fn length(at: &FitAt) -> Vec<String> {
    vec![
        at.n_tokens.to_string(),
        units::bytes(at.memory_bytes),
        units::bytes(at.cache_bytes),
        fits(at.fits),
        format!("{}/s", units::rate(at.prompt_tokens_per_s)),
        format!("{}/s", units::rate(at.generated_tokens_per_s)),
    ]
}

fn stored(stored: &FitAs) -> Vec<String> {
    let best = if stored.is_best { "take this one" } else { "" };
    vec![
        stored.storage.clone(),
        units::bytes(stored.weight_bytes),
        units::bytes(stored.memory_bytes),
        fits(stored.fits),
        stored.generated_tokens_per_s.map_or("?".into(), |rate| format!("{}/s", units::rate(rate))),
        best.into(),
    ]
}

fn fits(fits: Option<bool>) -> String {
    match fits {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::event::measure::Machine;
    use expect_test::expect;

    fn fitting() -> Fitting {
        let at = |n_tokens: usize, memory_bytes: u64, fits: bool| FitAt {
            n_tokens,
            memory_bytes,
            cache_bytes: n_tokens as u64 * 65_536,
            fits: Some(fits),
            prompt_tokens_per_s: 812.3,
            generated_tokens_per_s: 9.876,
        };
        let stored = |storage: &str, weight_bytes: u64, is_best: bool| FitAs {
            storage: storage.into(),
            weight_bytes,
            memory_bytes: weight_bytes + 300_000_000,
            fits: Some(true),
            generated_tokens_per_s: Some(8e9 / weight_bytes as f64),
            is_best,
        };
        Fitting {
            model: "poems".into(),
            file_bytes: 807_000_000,
            storage: "Q4_K".into(),
            context: 131_072,
            lengths: vec![at(512, 900_000_000, true), at(131_072, 9_400_000_000, false)],
            storages: vec![stored("BF16", 2_470_000_000, false), stored("Q8_0", 1_310_000_000, true)],
            is_offered: false,
            take: None,
            machine: Machine {
                n_threads: 2,
                read_bytes_per_s: 27.4e9,
                flops_per_s: 0.44e12,
                available_bytes: Some(8_000_000_000),
            },
        }
    }

    #[test]
    fn the_page() {
        let words = ["fit", "poems", "--context", "512", "--context", "131072"];
        let told = Script::new([Event::Fitting(Box::new(fitting()))]).run(&words);
        let job = Fit { model: "poems".into(), contexts: vec![512, 131_072] };
        assert_eq!((told.exit, told.jobs), (Exit::Done, vec![Job::Fit(job)]));
        expect![[r#"
            poems: 807 MB, mostly Q4_K, made for 131072 tokens
            Here: 2 threads, 27.4 GB/s of memory, 0.44 TFLOP/s in f32, 8.0 GB of memory free

            CONTEXT  MEMORY  OF WHICH CACHE  FITS  PROMPT  GENERATED
                512  900 MB           34 MB   yes   812/s     9.88/s
             131072  9.4 GB          8.6 GB    no   812/s     9.88/s

            The same model, stored in other ways, with room for 4096 tokens:
            STORED AS  WEIGHTS  MEMORY  FITS  GENERATED
                 BF16   2.5 GB  2.8 GB   yes     3.24/s
                 Q8_0   1.3 GB  1.6 GB   yes     6.11/s  take this one
        "#]]
        .assert_eq(&told.out);
    }

    #[test]
    fn the_page_of_an_image_model() {
        let part = |name: &str, weight_bytes: u64| FitPart {
            name: name.into(),
            weight_bytes,
            memory_bytes: weight_bytes + 800_000_000,
        };
        let fitting = FittingPictures {
            model: "painter".into(),
            class: "StableDiffusionPipeline".into(),
            size: [512, 512],
            parts: vec![part("text encoders", 246_000_000), part("model", 1_720_000_000)],
            memory_bytes: 2_520_000_000,
            fits: Some(true),
            n_steps: 20,
            step_flops: 1.6e12,
            step_s: 4.0,
            machine: fitting().machine,
        };
        let told = Script::new([Event::FittingPictures(Box::new(fitting))]).run(&["fit", "painter"]);
        expect![[r#"
            painter: StableDiffusionPipeline, made for pictures of 512 x 512
            Here: 2 threads, 27.4 GB/s of memory, 0.44 TFLOP/s in f32, 8.0 GB of memory free

                     PART  WEIGHTS  MEMORY
            text encoders   246 MB  1.0 GB
                    model   1.7 GB  2.5 GB

            One part is in memory at a time: 2.5 GB at most. Fits: yes
            A step of 512 x 512: 1.60 TFLOP, about 4.0 s here; 20 steps about 1 min 20 s
        "#]]
        .assert_eq(&told.out);
    }

    #[test]
    fn the_page_of_a_model_that_is_elsewhere() {
        let mut elsewhere = fitting();
        let unknown = FitAs { generated_tokens_per_s: None, ..elsewhere.storages[0].clone() };
        elsewhere.storages.push(FitAs { storage: "IQ2_M".into(), weight_bytes: 600_000_000, ..unknown });
        elsewhere.model = "hf.co/anna/poems".into();
        (elsewhere.is_offered, elsewhere.take) = (true, Some("hf.co/anna/poems:Q8_0".into()));
        let told = Script::new([Event::Fitting(Box::new(elsewhere))]).run(&["fit", "hf.co/anna/poems"]);
        expect![[r#"
            hf.co/anna/poems: 807 MB, mostly Q4_K, made for 131072 tokens
            Here: 2 threads, 27.4 GB/s of memory, 0.44 TFLOP/s in f32, 8.0 GB of memory free

            CONTEXT  MEMORY  OF WHICH CACHE  FITS  PROMPT  GENERATED
                512  900 MB           34 MB   yes   812/s     9.88/s
             131072  9.4 GB          8.6 GB    no   812/s     9.88/s

            What its source has, with room for 4096 tokens:
            STORED AS  DOWNLOAD  MEMORY  FITS  GENERATED
                 BF16    2.5 GB  2.8 GB   yes     3.24/s
                 Q8_0    1.3 GB  1.6 GB   yes     6.11/s  take this one
                IQ2_M    600 MB  2.8 GB   yes          ?

            To fetch it: hearth pull hf.co/anna/poems:Q8_0
        "#]]
        .assert_eq(&told.out);
    }
}
