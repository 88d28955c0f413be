//! Users beside each other: with the same appetite they come to the same, and one with a hundred connections does not starve
//! one with one.
//!
//! A user is a key.

use super::Soak;
use super::conversation::{STARTER, complete, story};
use super::figures::{ms, quantile};
use crate::served::{Home, Served};
use anyhow::{Result, bail, ensure};
use std::time::{Duration, Instant};

/// How far two users of the same appetite may lie apart.
const MAY_DIFFER: f64 = 0.10;
/// What the user with one connection comes to, beside each connection of the user with many, at least.
const LEAST_SHARE: f64 = 0.9;
/// Twice as many as run at once, so that half of them wait.
const CONNECTIONS: usize = 64;
const MANY: usize = 100;
const TOKENS: usize = 48;

/// What a user came to.
#[derive(Debug, Default)]
struct Portion {
    n_tokens: usize,
    firsts: Vec<Duration>,
}

/// Both promises, on one server.
pub fn run(soak: &Soak) -> Result<String> {
    let home = Home::new(&soak.program)?;
    let model = match &soak.model {
        Some(file) => home.import(file, "model").map(|()| "model")?,
        None => STARTER,
    };
    let keys = [home.key("one")?, home.key("other")?];
    let server = home.serve(&[])?;
    let time = soak.seconds(20, 300);
    let equal = beside(&server, model, [(&keys[0], CONNECTIONS), (&keys[1], CONNECTIONS)], time)?;
    let [first, second] = [0, 1].map(|user| equal[user].n_tokens as f64);
    let apart = (first - second).abs() / first.max(second);
    let unequal = beside(&server, model, [(&keys[0], MANY), (&keys[1], 1)], time)?;
    let [each, single] = [unequal[0].n_tokens as f64 / MANY as f64, unequal[1].n_tokens as f64];
    let p95 = |user: usize| quantile(&unequal[user].firsts, 0.95).map_or_else(|| "never".into(), ms);
    let found = format!(
        "{CONNECTIONS} connections each for {} s: {first} and {second} tokens, {:.1} % apart; {MANY} connections beside \
         one: {each:.0} tokens by connection and {single}, p95 to the first token {} and {}",
        time.as_secs(),
        100.0 * apart,
        p95(0),
        p95(1)
    );
    ensure!(apart <= MAY_DIFFER, "unfair: {found}");
    ensure!(single >= LEAST_SHARE * each, "one is starved: {found}");
    Ok(found)
}

/// Two users in closed loops.
fn beside(
    server: &Served,
    model: &str,
    users: [(&String, usize); 2],
    time: Duration,
) -> Result<Vec<Portion>> {
    let begun = Instant::now();
    let keep_asking = |key: &str, seed: u64| -> Result<Portion> {
        let header = format!("Authorization: Bearer {key}");
        let mut served = Portion::default();
        for turn in 0.. {
            let told = complete(server.address, &[&header], &story(model, TOKENS, seed * 100_000 + turn))?;
            ensure!(told.is_whole, "an answer breaks off: {told:?}");
            // What comes to its end behind the time does not count for anybody.
            if begun.elapsed() > time {
                break;
            }
            served.n_tokens += told.n_tokens;
            served.firsts.extend(told.first);
        }
        Ok(served)
    };
    std::thread::scope(|scope| {
        let asking = |(at, (key, n)): (usize, (&String, usize))| {
            let one = |connection: usize| {
                let (key, seed) = (key.clone(), (at * 1000 + connection) as u64);
                scope.spawn(move || keep_asking(&key, seed))
            };
            (0..n).map(one).collect::<Vec<_>>()
        };
        let threads: Vec<_> = users.into_iter().enumerate().map(asking).collect();
        let of_user = |threads: Vec<std::thread::ScopedJoinHandle<'_, Result<Portion>>>| {
            let mut all = Portion::default();
            for thread in threads {
                let one = thread.join().unwrap_or_else(|_| bail!("a client broke down"))?;
                all.n_tokens += one.n_tokens;
                all.firsts.extend(one.firsts);
            }
            Ok(all)
        };
        threads.into_iter().map(of_user).collect()
    })
}
