//! `hearth list`: the models that there are.

use app::event::Model;
use app::event::library::Adapter;
use app::{Event, Job};
use clap::{Arg, ArgAction, ArgMatches};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::table::{Side, table};
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "list", build, run };

/// Hexadecimal digits of a digest that tell models apart.
const DIGEST_DIGITS: usize = 12;

fn build(command: clap::Command) -> clap::Command {
    command.about("List the models on this machine").visible_alias("ls").arg(
        Arg::new("skipped")
            .long("skipped")
            .action(ArgAction::SetTrue)
            .help("Also say what other programs keep that is no model, or not whole"),
    )
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let now_ms = session.world.now_ms;
    session.follow(Job::List, &mut |console, event| match event {
        Event::Models { models, broken, skipped } => {
            console.print(&listing(models, now_ms))?;
            broken.iter().for_each(|failure| console.warn(failure));
            for skipped in skipped.iter().filter(|_| matches.get_flag("skipped")) {
                console.say(&format!("{} of {}: {}", skipped.name, skipped.place, skipped.reason));
            }
            Ok(())
        }
        _ => Ok(()),
    })?;
    Ok(Exit::Done)
}

/// The models as a table; notes only where there are any.
fn listing(models: &[Model], now_ms: u64) -> String {
    let mut headings = vec![
        ("NAME", Side::Left),
        ("DIGEST", Side::Left),
        ("SIZE", Side::Right),
        ("CREATED", Side::Left),
        ("ARCHITECTURE", Side::Left),
    ];
    let has_notes = models.iter().any(|model| !note(model).is_empty());
    headings.extend(has_notes.then_some(("NOTE", Side::Left)));
    let row = |model: &Model| {
        let note = has_notes.then(|| note(model));
        let cells = [
            model.name.clone(),
            short(&model.digest),
            units::bytes(model.size_bytes),
            units::age(now_ms, model.created_ms),
            model.architecture.clone(),
        ];
        cells.into_iter().chain(note).collect()
    };
    table(&headings, &models.iter().map(row).collect::<Vec<_>>())
}

/// What is special about a model.
fn note(model: &Model) -> String {
    let notes = [
        model.adapter.as_ref().map(adapter),
        (!model.place.is_empty()).then(|| format!("in {}", model.place)),
        model.is_pinned.then(|| "pinned".to_owned()),
        (model.n_versions > 1).then(|| units::many(model.n_versions, "version")),
    ];
    notes.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What an adapter is, in words; its base may be a long path.
pub fn adapter(adapter: &Adapter) -> String {
    let rank = match adapter.rank {
        0 => "adapter that cannot be read".to_owned(),
        rank => format!("adapter of rank {rank}"),
    };
    match (adapter.has_model, adapter.base.as_str()) {
        (true, _) => format!("with an {rank}"),
        (false, "") => rank,
        (false, base) => format!("{rank} for {base}"),
    }
}

/// The beginning of a digest, without the name of its algorithm.
pub fn short(digest: &str) -> String {
    let digits = digest.rsplit(':').next().unwrap_or(digest);
    digits.chars().take(DIGEST_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, model};
    use app::Failure;
    use app::event::library::Skipped;
    use expect_test::expect;

    fn models() -> Event {
        let day_ms = 86_400_000;
        let mut models = vec![model("starter"), model("stories260k"), model("team/größer:q8\x1b[2J")];
        models[0].created_ms = 0;
        models[1].created_ms = Script::NOW_MS - 3 * day_ms;
        models[2].size_bytes = 4_370_000_000;
        models[2].created_ms = Script::NOW_MS - 400 * day_ms;
        Event::Models {
            models,
            broken: vec![Failure::new("damaged_store", "`old`: no manifest", "hearth rm old")],
            skipped: Vec::new(),
        }
    }

    #[test]
    fn a_table_of_models() {
        let told = Script::new([models()]).run(&["ls"]);
        assert_eq!(told.jobs, [Job::List]);
        expect![[r#"
            NAME                DIGEST          SIZE  CREATED     ARCHITECTURE
            starter             0123456789ab  1.1 MB  built in    llama
            stories260k         0123456789ab  1.1 MB  3 days ago  llama
            team/größer:q8␛[2J  0123456789ab  4.4 GB  2025-10-16  llama
        "#]]
        .assert_eq(&told.out);
        assert_eq!(told.err, "warning: `old`: no manifest\nhint: hearth rm old\n");
    }

    #[test]
    fn an_adapter_is_told_from_a_model() {
        let adapter = |base: &str, rank, has_model| Some(Adapter { base: base.into(), rank, has_model });
        let mut models = vec![model("base"), model("lora"), model("both"), model("broken")];
        models[1].adapter = adapter("meta/base-8b", 16, false);
        models[2].adapter = adapter("", 4, true);
        models[3].adapter = adapter("", 0, false);
        models.iter_mut().for_each(|model| model.created_ms = 0);
        models[1].architecture.clear();
        let told = Script::new([Event::Models { models, broken: vec![], skipped: vec![] }]).run(&["ls"]);
        expect![[r#"
            NAME    DIGEST          SIZE  CREATED   ARCHITECTURE  NOTE
            base    0123456789ab  1.1 MB  built in  llama
            lora    0123456789ab  1.1 MB  built in                adapter of rank 16 for meta/base-8b
            both    0123456789ab  1.1 MB  built in  llama         with an adapter of rank 4
            broken  0123456789ab  1.1 MB  built in  llama         adapter that cannot be read
        "#]]
        .assert_eq(&told.out);
    }

    #[test]
    fn what_is_special_stands_beside_a_model() {
        let mut models = vec![model("poems"), model("llama3.2:1b")];
        (models[0].is_pinned, models[0].n_versions) = (true, 3);
        (models[1].place, models[1].digest) = ("Ollama".into(), String::new());
        let skipped = vec![Skipped {
            name: "hf.co/a/b@main".into(),
            place: "the Hugging Face cache".into(),
            reason: "it has no weights that Hearth knows".into(),
        }];
        let event = Event::Models { models, broken: Vec::new(), skipped };
        let told = Script::new([event.clone()]).run(&["list"]);
        expect![[r#"
            NAME         DIGEST          SIZE  CREATED   ARCHITECTURE  NOTE
            poems        0123456789ab  1.1 MB  just now  llama         pinned, 3 versions
            llama3.2:1b                1.1 MB  just now  llama         in Ollama
        "#]]
        .assert_eq(&told.out);
        assert_eq!(told.err, "");
        let told = Script::new([event]).run(&["list", "--skipped"]);
        let expected = "hf.co/a/b@main of the Hugging Face cache: it has no weights that Hearth knows\n";
        assert_eq!(told.err, expected);
    }

    #[test]
    fn the_same_as_json() {
        let told = Script::new([models()]).run(&["list", "--json"]);
        let event: serde_json::Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!(event["models"][1]["name"], "stories260k");
        assert!(!told.out.contains('\x1b'));
    }
}
