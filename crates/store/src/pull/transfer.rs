//! The missing pieces of one file, over several connections at once, or the whole file over one where the server does
//! not send parts.
//!
//! Does not: know what the file is, or decide whether its hash is right. A piece that ends early goes on from the byte
//! that it reached. Source: RFC 9110, section 14 (range requests) and 13.1.5 (`If-Range`).

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::disk::FillFile;

use super::Problem;
use super::address::Address;
use super::client::{Answer, Ask, Credential};
use super::header::{content_range, strong_etag};
use super::journal::Shape;
use super::partial::Partial;
use super::plan::Wanted;
use super::problem::{Announced, Course};
use super::progress::{Meter, Phase};
use super::session::{Session, locked};
use crate::digest::Hasher;
use crate::{Digest, Error, Result};

/// Bytes that are read and written at once.
const BUFFER_BYTES: usize = 128 << 10;

/// An attempt that brings so many bytes is no failure in a row.
const GETTING_ON_BYTES: u64 = 128 << 10;

/// No server likes more connections from one person.
const MAX_CONNECTIONS: usize = 16;

/// What a thread tells the one that watches.
enum Event {
    Received(u64),
    /// Bytes that are on the disk but count no more.
    Lost(u64),
    Piece(usize, Digest),
    Waiting,
    Failed(Error),
}

/// What the threads share.
struct Transfer<'a> {
    session: &'a Session<'a>,
    wanted: &'a Wanted,
    credential: Option<&'a Credential>,
    shape: &'a Shape,
    file: &'a dyn FillFile,
    path: &'a Path,
    /// Pieces that nobody fetches yet.
    todo: Mutex<VecDeque<usize>>,
    /// Where the last redirect led: signed addresses are good for hours, and asking the first host for each piece
    /// would soon be too often for it.
    shortcut: Mutex<Option<Address>>,
    /// The validator that all parts must have; `None` until the first part came.
    etag: Mutex<Option<String>>,
}

/// A piece on its way.
struct Piece {
    begin: u64,
    n_bytes: u64,
    n_done: u64,
    hasher: Hasher,
}

/// Fetches what is missing.
pub(super) fn fetch(
    session: &Session<'_>,
    meter: &mut Meter<'_>,
    partial: &mut Partial<'_>,
    (wanted, credential): (&Wanted, Option<&Credential>),
) -> Result<()> {
    match run(session, meter, partial, (wanted, credential), Way::Parts) {
        Err(Error::Remote { problem, .. }) if *problem == Problem::NoParts => {
            run(session, meter, partial, (wanted, credential), Way::Whole)
        }
        other => other,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Parts,
    Whole,
}

fn run(
    session: &Session<'_>,
    meter: &mut Meter<'_>,
    partial: &mut Partial<'_>,
    (wanted, credential): (&Wanted, Option<&Credential>),
    way: Way,
) -> Result<()> {
    let missing = partial.missing();
    let n_threads = match way {
        Way::Parts => session.settings.n_connections.clamp(1, MAX_CONNECTIONS).min(missing.len()),
        Way::Whole => 1,
    };
    let shape = partial.shape.clone();
    let (sender, receiver) = mpsc::channel();
    // The file is shared with the threads; the journal stays with this one.
    let (file, path) = (Arc::clone(&partial.file), partial.path.clone());
    let transfer = Transfer {
        session,
        wanted,
        credential,
        shape: &shape,
        file: &*file,
        path: &path,
        todo: Mutex::new(missing.into()),
        shortcut: Mutex::new(None),
        etag: Mutex::new(shape.etag.clone()),
    };
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            let (sender, transfer) = (sender.clone(), &transfer);
            scope.spawn(move || match way {
                Way::Parts => transfer.fetch_pieces(&sender),
                Way::Whole => transfer.fetch_whole(&sender),
            });
        }
        drop(sender);
        watch(session, meter, &receiver, |piece, digest| partial.note(piece, digest), &transfer)
    })
}

/// Counts and notes what the threads tell until the last of them is done; gives the first failure.
fn watch(
    session: &Session<'_>,
    meter: &mut Meter<'_>,
    receiver: &mpsc::Receiver<Event>,
    mut note: impl FnMut(usize, Digest) -> Result<()>,
    transfer: &Transfer<'_>,
) -> Result<()> {
    let mut outcome = Ok(());
    let mut fail = |error: Error, is_stop: bool| {
        locked(&transfer.todo).clear();
        if outcome.is_ok() {
            outcome = Err(error);
        }
        if is_stop {
            session.stop();
        }
    };
    loop {
        let event = receiver.recv_timeout(session.settings.progress_every);
        let is_silent = matches!(event, Err(RecvTimeoutError::Timeout));
        match event {
            Ok(Event::Received(n_bytes)) => {
                meter.set_phase(Phase::Fetching);
                meter.received(n_bytes);
            }
            Ok(Event::Lost(n_bytes)) => meter.lost(n_bytes),
            Ok(Event::Piece(piece, digest)) => {
                if let Err(error) = note(piece, digest) {
                    fail(error, false);
                }
            }
            Ok(Event::Waiting) => meter.set_phase(Phase::Waiting),
            Ok(Event::Failed(error)) => fail(error, false),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return outcome,
        }
        // In silence the wait itself was the measure of time: a clock that stands still keeps nobody from a stop.
        let told = if is_silent { meter.tell() } else { meter.tick() };
        if told.is_break() {
            fail(session.failed(Problem::Stopped), true);
        }
    }
}

impl Transfer<'_> {
    /// One thread's work: pieces until none is left, or one fails.
    fn fetch_pieces(&self, sender: &Sender<Event>) {
        loop {
            let Some(piece) = locked(&self.todo).pop_front() else { return };
            let event = match self.fetch_piece(piece, sender) {
                Ok(digest) => Event::Piece(piece, digest),
                Err(error) => {
                    locked(&self.todo).clear();
                    Event::Failed(error)
                }
            };
            tell(sender, event);
        }
    }

    fn fetch_piece(&self, piece: usize, sender: &Sender<Event>) -> Result<Digest> {
        let (begin, n_bytes) = self.shape.bounds(piece);
        let mut piece = Piece { begin, n_bytes, n_done: 0, hasher: Hasher::default() };
        let mut attempt = 0;
        while piece.n_done < n_bytes {
            let before = piece.n_done;
            let error = match self.fetch_part(&mut piece, sender) {
                Ok(()) if piece.n_done == n_bytes => break,
                // A part shorter than asked for is allowed; too many tiny ones are a trap.
                Ok(()) => self.session.failed(Problem::Truncated { missing_bytes: n_bytes - piece.n_done }),
                Err(error) => error,
            };
            if piece.n_done - before >= GETTING_ON_BYTES {
                attempt = 0;
            }
            attempt += 1;
            if let Err(error) = self.wait(attempt, error, sender) {
                tell(sender, Event::Lost(piece.n_done));
                return Err(error);
            }
        }
        Ok(piece.hasher.finish().0)
    }

    /// Waits before another attempt, or gives the failure back.
    fn wait(&self, attempt: u32, error: Error, sender: &Sender<Event>) -> Result<()> {
        let Error::Remote { problem, .. } = error else { return Err(error) };
        let told = |_: Duration| tell(sender, Event::Waiting);
        self.session
            .wait_for_attempt(attempt, (*problem, Course::UnderWay), &told)
            .map_err(|problem| self.session.failed(problem))
    }

    /// Asks for what is left of a piece, once, and takes what comes.
    fn fetch_part(&self, piece: &mut Piece, sender: &Sender<Event>) -> Result<()> {
        let failed = |problem| self.session.failed(problem);
        self.session.check_stopped().map_err(failed)?;
        let (first, last) = (piece.begin + piece.n_done, piece.begin + piece.n_bytes - 1);
        let mut headers = vec![("range", format!("bytes={first}-{last}"))];
        if self.must_not_change() {
            headers.extend(locked(&self.etag).clone().map(|etag| ("if-range", etag)));
        }
        let answer = self.ask(&headers).map_err(failed)?;
        let at_most = self.check_part(&answer, first, last).map_err(failed)?;
        self.take(answer, piece, at_most, sender)
    }

    /// Asks where the last redirect led, or the first host again when that address is no longer good.
    fn ask(&self, headers: &[(&'static str, String)]) -> std::result::Result<Answer, Problem> {
        let shortcut = locked(&self.shortcut).clone();
        if let Some(address) = shortcut {
            let answer = self.session.client.get(Ask { address: &address, credential: None, headers })?;
            if !matches!(answer.status.as_u16(), 401 | 403 | 404 | 410) {
                return Ok(answer);
            }
            *locked(&self.shortcut) = None;
        }
        let ask = Ask { address: &self.wanted.address, credential: self.credential, headers };
        let answer = self.session.client.get(ask)?;
        if let (Some(problem), true) =
            (answer.refusal(self.credential, self.session.now_unix_ms()), answer.status.as_u16() != 416)
        {
            return Err(self.wanted.explain(problem, answer.first_header("x-error-code")));
        }
        // A shortcut is asked without a token: only what another host answered is one.
        if answer.address.origin != self.wanted.address.origin {
            *locked(&self.shortcut) = Some(answer.address.clone());
        }
        Ok(answer)
    }

    /// Whether a change at the server would go unnoticed otherwise.
    fn must_not_change(&self) -> bool {
        self.wanted.announced == Announced::Nothing
    }

    /// What must hold of an answer before its body is read. Gives how many bytes of it are wanted.
    fn check_part(&self, answer: &Answer, first: u64, last: u64) -> std::result::Result<u64, Problem> {
        let is_whole_file = first == 0 && last + 1 == self.shape.size_bytes;
        match answer.status.as_u16() {
            206 => {}
            200 => {
                self.check_unchanged(answer)?;
                return if is_whole_file { self.check_length(answer) } else { Err(Problem::NoParts) };
            }
            416 => return Err(Problem::Changed),
            _ => {
                let refusal = answer.refusal(None, self.session.now_unix_ms());
                return Err(refusal.unwrap_or(Problem::Status { status: answer.status.as_u16() }));
            }
        }
        let text = answer.header("content-range").unwrap_or_default();
        let bad = |rule| Problem::BadAnswer { rule, shown: crate::error::shown(text) };
        let range = content_range(text).ok_or_else(|| bad("a part must say which part it is"))?;
        if let Some(found) = range.total.filter(|total| *total != self.shape.size_bytes) {
            return Err(Problem::WrongSize { expected: self.shape.size_bytes, found });
        }
        if range.first != first || range.last > last {
            return Err(bad("it is another part than the one that was asked for"));
        }
        let n_bytes = range.last - range.first + 1;
        if answer.body.content_length().is_some_and(|length| length != n_bytes) {
            return Err(bad("its length is not that of its range"));
        }
        self.check_unchanged(answer)?;
        Ok(n_bytes)
    }

    /// A whole file must have the length that was announced.
    fn check_length(&self, answer: &Answer) -> std::result::Result<u64, Problem> {
        let expected = self.shape.size_bytes;
        match answer.body.content_length() {
            Some(found) if found != expected => Err(Problem::WrongSize { expected, found }),
            _ => Ok(expected),
        }
    }

    fn check_unchanged(&self, answer: &Answer) -> std::result::Result<(), Problem> {
        let encoding = answer.header("content-encoding").unwrap_or("identity");
        if !encoding.eq_ignore_ascii_case("identity") {
            let rule = "the bytes must come as they are";
            return Err(Problem::BadAnswer { rule, shown: crate::error::shown(encoding) });
        }
        if !self.must_not_change() {
            return Ok(());
        }
        let found = answer.header("etag").and_then(strong_etag);
        let mut known = locked(&self.etag);
        match (&*known, found) {
            (Some(known), found) if found.as_ref() != Some(known) => Err(Problem::Changed),
            (_, found) => {
                *known = found;
                Ok(())
            }
        }
    }

    /// Reads, writes and hashes at most so many bytes of the body into the piece.
    fn take(
        &self,
        mut answer: Answer,
        piece: &mut Piece,
        at_most: u64,
        sender: &Sender<Event>,
    ) -> Result<()> {
        let mut reader = answer.body.as_reader();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut left = at_most.min(piece.n_bytes - piece.n_done);
        while left > 0 {
            let bytes = self.read(&mut reader, &mut buffer, left)?;
            self.write(bytes, piece.begin + piece.n_done)?;
            piece.hasher.update(bytes);
            piece.n_done += bytes.len() as u64;
            left -= bytes.len() as u64;
            tell(sender, Event::Received(bytes.len() as u64));
        }
        Ok(())
    }

    /// The next bytes of a body, at least one.
    fn read<'b>(&self, reader: &mut dyn Read, buffer: &'b mut [u8], left: u64) -> Result<&'b [u8]> {
        let failed = |problem| self.session.failed(problem);
        self.session.check_stopped().map_err(failed)?;
        let room = usize::try_from(left).unwrap_or(BUFFER_BYTES).min(buffer.len());
        match reader.read(&mut buffer[..room]) {
            Ok(0) => Err(failed(Problem::Truncated { missing_bytes: left })),
            Ok(n_bytes) => Ok(&buffer[..n_bytes]),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(failed(Problem::Truncated { missing_bytes: left }))
            }
            Err(error) => Err(failed(self.session.client.read_problem(error))),
        }
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_at(bytes, offset).map_err(|error| Error::io("write", self.path, error))
    }

    /// The whole file over one connection; pieces that are here are read past.
    fn fetch_whole(&self, sender: &Sender<Event>) {
        let mut missing: Vec<usize> = locked(&self.todo).drain(..).collect();
        let mut attempt = 0;
        while !missing.is_empty() {
            let n_missing = missing.len();
            let Err(error) = self.fetch_through(&mut missing, sender) else { return };
            if missing.len() < n_missing {
                attempt = 0;
            }
            attempt += 1;
            if let Err(error) = self.wait(attempt, error, sender) {
                tell(sender, Event::Failed(error));
                return;
            }
        }
    }

    fn fetch_through(&self, missing: &mut Vec<usize>, sender: &Sender<Event>) -> Result<()> {
        let failed = |problem| self.session.failed(problem);
        let mut answer = self.ask(&[]).map_err(failed)?;
        if answer.status.as_u16() != 200 {
            return Err(failed(Problem::Status { status: answer.status.as_u16() }));
        }
        self.check_unchanged(&answer).map_err(failed)?;
        self.check_length(&answer).map_err(failed)?;
        let mut reader = answer.body.as_reader();
        let mut buffer = vec![0; BUFFER_BYTES];
        for number in 0..self.shape.n_pieces() {
            let (begin, n_bytes) = self.shape.bounds(number);
            let mut piece = Piece { begin, n_bytes, n_done: 0, hasher: Hasher::default() };
            let use_of = if missing.first() == Some(&number) { Use::Keep } else { Use::ReadPast };
            let passed = self.pass(&mut reader, &mut buffer, &mut piece, (use_of, sender));
            match (use_of, passed) {
                (Use::ReadPast, passed) => passed?,
                (Use::Keep, Ok(())) => {
                    missing.remove(0);
                    tell(sender, Event::Piece(number, piece.hasher.finish().0));
                }
                (Use::Keep, Err(error)) => {
                    tell(sender, Event::Lost(piece.n_done));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Reads the next piece of a whole file.
    fn pass(
        &self,
        reader: &mut dyn Read,
        buffer: &mut [u8],
        piece: &mut Piece,
        (use_of, sender): (Use, &Sender<Event>),
    ) -> Result<()> {
        while piece.n_done < piece.n_bytes {
            let bytes = self.read(reader, buffer, piece.n_bytes - piece.n_done)?;
            if use_of == Use::Keep {
                self.write(bytes, piece.begin + piece.n_done)?;
                piece.hasher.update(bytes);
                tell(sender, Event::Received(bytes.len() as u64));
            }
            piece.n_done += bytes.len() as u64;
        }
        Ok(())
    }
}

/// What is done with a piece that comes by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Keep,
    ReadPast,
}

/// The watching thread outlives the others, so somebody always listens.
fn tell(sender: &Sender<Event>, event: Event) {
    let _ = sender.send(event);
}
