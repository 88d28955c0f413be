//! `hearth pull`: fetches a model once; from then on it works offline.

use app::event::pull::{Fetching, Pulled};
use app::job::pull::Pull;
use app::{Event, Job};
use clap::{Arg, ArgMatches};

use super::Command;
use super::list::short;
use crate::console::Console;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "pull", build, run };

const AFTER_HELP: &str = "\
From a repository of Hugging Face (its quantisation behind a colon, its branch or commit behind an @), from Ollama's \
registry, or from the address of a file. What was fetched before is not fetched again; after Ctrl-C the same command \
goes on from the byte that it reached. This and `hearth outdated` are the only commands that open a connection.

  hearth pull hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M
  hearth pull llama3.2:1b
  hearth pull https://example.org/models/poems.gguf --name poems";

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Fetch a model from Hugging Face, an Ollama registry or an address")
        .arg(
            Arg::new("from")
                .value_name("MODEL")
                .required(true)
                .help("hf.co/USER/REPO[:QUANT][@REVISION], NAME[:TAG], or https://…"),
        )
        .arg(Arg::new("name").long("name").value_name("NAME").help("The name that it gets here"))
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let job = Pull { from: super::text(matches, "from"), name: matches.get_one::<String>("name").cloned() };
    session.follow(Job::Pull(job), &mut |console, event| {
        match event {
            Event::Fetching(fetching) => show(console, fetching),
            Event::Pulled(pulled) => tell(console, pulled),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn show(console: &mut Console, fetching: &Fetching) {
    let Fetching { phase, file, done_bytes, total_bytes, rate_bytes_per_s, eta_s } = fetching;
    let file = file.rsplit('/').next().unwrap_or_default();
    let speed = match (phase.as_str(), eta_s) {
        ("fetching", Some(eta_s)) => {
            let rate = units::bytes(rate_bytes_per_s.max(0.0) as u64);
            format!(" {rate}/s, {} left", units::duration(*eta_s as f64))
        }
        _ => String::new(),
    };
    console.progress(&format!("{phase} {file}{speed}"), *done_bytes, *total_bytes);
}

fn tell(console: &mut Console, pulled: &Pulled) {
    let Pulled { model, is_new, fetched_bytes, unchecked } = pulled;
    let (digest, size) = (short(&model.digest), units::bytes(model.size_bytes));
    let news = match is_new {
        true => format!("{} were fetched", units::bytes(*fetched_bytes)),
        false => "nothing is newer there".to_owned(),
    };
    console.say(&format!("{} is here: {digest}, {size}; {news}.", model.name));
    if !unchecked.is_empty() {
        let files = unchecked.join(", ");
        console.say(&format!("No hash was announced for {files}: only the length could be checked."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::event::Model;

    fn pulled(is_new: bool) -> Event {
        let model = Model {
            name: "hf.co/anna/poems".into(),
            digest: "sha256:0123456789abcdef".into(),
            size_bytes: 5_000_000,
            created_ms: 0,
            architecture: "llama".into(),
            place: String::new(),
            is_pinned: false,
            n_versions: 1,
            adapter: None,
        };
        let unchecked = if is_new { vec!["poems.gguf".to_owned()] } else { Vec::new() };
        Event::Pulled(Box::new(Pulled { model, is_new, fetched_bytes: 4_000_000, unchecked }))
    }

    fn fetching() -> Event {
        Event::Fetching(Fetching {
            phase: "fetching".into(),
            file: "folder/poems.gguf".into(),
            done_bytes: 2_500_000,
            total_bytes: 5_000_000,
            rate_bytes_per_s: 1e6,
            eta_s: Some(61),
        })
    }

    #[test]
    fn what_came_is_told_and_what_could_not_be_checked() {
        let told = Script::new([fetching(), pulled(true)]).run(&["pull", "hf.co/anna/poems", "--name", "p"]);
        let job = Pull { from: "hf.co/anna/poems".into(), name: Some("p".into()) };
        assert_eq!((told.exit, told.jobs), (Exit::Done, vec![Job::Pull(job)]));
        assert!(told.err.starts_with("hf.co/anna/poems is here: "), "{}", told.err);
        assert!(
            told.err.contains("4.0 MB were fetched.\nNo hash was announced for poems.gguf"),
            "{}",
            told.err
        );
        let told = Script::new([pulled(false)]).run(&["pull", "hf.co/anna/poems"]);
        assert!(told.err.ends_with("nothing is newer there.\n"), "{}", told.err);
    }

    #[test]
    fn a_terminal_sees_rate_and_rest() {
        let told = Script::new([fetching(), pulled(true)]).on_terminal().run(&["pull", "m"]);
        assert!(told.err.contains("fetching poems.gguf 1.0 MB/s, 1 min 1 s left"), "{}", told.err);
    }
}
