//! Clients that take their time (T23): a thousand that read a byte a second, and as many that never end their headers.
//!
//! Both kinds are held by one thread each, on sockets that never block, so that the clients cost the machine next to
//! nothing. What the slow readers read was computed before anything is measured: their reading is what must not cost
//! anybody else.

use super::Soak;
use super::conversation::{STARTER, first_tokens, story};
use super::figures::{ms, quantile};
use crate::served::Served;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use testkit::wire;

/// How much slower the first tokens of others may come.
const MAY_WORSEN: f64 = 1.2;
/// How much more memory the server may take.
const MAY_GROW_MIB: f64 = 256.0;
/// Descriptors that a server may keep behind its clients, such as a file of a model.
const MAY_KEEP: usize = 4;
/// Clients that connect at once, so that the queue of the listening socket never runs over.
const AT_ONCE: usize = 64;
/// Slow readers whose answers are too long for the system's buffers.
const N_LARGE: usize = 20;
const SECOND: Duration = Duration::from_secs(1);

/// Clients that go on until they are told to stop.
struct Clients {
    stop: Arc<AtomicBool>,
    n_open: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// Measures without them, with them and behind them.
pub fn run(soak: &Soak) -> Result<String> {
    let (n_clients, n_asked) = (soak.pick(200, 1000), soak.pick(100, 400));
    let home = crate::served::Home::new(&soak.program)?;
    let server = home.serve(&[])?;
    first_tokens(&server, STARTER, 20)?;
    let alone = p95(&server, n_asked)?;
    let before = server.taken()?;
    let readers = slow_readers(&server, n_clients)?;
    server.comes_to("hearth_answers_running", 0.0, Duration::from_secs(600))?;
    let halves = half_requests(server.address, n_clients);
    std::thread::sleep(2 * SECOND);
    let (n_readers, n_halves) = (readers.n_open(), halves.n_open());
    let among = p95(&server, n_asked)?;
    let during = server.taken()?;
    readers.leave();
    halves.leave();
    // The question for the counters is itself a request that is open.
    server.comes_to("hearth_requests_open", 1.0, Duration::from_secs(60))?;
    std::thread::sleep(SECOND);
    let after = server.taken()?;
    let grown = during.peak_mib - before.memory_mib;
    let found = format!(
        "{n_readers} read a byte a second, {n_halves} sent half of their headers; p95 to the first token {} alone, {} \
         among them; memory {:.0} MiB, at most {:.0} MiB more; {} descriptors before, {} during, {} after",
        ms(alone),
        ms(among),
        before.memory_mib,
        grown,
        before.n_descriptors,
        during.n_descriptors,
        after.n_descriptors
    );
    ensure!(n_readers == n_clients && n_halves * 10 >= n_clients * 9, "too few clients came in: {found}");
    ensure!(among.as_secs_f64() <= MAY_WORSEN * alone.as_secs_f64(), "others wait longer: {found}");
    ensure!(grown < MAY_GROW_MIB, "memory grows: {found}");
    ensure!(after.n_descriptors <= before.n_descriptors + MAY_KEEP, "descriptors stay: {found}");
    Ok(found)
}

fn p95(server: &Served, n: usize) -> Result<Duration> {
    quantile(&first_tokens(server, STARTER, n)?, 0.95).context("nothing was asked")
}

/// Clients that have asked for a long answer and read a byte of it a second.
fn slow_readers(server: &Served, n: usize) -> Result<Clients> {
    let mut streams = Vec::new();
    for at in 0..n {
        // The system's buffers hold an answer of a hundred kilobytes; the first few are of megabytes, so that the
        // server itself has to keep what is not read.
        let (n_tokens, n_alternatives) = if at < N_LARGE { (480, 100) } else { (32, 20) };
        let mut body = story(STARTER, n_tokens, at as u64);
        body["logprobs"] = json!(n_alternatives);
        let request = wire::request("POST", "/v1/completions", (server.address, &[]), &body.to_string());
        let mut stream = TcpStream::connect(server.address).context("a client finds no room")?;
        stream.write_all(request.as_bytes())?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
        if at % AT_ONCE == AT_ONCE - 1 {
            std::thread::sleep(SECOND / 10);
        }
    }
    Ok(Clients::hold(move |n_open| {
        streams.retain_mut(|stream| match stream.read(&mut [0]) {
            Ok(n_bytes) => n_bytes > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
        n_open.store(streams.len(), Ordering::Relaxed);
    }))
}

/// Clients that send a line of headers a second and never come to the end; who is turned away comes again.
fn half_requests(address: SocketAddr, n: usize) -> Clients {
    let mut streams: Vec<TcpStream> = Vec::new();
    Clients::hold(move |n_open| {
        streams.retain_mut(|stream| {
            let is_open =
                matches!(stream.read(&mut [0; 256]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            is_open && stream.write_all(b"X-More: to come\r\n").is_ok()
        });
        for at in 0..n - streams.len() {
            if at % AT_ONCE == AT_ONCE - 1 {
                std::thread::sleep(SECOND / 50);
            }
            let Ok(mut stream) = TcpStream::connect(address) else { break };
            let begun = stream.write_all(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n");
            if begun.is_ok() && stream.set_nonblocking(true).is_ok() {
                streams.push(stream);
            }
        }
        n_open.store(streams.len(), Ordering::Relaxed);
    })
}

impl Clients {
    /// Lets them act once a second; the first time at once.
    fn hold(mut act: impl FnMut(&AtomicUsize) + Send + 'static) -> Self {
        let (stop, n_open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_over, open) = (stop.clone(), n_open.clone());
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                act(&open);
                std::thread::sleep(SECOND);
            }
        });
        Self { stop, n_open, thread: Some(thread) }
    }

    fn n_open(&self) -> usize {
        self.n_open.load(Ordering::Relaxed)
    }

    /// All of them leave.
    fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
