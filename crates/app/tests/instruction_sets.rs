//! Every instruction set that this machine has gives the same answer; alone in its process, because the limit
//! holds for all of it.

use app::job::{Generate, Message, Prompt, Sampling};
use app::{App, Event, Job, Settings};

fn answer(isa: &str, kept: &str, question: &str) -> String {
    let settings = Settings { isa: Some(isa.into()), kept: Some(kept.into()), ..Settings::default() };
    let app = App::open(settings).expect("the name is one of an instruction set");
    let message = Message::new("user", question);
    let sampling = Sampling { temperature: Some(0.0), max_tokens: Some(60), ..Sampling::default() };
    let job = Generate { sampling, ..Generate::new("starter", Prompt::Chat(vec![message])) };
    let piece = |event| match event {
        Event::Text { text } => text,
        Event::Failed(failure) => panic!("{failure}"),
        _ => String::new(),
    };
    app.run(Job::Generate(job)).map(piece).collect()
}

/// What is kept in half precision rounds differences in the last place up to its own: enough to change a word of a story
/// that was drawn by lot, not one that follows from the question.
#[test]
fn every_instruction_set_gives_the_same_answer() {
    for (kept, question, word) in [
        ("f32", "Tell me a story about a cat and a boat.", "cat"),
        ("f16", "What is 7 plus 5?", "12"),
        ("q8_0", "What is 7 plus 5?", "12"),
    ] {
        let scalar = answer("scalar", kept, question);
        assert_eq!(kernels::isa::current(), kernels::Isa::Scalar);
        assert!(scalar.contains(word), "{scalar}");
        for isa in ["avx2", "avx512", "avx512vnni", "avx512bf16", "avx512fp16", "amx"] {
            assert_eq!(answer(isa, kept, question), scalar, "{isa}, {kept}");
        }
    }
}
