//! Shows what else the model could have said, token by token:
//! `cargo run --release -p hearth --example alternatives -- "Who are you?"`.

use hearth::Event;
use hearth::jobs::{App, Detail, Generate, Job, Message, Prompt, Sampling, Settings};

fn main() -> Result<(), hearth::Failure> {
    let content = std::env::args().nth(1).unwrap_or_else(|| "Who are you?".into());
    let home = std::env::temp_dir().join("hearth-example");
    let app = App::open(Settings { home, ..Settings::default() })?;
    let generate = Generate {
        sampling: Sampling { temperature: Some(0.0), max_tokens: Some(12), ..Sampling::default() },
        detail: Detail { alternatives: 3, ..Detail::default() },
        ..Generate::new("starter", Prompt::Chat(vec![Message::new("user", &content)]))
    };
    for event in app.run(Job::Generate(generate)) {
        match event {
            Event::Token(token) => {
                let percent = |log_probability: f32| log_probability.exp() * 100.0;
                print!("{:>12?} {:5.1} %  ", token.piece.text, percent(token.log_probability));
                for other in &token.alternatives {
                    print!("  {:?} {:.1} %", other.piece.text, percent(other.log_probability));
                }
                println!();
            }
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}
