//! What the server adds to the jobs that it translates: `cargo bench --package server --bench overhead -- [FILE]
//! [--steps ROUNDS]`, of the model in the box or of a GGUF file.
//!
//! Sixteen people ask for answers, each the next one when the last is whole: by [`App::run`] in this process, and over
//! HTTP as a stream, by turns; the clients are threads of this process on both sides. Told are tokens a second of each
//! side as the median of the rounds, the share that HTTP costs, and the time to the first piece of one answer alone.
//! Answers are drawn at random, so that few guesses are right, and every answer has the same length.

use std::sync::Arc;
use std::time::Instant;

use app::event::Event;
use app::job::{Generate, Import, Job, Placement, Prompt, Sampling};
use app::{App, Settings};
use base::Rng;
use serde_json::json;
use server::Server;
use std::net::SocketAddr;
use testkit::bench::{Options, Outcome, median};
use testkit::wire;

/// People who ask at once.
const USERS: usize = 16;
/// Answers of each of them in a round, and tokens of each answer.
const ANSWERS: usize = 3;
const TOKENS: usize = 64;
/// Tokens of a prompt: not one is like another's, so that none is found again.
const PROMPT: usize = 16;
/// Tokens of the vocabulary that prompts are made of.
const VOCABULARY: usize = 1000;
/// First pieces of a round.
const FIRSTS: usize = 20;

/// Both sides of the comparison.
struct Bench {
    app: Arc<App>,
    address: SocketAddr,
    model: String,
}

fn main() {
    let options = Options::of_this_process();
    let home = tempfile::TempDir::new().expect("a folder");
    let settings = Settings { home: home.path().into(), ..Settings::default() };
    let app = Arc::new(App::open(settings).expect("a program"));
    let model = import(&app, options.word(0, "")).unwrap_or_else(|| "starter".to_owned());
    let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let settings = server::Settings { addresses, ..server::Settings::default() };
    let server = Server::bind(app.clone(), settings).expect("a server");
    let (stop, address) = (server.stop(), server.addresses()[0]);
    let running = std::thread::spawn(move || server.run());
    let bench = Bench { app, address, model };
    let mut rng = Rng::new(options.seed);
    bench.round(&mut rng, Bench::directly);
    let (mut rates, mut firsts) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    let sides: [fn(&Bench, &Request) -> f64; 2] = [Bench::directly, Bench::over_http];
    for round in 0..options.steps.unwrap_or(5) {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for side in order {
            rates[side].push(bench.round(&mut rng, sides[side]));
        }
        for _ in 0..FIRSTS {
            for side in order {
                firsts[side].push(1e3 * sides[side](&bench, &Request::new(&mut rng, 2)));
            }
        }
    }
    stop.stop();
    running.join().expect("a thread").expect("the server ends");
    let costs =
        rates[0].iter().zip(&rates[1]).map(|(alone, served)| 100.0 * (1.0 - served / alone)).collect();
    let [alone, served] = rates.map(median);
    let [first, first_served] = firsts.map(median);
    let mut outcome = Outcome::default();
    outcome
        .fact("program", "Hearth")
        .fact("users", USERS)
        .figure("tokens_per_second", alone)
        .figure("tokens_per_second_served", served)
        .figure("cost_percent", median(costs))
        .figure("first_ms", first)
        .figure("first_ms_served", first_served)
        .figure("first_cost_ms", first_served - first)
        .print();
}

fn import(app: &App, path: &str) -> Option<String> {
    let name = "measured";
    let import = Import {
        path: std::path::absolute(path).ok().filter(|path| path.is_file())?,
        tokenizer: None,
        name: Some(name.to_owned()),
        placement: Placement::InPlace,
    };
    for event in app.run(Job::Import(import)) {
        assert!(!matches!(event, Event::Failed(_)), "{event:?}");
    }
    Some(name.to_owned())
}

/// What is asked for on either side.
struct Request {
    prompt: Vec<u32>,
    seed: u64,
    max_tokens: usize,
}

impl Request {
    fn new(rng: &mut Rng, max_tokens: usize) -> Self {
        let prompt = (0..PROMPT).map(|_| (10 + rng.below(VOCABULARY)) as u32).collect();
        Self { prompt, seed: rng.next_u64() >> 16, max_tokens }
    }
}

impl Bench {
    /// Tokens a second of all people together.
    fn round(&self, rng: &mut Rng, ask: fn(&Self, &Request) -> f64) -> f64 {
        let requests: Vec<Vec<Request>> =
            (0..USERS).map(|_| (0..ANSWERS).map(|_| Request::new(rng, TOKENS)).collect()).collect();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for mine in &requests {
                scope.spawn(move || mine.iter().for_each(|request| _ = ask(self, request)));
            }
        });
        (USERS * ANSWERS * TOKENS) as f64 / begun.elapsed().as_secs_f64()
    }

    /// Seconds to the first piece of an answer, which is taken to its end.
    fn directly(&self, request: &Request) -> f64 {
        let sampling = Sampling {
            temperature: Some(1.0),
            top_k: Some(0),
            top_p: Some(1.0),
            seed: Some(request.seed),
            max_tokens: Some(request.max_tokens),
            logit_bias: (0..4).map(|end| (end, -100.0)).collect(),
            ..Sampling::default()
        };
        let prompt = Prompt::Tokens(request.prompt.clone());
        let generate = Generate { sampling, ..Generate::new(self.model.clone(), prompt) };
        let (begun, mut first) = (Instant::now(), None);
        for event in self.app.run(Job::Generate(generate)) {
            match event {
                Event::Text { .. } => _ = first.get_or_insert_with(|| begun.elapsed().as_secs_f64()),
                Event::Finished(end) => assert_eq!(end.n_generated_tokens, request.max_tokens),
                Event::Failed(failure) => panic!("{failure}"),
                _ => {}
            }
        }
        first.unwrap_or_else(|| begun.elapsed().as_secs_f64())
    }

    /// The same, over HTTP.
    fn over_http(&self, request: &Request) -> f64 {
        let body = json!({
            "model": self.model, "prompt": request.prompt, "seed": request.seed, "max_tokens": request.max_tokens,
            "temperature": 1.0, "top_p": 1.0, "stream": true, "stream_options": { "include_usage": true },
            "logit_bias": { "0": -100, "1": -100, "2": -100, "3": -100 },
        });
        let (begun, mut first, mut is_whole) = (Instant::now(), None, false);
        let answer = wire::post(self.address, "/v1/completions", &[], &body.to_string()).expect("an answer");
        assert_eq!(answer.status, 200);
        let whole = format!("\"completion_tokens\":{}", request.max_tokens);
        for line in std::io::BufRead::lines(std::io::BufReader::new(answer.body)) {
            let line = line.expect("an answer that is whole");
            if line.contains("\"text\":\"") && !line.contains("\"text\":\"\"") {
                first.get_or_insert_with(|| begun.elapsed().as_secs_f64());
            }
            is_whole |= line.contains(&whole);
        }
        assert!(is_whole, "an answer of another length");
        first.unwrap_or_else(|| begun.elapsed().as_secs_f64())
    }
}
