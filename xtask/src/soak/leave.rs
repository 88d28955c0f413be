//! Clients that leave at any point (T24): the slot is free in one token or 250 ms, and others are untouched.

use super::Soak;
use super::conversation::{STARTER, complete, story};
use super::figures::{ms, quantile};
use crate::served::{Home, Served};
use anyhow::{Context, Result, ensure};
use base::Rng;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::wire;

/// How long a slot may stay taken behind a client.
const FREE_WITHIN: Duration = Duration::from_millis(250);
/// What may be left of an answer when its client leaves, in bytes: from its head to its middle.
const MOST_READ: usize = 20_000;
/// Tokens that nobody waits for.
const LONG: usize = 480;
const SEED: u64 = 24;

/// Clients leave while another one reads.
pub fn run(soak: &Soak) -> Result<String> {
    let n = soak.pick(40, 500);
    let home = Home::new(&soak.program)?;
    let server = home.serve(&[])?;
    let mut rng = Rng::new(SEED);
    let expected = steady(&server)?;
    let mut times = Vec::new();
    for seed in 0..n {
        times.push(leave_and_wait(&server, &mut rng, seed)?);
    }
    let n_steady = untouched(&server, &mut rng, (soak.seconds(15, 120), &expected))?;
    server.comes_to("hearth_answers_running", 0.0, Duration::from_secs(5))?;
    let [half, most] = [0.5, 1.0].map(|share| quantile(&times, share).unwrap_or_default());
    let found = format!(
        "{n} left (seed {SEED}): the slot was free after {}, at most {}; {n_steady} answers of another client beside \
         clients that left were the same to the letter",
        ms(half),
        ms(most)
    );
    ensure!(most <= FREE_WITHIN, "a slot stays taken: {found}");
    Ok(found)
}

/// The answer that has to come out the same whoever leaves.
fn steady(server: &Served) -> Result<String> {
    let told = complete(server.address, &[], &story(STARTER, 48, SEED))?;
    ensure!(told.is_whole && told.n_tokens == 48, "the answer to compare with did not come: {told:?}");
    Ok(told.text)
}

/// One client leaves; the time until nobody is answered any more.
fn leave_and_wait(server: &Served, rng: &mut Rng, seed: u64) -> Result<Duration> {
    let mut client = begin(server, seed, true)?;
    read_some(&mut client, rng.below(MOST_READ))?;
    drop(client);
    let left = Instant::now();
    server.comes_to("hearth_answers_running", 0.0, Duration::from_secs(10))?;
    Ok(left.elapsed())
}

/// Clients leave at any point, also before their first byte, while another reads; how many answers it got.
fn untouched(server: &Served, rng: &mut Rng, (time, expected): (Duration, &str)) -> Result<usize> {
    let is_over = AtomicBool::new(false);
    let seeds: Vec<u64> = (0..4).map(|_| rng.next_u64()).collect();
    std::thread::scope(|scope| {
        let leaving: Vec<_> =
            seeds.iter().map(|seed| scope.spawn(|| keep_leaving(server, *seed, &is_over))).collect();
        let reading = (|| {
            let (begun, mut n) = (Instant::now(), 0);
            while begun.elapsed() < time {
                let found = steady(server)?;
                ensure!(
                    found == expected,
                    "it differs beside clients that leave: {found:?}, not {expected:?}"
                );
                n += 1;
            }
            Ok(n)
        })();
        is_over.store(true, Ordering::Relaxed);
        for one in leaving {
            one.join().ok().context("a client that leaves broke down")??;
        }
        reading
    })
}

fn keep_leaving(server: &Served, seed: u64, is_over: &AtomicBool) -> Result<()> {
    let mut rng = Rng::new(seed);
    while !is_over.load(Ordering::Relaxed) {
        let mut client = begin(server, rng.next_u64() >> 32, rng.below(2) == 0)?;
        if rng.below(4) > 0 {
            client.set_read_timeout(Some(Duration::from_millis(100)))?;
            // Whole answers say nothing before they are whole.
            let _ = read_some(&mut client, rng.below(MOST_READ));
        }
    }
    Ok(())
}

/// Sends a request for a long answer.
fn begin(server: &Served, seed: u64, is_streamed: bool) -> Result<TcpStream> {
    let mut body = story(STARTER, LONG, seed);
    if !is_streamed {
        body["stream"] = Value::Bool(false);
        body["stream_options"] = Value::Null;
    }
    let request = wire::request("POST", "/v1/completions", (server.address, &[]), &body.to_string());
    let mut client = TcpStream::connect(server.address)?;
    client.write_all(request.as_bytes())?;
    Ok(client)
}

fn read_some(client: &mut TcpStream, n_bytes: usize) -> Result<()> {
    let mut bytes = vec![0; n_bytes.max(1)];
    let mut n = 0;
    while n < bytes.len() {
        match client.read(&mut bytes[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(())
}
