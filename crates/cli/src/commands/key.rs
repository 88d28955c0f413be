//! `hearth key`: makes, lists and ends the keys with which others use the server.

use app::event::keys::Key;
use app::job::keys::{Create, Keys, Limits};
use app::{Event, Failure, Job};
use clap::{Arg, ArgMatches, value_parser};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::table::{Side, table};
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "key", build, run };

const AFTER_HELP: &str = "\
A key is shown once, when it is made; Hearth keeps only what it takes to know it again. The person at this machine \
needs none over loopback.

  hearth key create anna --lasts 90d --requests-per-minute 60
  hearth key create backup --scopes read,metrics
  hearth key list
  hearth key revoke anna

Scopes: use (ask models), read (see what there is), manage (change which models there are), metrics, admin (all).";

fn build(command: clap::Command) -> clap::Command {
    let count = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u64).range(1..)).help(help)
    };
    let create = clap::Command::new("create")
        .about("Make a key, and show it this once")
        .arg(Arg::new("name").value_name("NAME").required(true).help("What it is called"))
        .arg(
            Arg::new("scopes")
                .long("scopes")
                .value_name("SCOPES")
                .default_value("use,read")
                .help("What it is good for"),
        )
        .arg(Arg::new("lasts").long("lasts").value_name("TIME").help("When it ends by itself: 12h, 90d"))
        .arg(count("requests-per-minute", "Requests in any minute, at most"))
        .arg(count("requests-per-day", "Requests a day, at most"))
        .arg(count(
            "tokens-per-day",
            "Tokens of prompts and answers a day, at most; of pictures one for each 16 x 16 pixels",
        ));
    let list = clap::Command::new("list").about("List all keys");
    let revoke = clap::Command::new("revoke")
        .about("End a key for good")
        .arg(Arg::new("key").value_name("KEY").required(true).help("Its name or id"));
    command
        .about("Look after the keys with which others use the server")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([create, list, revoke])
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let keys = match matches.subcommand() {
        Some(("create", matches)) => Keys::Create(created(matches)?),
        Some(("revoke", matches)) => Keys::Revoke { key: super::text(matches, "key") },
        _ => Keys::List,
    };
    session.follow(Job::Keys(keys), &mut |console, event| match event {
        Event::KeyCreated { key, secret } => {
            console.say(&format!("{} may {}. This is shown once:", key.name, key.scopes));
            console.print(&format!("{secret}\n"))
        }
        Event::Keys { keys } if keys.is_empty() => {
            console.say("There are no keys. `hearth key create NAME` makes one.");
            Ok(())
        }
        Event::Keys { keys } => console.print(&listed(keys)),
        Event::KeyRevoked(key) => {
            console.say(&format!("{} lets nobody in any more.", key.name));
            Ok(())
        }
        _ => Ok(()),
    })?;
    Ok(Exit::Done)
}

fn created(matches: &ArgMatches) -> Result<Create, Failure> {
    let count = |name: &str| matches.get_one::<u64>(name).copied();
    let lasts_ms = matches.get_one::<String>("lasts").map(|lasts| lasting(lasts)).transpose()?;
    Ok(Create {
        name: super::text(matches, "name"),
        scopes: super::text(matches, "scopes"),
        lasts_ms,
        limits: Limits {
            requests_per_minute: count("requests-per-minute").map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            requests_per_day: count("requests-per-day"),
            tokens_per_day: count("tokens-per-day"),
        },
    })
}

/// Milliseconds of a time such as `90d`.
fn lasting(text: &str) -> Result<u64, Failure> {
    let wrong =
        |why: String| Failure::new("bad_setting", format!("--lasts: {why}"), "write 30m, 12h, 90d or 8w");
    match units::parse_duration_ms(text) {
        Ok(0) => Err(wrong(format!("`{text}` is over at once"))),
        parsed => parsed.map_err(wrong),
    }
}

fn listed(keys: &[Key]) -> String {
    let day = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), units::date);
    let row = |key: &Key| {
        let ends = match key.revoked_ms {
            Some(ms) => format!("revoked {}", units::date(ms)),
            None => day(key.expires_ms),
        };
        vec![
            key.name.clone(),
            key.id.to_string(),
            key.scopes.clone(),
            limits(&key.limits),
            ends,
            day(key.last_used_ms),
        ]
    };
    let headings =
        ["NAME", "ID", "SCOPES", "LIMITS", "ENDS", "LAST USED"].map(|heading| (heading, Side::Left));
    table(&headings, &keys.iter().map(row).collect::<Vec<_>>())
}

fn limits(limits: &Limits) -> String {
    let said = [
        limits.requests_per_minute.map(|n| format!("{n} requests/min")),
        limits.requests_per_day.map(|n| format!("{n} requests/day")),
        limits.tokens_per_day.map(|n| format!("{n} tokens/day")),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    if said.is_empty() { "-".to_owned() } else { said.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;

    #[test]
    fn a_key_is_made_as_it_was_asked_for() {
        let words = ["key", "create", "anna", "--lasts", "2d", "--tokens-per-day", "9", "--scopes", "use"];
        let told = Script::new([]).run(&words);
        let limits = Limits { tokens_per_day: Some(9), ..Limits::default() };
        let create =
            Create { name: "anna".into(), scopes: "use".into(), lasts_ms: Some(172_800_000), limits };
        assert_eq!(told.jobs, [Job::Keys(Keys::Create(create))]);
        assert_eq!(Script::new([]).run(&["key", "create", "a", "--lasts", "soon"]).exit, Exit::Failed);
        assert_eq!(Script::new([]).run(&["key"]).exit, Exit::Usage);
    }

    #[test]
    fn keys_stand_in_a_table() {
        let key = |name: &str, revoked_ms| Key {
            id: serde_json::from_str("\"0123456789ab\"").unwrap(),
            name: name.into(),
            scopes: "use,read".into(),
            limits: Limits { requests_per_minute: Some(60), ..Limits::default() },
            created_ms: Script::NOW_MS,
            expires_ms: Some(Script::NOW_MS),
            revoked_ms,
            last_used_ms: None,
        };
        let keys = vec![key("anna", None), key("ben", Some(Script::NOW_MS))];
        let told = Script::new([Event::Keys { keys }]).run(&["key", "list"]);
        expect_test::expect![[r#"
            NAME  ID            SCOPES    LIMITS           ENDS                LAST USED
            anna  0123456789ab  use,read  60 requests/min  2026-11-20          -
            ben   0123456789ab  use,read  60 requests/min  revoked 2026-11-20  -
        "#]]
        .assert_eq(&told.out);
    }
}
