//! SIGTERM under load (T25): the process is out in ten seconds, well, and the next one starts on the same home.

use super::Soak;
use super::conversation::{STARTER, complete, story};
use super::figures::ms;
use crate::served::Home;
use anyhow::{Context, Result, ensure};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const OUT_WITHIN: Duration = Duration::from_secs(10);
const N_CLIENTS: usize = 32;
const LOAD: Duration = Duration::from_secs(3);

/// Ends the server while it answers many.
pub fn run(soak: &Soak) -> Result<String> {
    let n_rounds = soak.pick(2, 10);
    let home = Home::new(&soak.program)?;
    let mut longest = Duration::ZERO;
    let (n_whole, n_cut) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for round in 0..n_rounds {
        let mut server = home.serve(&[]).context("it does not start on the home of one that ended")?;
        let (address, is_over) = (server.address, AtomicBool::new(false));
        let ask = |client: usize| {
            for turn in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let body = story(STARTER, 400, (client * 1000 + turn) as u64);
                match complete(address, &[], &body) {
                    Ok(told) if told.is_whole => n_whole.fetch_add(1, Ordering::Relaxed),
                    // Who is cut off, or finds nobody any more, was unlucky.
                    _ => n_cut.fetch_add(1, Ordering::Relaxed),
                };
            }
        };
        let (time, status) = std::thread::scope(|scope| {
            for client in 0..N_CLIENTS {
                scope.spawn(move || ask(client));
            }
            std::thread::sleep(LOAD);
            let running = server.metric("hearth_answers_running");
            is_over.store(true, Ordering::Relaxed);
            let ended = server.stop(2 * OUT_WITHIN);
            running.and_then(|n| {
                ensure!(n > 0.0, "nothing ran when it was told to end");
                ended
            })
        })?;
        longest = longest.max(time);
        ensure!(time <= OUT_WITHIN, "round {round}: out after {}", ms(time));
        ensure!(status.success(), "round {round}: it ended with {status}");
    }
    Ok(format!(
        "{n_rounds} times beside {N_CLIENTS} clients: out after {} at most; {} answers were whole, {} cut",
        ms(longest),
        n_whole.load(Ordering::Relaxed),
        n_cut.load(Ordering::Relaxed)
    ))
}
