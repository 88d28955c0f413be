//! `hearth run`: a model answers a prompt, or chats.

use app::job::{Generate, Sampling};
use app::{Event, Failure, Job};
use clap::{Arg, ArgAction, ArgMatches};

use super::Command;
use crate::chat::{self, Chat};
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::units;
use crate::{knobs, prompt, statistics};

pub const COMMAND: Command = Command { name: "run", build, run };

const AFTER_HELP: &str = "\
With a prompt, the answer goes to stdout. Without one, a text that is piped in is the prompt; at a \
terminal a chat begins, and /help lists its commands. A chat is kept in memory only.

With --keep-prefixes, what was computed of the prompts and answers stays on disk (in models/cache/prefixes, readable \
by you alone), and a later call that begins alike starts from there with the same answer. From these files the texts \
can be read. What was used longest ago makes room; `hearth gc` frees all of it.

What a model thinks goes to stderr, a call of a tool is a line of JSON on stdout; --messages brings what the tool \
gave back.

MODEL+ADAPTER is a model with a LoRA adapter, both by name or path.

Words on a command line can be seen by other people on the same machine: pipe in what is private.

  hearth run
  hearth run starter \"Tell me a story.\"
  cat notes.txt | hearth run starter \"Summarise:\" -
  hearth run starter --raw --temperature 0 --max-tokens 40 \"Once upon\"";

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Let a model answer a prompt, or chat with it")
        .visible_alias("chat")
        .arg(super::model_argument().default_value("starter"))
        .args(prompt::arguments())
        .arg(prompt::messages_argument())
        .args(prompt::ability_arguments())
        .args(prompt::form_arguments())
        .arg(
            Arg::new("stats")
                .long("stats")
                .visible_alias("verbose")
                .action(ArgAction::SetTrue)
                .help("Say on stderr how many tokens there were and how long they took"),
        )
        .arg(
            Arg::new("keep-prefixes")
                .long("keep-prefixes")
                .value_name("SIZE")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("2GB")
                .value_parser(units::parse_bytes)
                .help("Keep what is computed of texts on disk for later calls, 2GB or --keep-prefixes=SIZE at most"),
        )
        .args(knobs::arguments())
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    session.set_device(matches.get_one::<String>("device").cloned());
    session.set_prefix_bytes(matches.get_one::<u64>("keep-prefixes").copied());
    let sampling = knobs::sampling(matches, Sampling::default());
    let model = super::text(matches, "model");
    let (tools, thinking) = (prompt::tools(matches)?, prompt::thinking(matches));
    let constraint = prompt::constraint(matches)?;
    match prompt::given(matches, session)? {
        Some(prompt) => {
            let draft = prompt::draft(matches);
            let job =
                Generate { sampling, tools, thinking, draft, constraint, ..Generate::new(model, prompt) };
            answer(matches, session, job)
        }
        None if !tools.is_empty() || constraint.is_some() => {
            let hint = "give a prompt in quotes, or a whole conversation with --messages";
            let what = if tools.is_empty() { "an answer has a form" } else { "tools are called" };
            Err(Failure::new("no_prompt", format!("{what} for a prompt, not in a chat"), hint).into())
        }
        None => chat::chat(session, chat_of(matches, model, sampling)),
    }
}

fn chat_of(matches: &ArgMatches, model: String, sampling: Sampling) -> Chat {
    let form = if matches.get_flag("raw") { chat::Form::Raw } else { chat::Form::Chat };
    let told = if matches.get_flag("stats") { chat::Told::Statistics } else { chat::Told::Answers };
    let system = matches.get_one::<String>("system").cloned();
    let chat = Chat::new(model, sampling).form(form).told(told).system(system);
    chat.thinking(prompt::thinking(matches)).draft(prompt::draft(matches))
}

/// Streams the answer and ends it with a line break.
fn answer(matches: &ArgMatches, session: &mut Session, job: Generate) -> Result<Exit, Stop> {
    let (mut started, mut n_calls) = (None, 0);
    session.follow(Job::Generate(job), &mut |console, event| {
        match event {
            Event::Thinking { text } => console.think(text)?,
            Event::ToolCall { name, arguments, .. } => {
                n_calls += 1;
                console.call(name, arguments)?;
            }
            Event::Started(event) => started = Some(event.clone()),
            Event::Text { text } => console.stream(text)?,
            Event::Finished(finished) => {
                if n_calls == 0 {
                    console.print("\n")?;
                }
                console.end_line()?;
                if matches.get_flag("stats") {
                    console.say(&statistics::line(started.as_ref(), finished));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, answer as events};
    use app::job::{Constraint, Detail, Prompt};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn generate(words: &[&str]) -> Generate {
        let told = Script::new(events(&[])).run(words);
        assert_eq!(told.exit, Exit::Done, "{}", told.err);
        let [Job::Generate(job)] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
        job.clone()
    }

    #[test]
    fn every_flag_reaches_the_job() {
        let words = [
            "run",
            "tiny",
            "two",
            "words",
            "--raw",
            "--temperature",
            "0",
            "--top-k",
            "5",
            "--top-p",
            "0.5",
            "--min-p",
            "0.1",
            "--repetition-penalty",
            "1.5",
            "--presence-penalty",
            "-1",
            "--frequency-penalty",
            "0.25",
            "--max-tokens",
            "7",
            "--typical-p",
            "0.75",
            "--mirostat",
            "2",
            "--mirostat-tau",
            "4",
            "--mirostat-eta",
            "0.2",
            "--repeat-last-n",
            "64",
            "--min-tokens",
            "-1",
            "--seed",
            "9",
            "--stop",
            "END",
            "--stop",
            "\n\n",
            "--seed",
            "10",
        ];
        let expected = Sampling {
            temperature: Some(0.0),
            top_k: Some(5),
            top_p: Some(0.5),
            min_p: Some(0.1),
            typical_p: Some(0.75),
            mirostat: Some(app::job::Mirostat::Second),
            mirostat_tau: Some(4.0),
            mirostat_eta: Some(0.2),
            repeat_last_n: Some(64),
            min_tokens: Some(Sampling::ENDLESS),
            repetition_penalty: Some(1.5),
            presence_penalty: Some(-1.0),
            frequency_penalty: Some(0.25),
            logit_bias: BTreeMap::new(),
            seed: Some(10),
            max_tokens: Some(7),
            stop: vec!["END".into(), "\n\n".into()],
        };
        let job = generate(&words);
        assert_eq!(job.sampling, expected);
        assert_eq!((job.model.as_str(), job.detail), ("tiny", Detail::default()));
        assert_eq!(job.prompt, Prompt::Raw("two words".into()));
    }

    #[test]
    fn a_prompt_is_a_conversation_and_an_empty_one_is_a_prompt() {
        let user = prompt::message("user", "hi");
        let system = prompt::message("system", "be brief");
        assert_eq!(generate(&["run", "m", "hi"]).prompt, Prompt::Chat(vec![user.clone()]));
        let words = ["chat", "m", "hi", "--system", "be brief"];
        assert_eq!(generate(&words).prompt, Prompt::Chat(vec![system, user]));
        assert_eq!(generate(&["run", "m", "--raw", ""]).prompt, Prompt::Raw(String::new()));
        assert_eq!(Script::new([]).run(&["run", "m", "--raw", "--system", "x", "y"]).exit, Exit::Usage);
    }

    #[test]
    fn what_is_piped_in_is_the_prompt_or_its_dash() {
        let piped = |words: &[&str]| {
            let told = Script::new(events(&[])).piped("a text\n").run(words);
            let [Job::Generate(job)] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
            (job.model.clone(), job.prompt.clone())
        };
        assert_eq!(piped(&["run", "--raw"]), ("starter".into(), Prompt::Raw("a text".into())));
        let joined = Prompt::Raw("Summarise: a text".into());
        assert_eq!(piped(&["run", "m", "--raw", "Summarise:", "-"]).1, joined);
        assert_eq!(piped(&["run", "m", "--raw", ""]).1, Prompt::Raw(String::new()));
    }

    #[test]
    fn a_whole_conversation_comes_from_a_file_or_a_pipe() {
        let text = r#"[{"role":"system","content":"s"},{"role":"tool","content":"{}"}]"#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("messages.json");
        std::fs::write(&path, text).unwrap();
        let expected = Prompt::Chat(vec![prompt::message("system", "s"), prompt::message("tool", "{}")]);
        let path = path.to_str().unwrap();
        assert_eq!(generate(&["run", "m", "--messages", path]).prompt, expected);
        let told = Script::new(events(&[]))
            .piped(r#"[{"role":"system","content":"s"},{"role":"tool","content":"{}"}]"#);
        let told = told.run(&["run", "m", "--messages", "-"]);
        let [Job::Generate(job)] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
        assert_eq!(job.prompt, expected);
        for wrong in ["", "[]", "{}", r#"[{"role":"user"}]"#, "[[[["] {
            std::fs::write(path, wrong).unwrap();
            let told = Script::new([]).run(&["run", "m", "--messages", path]);
            assert_eq!((told.exit, told.jobs.len()), (Exit::Failed, 0), "{wrong}");
            assert!(told.err.contains("hint: "), "{}", told.err);
        }
        assert_eq!(Script::new([]).run(&["run", "m", "--messages", "/no/such/file"]).exit, Exit::Failed);
        for words in [&["hi", "--messages", path][..], &["--messages", path, "--raw"]] {
            assert_eq!(Script::new([]).run(&[&["run", "m"], words].concat()).exit, Exit::Usage, "{words:?}");
        }
    }

    /// What `hearth` says when the job tells this between its start and its end.
    fn told_with(between: Vec<Event>) -> Script {
        let mut all = events(&[]);
        let end = all.pop();
        Script::new(all.into_iter().chain(between).chain(end))
    }

    fn call(name: &str, arguments: &str) -> Event {
        Event::ToolCall { index: 0, id: None, name: name.into(), arguments: arguments.into() }
    }

    #[test]
    fn thoughts_are_beside_the_data_and_calls_are_lines_of_it() {
        let think = |text: &str| Event::Thinking { text: text.into() };
        let text = |text: &str| Event::Text { text: text.into() };
        let between = || vec![think("Hm,\x1b[2J"), think(" well."), text("Yes"), text(".")];
        let told = told_with(between()).run(&["run", "m", "x"]);
        assert_eq!((told.out.as_str(), told.err.as_str()), ("Yes.\n", "Hm,␛[2J well.\n"));
        let told = told_with(between()).on_terminal().run(&["run", "m", "x"]);
        assert_eq!(told.err, "\x1b[2mHm,␛[2J\x1b[0m\x1b[2m well.\x1b[0m\n");
        let told = told_with(between()).run(&["run", "m", "x", "--json"]);
        let read: Vec<Event> = told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&read[1..5], told.err.as_str()), (between().as_slice(), ""));
        let calls = vec![text("Wait"), call("f", "{\n \"a\": [1, \"\u{9b}\"]}"), call("g", "{}")];
        let told = told_with(calls).run(&["run", "m", "x"]);
        let expected = "Wait\n{\"name\":\"f\",\"arguments\":{\"a\":[1,\"\\u009b\"]}}\n{\"name\":\"g\",\"arguments\":{}}\n";
        assert_eq!((told.out.as_str(), told.err.as_str()), (expected, ""));
    }

    #[test]
    fn tools_and_thinking_reach_the_job() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tools.json");
        let text = r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#;
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let job = generate(&["run", "m", "x", "--tools", path, "--think", "off"]);
        assert_eq!((job.tools.len(), job.tools[0].name.as_str(), job.thinking), (1, "f", Some(false)));
        assert_eq!(generate(&["run", "m", "x", "--think", "on"]).thinking, Some(true));
        let job = generate(&["run", "m", "x"]);
        assert_eq!((job.tools.len(), job.thinking), (0, None));
        for wrong in ["", "[]", "{}", r#"[{"type":"function"}]"#] {
            std::fs::write(path, wrong).unwrap();
            let told = Script::new([]).run(&["run", "m", "x", "--tools", path]);
            assert_eq!((told.exit, told.jobs.len()), (Exit::Failed, 0), "{wrong}");
            assert!(told.err.contains("hint: write a list"), "{}", told.err);
        }
        std::fs::write(path, text).unwrap();
        let told = Script::new([]).types(["hi"]).run(&["run", "m", "--tools", path]);
        assert!(told.exit == Exit::Failed && told.err.contains("not in a chat"), "{}", told.err);
        for words in [&["--tools", path, "--raw"][..], &["--think", "on", "--raw"], &["--think", "maybe"]] {
            assert_eq!(Script::new([]).run(&[&["run", "m", "x"], words].concat()).exit, Exit::Usage);
        }
    }

    #[test]
    fn the_form_of_an_answer_reaches_the_job() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let constraint = |flag: &str, value: &str| generate(&["run", "m", "x", flag, value]).constraint;
        let schema = write("schema.json", r#"{"type": "object"}"#);
        assert_eq!(constraint("--schema", &schema), Some(Constraint::JsonSchema(json!({"type": "object"}))));
        let (gbnf, lark) = ("root ::= \"a\"", "start: \"a\"");
        assert_eq!(constraint("--grammar", &write("a", gbnf)), Some(Constraint::Gbnf(gbnf.into())));
        assert_eq!(constraint("--grammar", &write("b", lark)), Some(Constraint::Lark(lark.into())));
        let named = write("c.lark", "start: \"::=\"");
        assert_eq!(constraint("--grammar", &named), Some(Constraint::Lark("start: \"::=\"".into())));
        assert_eq!(constraint("--regex", "a+"), Some(Constraint::Regex("a+".into())));
        assert_eq!(generate(&["run", "m", "x"]).constraint, None);
        let told = Script::new([]).run(&["run", "m", "x", "--schema", &write("bad.json", "{")]);
        assert!(told.exit == Exit::Failed && told.err.contains("hint: write a JSON schema"), "{}", told.err);
        let told = Script::new([]).types(["hi"]).run(&["run", "m", "--regex", "a"]);
        assert!(told.exit == Exit::Failed && told.err.contains("not in a chat"), "{}", told.err);
        for words in [&["--regex", "a", "--schema", "b"][..], &["--grammar", "a", "--tools", "b"]] {
            assert_eq!(Script::new([]).run(&[&["run", "m", "x"], words].concat()).exit, Exit::Usage);
        }
    }

    #[test]
    fn a_conversation_may_hold_calls_and_results() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("messages.json");
        let text = r#"[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[
            {"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},
            {"role":"tool","tool_call_id":"c","content":"2"}]"#;
        std::fs::write(&path, text).unwrap();
        let job = generate(&["run", "m", "--messages", path.to_str().unwrap()]);
        let Prompt::Chat(messages) = job.prompt else { panic!("{:?}", job.prompt) };
        let call = &messages[1].tool_calls[0];
        assert_eq!((call.name.as_str(), &call.arguments["a"]), ("f", &json!(1)));
        assert_eq!(messages[2].tool_call_id.as_deref(), Some("c"));
    }

    #[test]
    fn a_file_gets_the_bytes_and_a_terminal_no_escapes() {
        let script = || Script::new(events(&["Once", " upon\x1b[2J", " a\r"]));
        let told = script().run(&["run", "m", "x"]);
        assert_eq!((told.out.as_str(), told.err.as_str()), ("Once upon\x1b[2J a\r\n", ""));
        let told = script().on_terminal().run(&["run", "m", "x"]);
        assert_eq!((told.out.as_str(), told.err.as_str()), ("Once upon␛[2J a␍\n", ""));
    }

    #[test]
    fn statistics_only_when_asked_for() {
        let told = Script::new(events(&["a"])).run(&["run", "m", "x", "--stats"]);
        let expected = "3 prompt tokens in 6.0 ms (500/s); 41 answer tokens in 80.0 ms (500/s); \
                        loaded in 12.0 ms; ended by the model; seed 42\n";
        assert_eq!((told.out.as_str(), told.err.as_str()), ("a\n", expected));
    }

    #[test]
    fn json_is_the_events_themselves() {
        let told = Script::new(events(&["a", "b\u{9b}"])).run(&["run", "m", "x", "--json"]);
        let read: Vec<Event> = told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, events(&["a", "b\u{9b}"]));
        assert!(!told.out.contains('\u{9b}'));
    }

    #[test]
    fn ctrl_c_keeps_what_was_made() {
        let told = Script::new(events(&["Once", " upon", " a"])).interrupted_after(3).run(&["run", "m", "x"]);
        assert_eq!(told.exit, Exit::Interrupted);
        assert_eq!((told.out.as_str(), told.err.as_str()), ("Once upon\n", "Stopped.\n"));
    }

    #[test]
    fn a_reader_who_leaves_stops_the_job_quietly() {
        let told = Script::new(events(&["Once", " upon", " a"])).closed_after(1).run(&["run", "m", "x"]);
        assert_eq!((told.exit, told.err.as_str()), (Exit::Done, ""));
        assert!(told.is_cancelled);
    }
}
