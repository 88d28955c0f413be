//! `hearth explain`: the glass box. What the model read, what it could have said, what each of its
//! layers would have said, and what took the time.
//!
//! The parts are drawn by pure functions: `pieces`, `tokens`, `lens`, `timing`; of a drawing they are a `page`.

mod drawing;
mod knob;
mod lens;
mod page;
mod pieces;
mod timing;
mod tokens;

use std::io;

use app::event::{Finished, Token};
use app::job::{Detail, Generate, Sampling};
use app::{Event, Failure, Job};
use clap::{Arg, ArgMatches, value_parser};

use super::Command;
use crate::console::Console;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::width::wrap;
use crate::terminal::{units, visible};
use crate::{knobs, prompt, statistics};

pub const COMMAND: Command = Command { name: "explain", build, run };

const MAX_TOKENS: usize = 16;
const ALTERNATIVES: &str = "5";

const AFTER_HELP: &str = "\
For example:
  hearth explain starter --raw \"Once upon a time\"
  hearth explain --knob learning_rate
  hearth explain --draw \"a red house\" --model ./stable-diffusion-v1-5 --out house.html";

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Show what happens inside a model while it answers")
        .arg(super::model_argument().default_value("starter"))
        .args(prompt::arguments())
        .arg(
            Arg::new("alternatives")
                .long("alternatives")
                .value_name("COUNT")
                .default_value(ALTERNATIVES)
                .value_parser(value_parser!(u16).range(0..=100))
                .help("How many of the likeliest tokens to name at each place"),
        )
        .arg(knob::argument())
        .args(drawing::arguments())
        .args(knobs::arguments())
        .mut_arg("temperature", |arg| arg.help("How bold the choice of words is (default: 0, the likeliest)"))
        .mut_arg("max-tokens", |arg| {
            arg.help(format!("Tokens of the answer at most (default: {MAX_TOKENS})"))
        })
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    if let Some(name) = knob::asked(matches) {
        return knob::explain(name, session.console());
    }
    if let Some(prompt) = drawing::asked(matches) {
        return drawing::explain(prompt, matches, session);
    }
    drawing::expect_none(matches)?;
    session.set_device(matches.get_one::<String>("device").cloned());
    let job = job(matches, session)?;
    let mut view = View::default();
    let followed = session.follow(Job::Generate(job), &mut |console, event| view.take(console, event));
    // After Ctrl-C the tokens that came are explained as well.
    if let Ok(()) | Err(Stop::Interrupted) = followed {
        view.end(session.console())?;
    }
    followed.map(|()| Exit::Done)
}

fn job(matches: &ArgMatches, session: &mut Session) -> Result<Generate, Stop> {
    let Some(text) = prompt::text(matches, session)? else {
        let hint = "give it in quotes: hearth explain starter --raw \"Once upon a time\"";
        return Err(Failure::new("no_prompt", "there is no prompt to explain", hint).into());
    };
    let defaults = Sampling { temperature: Some(0.0), max_tokens: Some(MAX_TOKENS), ..Sampling::default() };
    let alternatives = *matches.get_one::<u16>("alternatives").expect("it has a default");
    Ok(Generate {
        sampling: knobs::sampling(matches, defaults),
        detail: Detail {
            alternatives: alternatives.into(),
            prompt_tokens: true,
            lens: true,
            timing: true,
            ..Detail::default()
        },
        ..Generate::new(super::text(matches, "model"), prompt::prompt(matches, text))
    })
}

/// What is kept until the answer is complete.
#[derive(Default)]
struct View {
    answer: String,
    tokens: Vec<Token>,
    finished: Option<Finished>,
}

impl View {
    /// Draws what can be drawn at once.
    fn take(&mut self, console: &mut Console, event: &Event) -> io::Result<()> {
        let (color, columns) = (console.color(), console.columns());
        match event {
            Event::Started(started) => {
                let n_tokens = units::many(started.n_prompt_tokens, "token");
                let heading = format!("{} reads {n_tokens}", visible::line(&started.model));
                console.print(&headed(&heading, Ink::Bold, color, columns))?;
                console.print(&pieces::draw(&started.prompt_tokens, color, columns))
            }
            Event::Text { text } | Event::Thinking { text } => {
                self.answer.push_str(text);
                Ok(())
            }
            Event::Token(token) => {
                if self.tokens.is_empty() {
                    let heading = "and says, token by token: how likely it was, and what it could have said";
                    console.print("\n")?;
                    console.print(&headed(heading, Ink::Bold, color, columns))?;
                }
                self.tokens.push(token.clone());
                console.print(&tokens::draw(token, color, columns))
            }
            Event::Finished(finished) => {
                self.finished = Some(finished.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Draws what needs all tokens.
    fn end(&self, console: &mut Console) -> io::Result<()> {
        let (color, columns) = (console.color(), console.columns());
        let timings = self.finished.as_ref().map_or(&[][..], |finished| &finished.timing);
        let answer = visible::text(&self.answer).replace('\t', "    ");
        let sections = [
            ("The answer", "", lines(&answer, columns)),
            (
                "The lens: what each layer would have said, had it been the last",
                lens::LEGEND,
                lens::draw(&self.tokens, color, columns),
            ),
            ("Time by kind of layer", "", timing::draw(timings, color, columns)),
        ];
        for (heading, legend, body) in sections.iter().filter(|(_, _, body)| !body.is_empty()) {
            let heading = headed(heading, Ink::Bold, color, columns);
            console.print(&format!("\n{heading}{}{body}", headed(legend, Ink::Dim, color, columns)))?;
        }
        if let Some(finished) = &self.finished {
            console.say(&statistics::line(None, finished));
        }
        Ok(())
    }
}

/// `heading` in `ink`, wrapped to `columns`.
fn headed(heading: &str, ink: Ink, color: Color, columns: usize) -> String {
    lines(heading, columns).lines().map(|line| color.paint(ink, line) + "\n").collect()
}

/// `text` wrapped to `columns`; nothing stays nothing.
fn lines(text: &str, columns: usize) -> String {
    if text.is_empty() {
        return String::new();
    }
    wrap(text, columns).iter().map(|line| format!("{line}\n")).collect()
}

/// A probability from its natural logarithm.
fn probability(log_probability: f32) -> f64 {
    f64::from(log_probability).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, finished};
    use app::event::{Alternative, LayerView, Piece, Reason, Started, Timing};
    use expect_test::expect;

    fn piece(id: u32, text: &str) -> Piece {
        Piece { id, text: text.into(), bytes: None }
    }

    fn could(id: u32, text: &str, probability: f32) -> Alternative {
        Alternative { piece: piece(id, text), log_probability: probability.ln() }
    }

    fn token(chosen: Alternative, others: &[(u32, &str, f32)]) -> Token {
        let layer = |(layer, (id, text, share)): (usize, &(u32, &str, f32))| LayerView {
            layer,
            best: could(*id, text, share * 0.5),
            chosen_log_probability: (share * 0.3).ln(),
        };
        let mut lens: Vec<LayerView> = others.iter().enumerate().map(layer).collect();
        lens.push(LayerView {
            layer: others.len(),
            best: chosen.clone(),
            chosen_log_probability: chosen.log_probability,
        });
        let others = others.iter().map(|(id, text, share)| could(*id, text, *share));
        Token {
            piece: chosen.piece.clone(),
            log_probability: chosen.log_probability,
            alternatives: [chosen].into_iter().chain(others).collect(),
            lens,
        }
    }

    fn events() -> Vec<Event> {
        let prompt = [(1, "<s>"), (403, "Once"), (407, " upon"), (261, " a"), (378, " time"), (13, "\n")];
        let others: &[(u32, &str, f32)] =
            &[(399, " it", 0.1834), (410, " in a faraway", 0.02), (9, "\x1b[2J", 0.0001)];
        vec![
            Event::Started(Started {
                model: "tiny:latest".into(),
                context: 512,
                n_prompt_tokens: prompt.len(),
                prompt_tokens: prompt.map(|(id, text)| piece(id, text)).to_vec(),
                seed: 42,
                sampling: Sampling::default(),
            }),
            Event::Token(token(could(432, ",", 0.7241), others)),
            Event::Text { text: ",".into() },
            Event::Token(token(could(385, " there", 0.99999), others)),
            Event::Text { text: " there".into() },
            Event::Token(token(could(286, " was日本語", 0.004), others)),
            Event::Text { text: " was日本語\x1b[2J".into() },
            Event::Finished(Finished {
                timing: vec![
                    Timing { kind: "attention".into(), prompt_ms: 4.0, generate_ms: 60.5 },
                    Timing { kind: "feed-forward".into(), prompt_ms: 1.5, generate_ms: 19.0 },
                    Timing { kind: "norm".into(), prompt_ms: 0.01, generate_ms: 0.2 },
                ],
                ..finished(Reason::Length)
            }),
        ]
    }

    const WORDS: [&str; 5] = ["explain", "tiny", "--raw", "Once upon a time", "--max-tokens=3"];

    #[test]
    fn the_job_asks_for_every_detail() {
        let told = Script::new(events()).run(&WORDS);
        let [Job::Generate(job)] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
        let detail =
            Detail { alternatives: 5, prompt_tokens: true, lens: true, timing: true, ..Detail::default() };
        assert_eq!(
            (job.detail, job.sampling.temperature, job.sampling.max_tokens),
            (detail, Some(0.0), Some(3))
        );
        let told = Script::new(events()).run(&["explain", "tiny", "x", "--alternatives", "2"]);
        let [Job::Generate(job)] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
        assert_eq!((job.detail.alternatives, job.sampling.max_tokens), (2, Some(MAX_TOKENS)));
        assert_eq!(Script::new([]).types([]).run(&["explain", "tiny"]).exit, Exit::Failed);
    }

    #[test]
    fn the_glass_box_without_colours() {
        let told = Script::new(events()).run(&WORDS);
        expect![[r#"
            tiny:latest reads 6 tokens
            [<s>|1][Once|403][·upon|407][·a|261][·time|378][⏎|13]

            and says, token by token: how likely it was, and what it could have said
            ,               432 ███████▎    72.4%  ·it 18.3%  ·in·a·faraw… 2.0%  ␛[2J <0.1%
            ·there          385 ██████████   100%  ·it 18.3%  ·in·a·faraw… 2.0%  ␛[2J <0.1%
            ·was日本語      286              0.4%  ·it 18.3%  ·in·a·faraw… 2.0%  ␛[2J <0.1%

            The answer
            , there was日本語␛[2J

            The lens: what each layer would have said, had it been the last
            its likeliest token, how likely, and as a block: the token said in the end
            layer  ,              ·there         ·was日本語
                0  ·it       9%▁  ·it       9%▁  ·it       9%▁
                1  ·in·a·…   1%▁  ·in·a·…   1%▁  ·in·a·…   1%▁
                2  ␛[2J      0%   ␛[2J      0%   ␛[2J      0%
                3  ,        72%▆  ·there  100%█  ·was日…   0%

            Time by kind of layer
                             prompt     answer
            attention        4.0 ms    60.5 ms  ██████████████████████▊         75.7%
            feed-forward     1.5 ms    19.0 ms  ███████▎                        24.1%
            norm            0.01 ms    0.20 ms  ▏                                0.2%
        "#]]
        .assert_eq(&told.out);
    }

    #[test]
    fn the_glass_box_in_colours() {
        let told = Script::new(events()).on_terminal().columns(72).run(&WORDS);
        expect![[r#"
            ~[1mtiny:latest reads 6 tokens~[0m
            ~[30;46m<s>~[0m ~[30;43mOnce~[0m ~[30;46m·upon~[0m ~[30;43m·a~[0m  ~[30;46m·time~[0m ~[30;43m⏎~[0m  
            ~[2m1  ~[0m ~[2m403 ~[0m ~[2m407  ~[0m ~[2m261~[0m ~[2m378  ~[0m ~[2m13~[0m 

            ~[1mand says, token by token: how likely it was, and what it could have said~[0m
            ~[32m,           ~[0m ~[2m   432~[0m ~[36m███████▎  ~[0m  72.4%  ·it 18.3%  ·in·a·faraw… 2.0%
                                                   ␛[2J <0.1%
            ~[32m·there      ~[0m ~[2m   385~[0m ~[36m██████████~[0m   100%  ·it 18.3%  ·in·a·faraw… 2.0%
                                                   ␛[2J <0.1%
            ~[32m·was日本語  ~[0m ~[2m   286~[0m ~[36m          ~[0m   0.4%  ·it 18.3%  ·in·a·faraw… 2.0%
                                                   ␛[2J <0.1%

            ~[1mThe answer~[0m
            , there was日本語␛[2J

            ~[1mThe lens: what each layer would have said, had it been the last~[0m
            ~[2mits likeliest token, how likely, and as a block: the token said in the~[0m
            ~[2mend~[0m
            layer  ~[1m,              ·there         ·was日本語~[0m
                0  ~[2m·it       9%~[0m~[36m▁~[0m  ~[2m·it       9%~[0m~[36m▁~[0m  ~[2m·it       9%~[0m~[36m▁~[0m
                1  ~[2m·in·a·…   1%~[0m~[36m▁~[0m  ~[2m·in·a·…   1%~[0m~[36m▁~[0m  ~[2m·in·a·…   1%~[0m~[36m▁~[0m
                2  ~[2m␛[2J      0%~[0m~[36m ~[0m  ~[2m␛[2J      0%~[0m~[36m ~[0m  ~[2m␛[2J      0%~[0m~[36m ~[0m
                3  ~[32m,        72%~[0m~[36m▆~[0m  ~[32m·there  100%~[0m~[36m█~[0m  ~[32m·was日…   0%~[0m~[36m ~[0m

            ~[1mTime by kind of layer~[0m
                             prompt     answer
            attention        4.0 ms    60.5 ms  ~[36m██████████████████████       ~[0m  75.7%
            feed-forward     1.5 ms    19.0 ms  ~[36m███████                      ~[0m  24.1%
            norm            0.01 ms    0.20 ms  ~[36m▏                            ~[0m   0.2%
        "#]].assert_eq(&told.out.replace('\x1b', "~"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [40, 60, 80, 133] {
            let told = Script::new(events()).columns(columns).run(&WORDS);
            for line in told.out.lines() {
                assert!(crate::terminal::width::width(line) <= columns, "{columns}: {line}");
            }
            assert!(!told.out.contains('\x1b'));
        }
    }

    #[test]
    fn ctrl_c_explains_what_came() {
        let told = Script::new(events()).interrupted_after(4).run(&WORDS);
        assert_eq!(told.exit, Exit::Interrupted);
        assert!(told.out.contains("The lens") && told.out.contains("·there"), "{}", told.out);
    }
}
