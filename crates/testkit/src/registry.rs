//! A server on this machine's loopback that answers as a test tells it to: truly, or with any lie about ranges,
//! lengths, validators and redirects, with silence or with a cut.
//!
//! Not a web server: HTTP/1.1 GET and CONNECT without bodies of requests, a thread per connection, for tests alone.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often a silent connection looks whether the test is over.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a client asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `CONNECT`.
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// How many requests came before it, over all connections.
    pub index: usize,
}

/// What the server says.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// All headers but the length and those that connections need.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What `Content-Length` says, where it is not the body's.
    pub length: Option<u64>,
    /// What happens to the body on its way.
    pub ending: Ending,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Whole,
    /// The connection closes after so many bytes.
    Cut(usize),
    /// Nothing more comes after so many bytes, for as long as the server lives.
    Stall(usize),
    /// The connection closes before the answer.
    NoAnswer,
    /// No answer comes, for as long as the server lives.
    Silence,
}

/// A request with the bytes of body that were sent for it.
#[derive(Clone, Debug)]
pub struct Served {
    /// The request.
    pub request: Request,
    /// The status that was answered; 0 for none.
    pub status: u16,
    /// Bytes of body.
    pub sent_bytes: u64,
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    served: Mutex<Vec<Served>>,
    is_over: AtomicBool,
}

/// A server that lives as long as this.
pub struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Registry {
    /// Begins to listen on a free port of the loopback.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a free port");
        let address = listener.local_addr().expect("it was just bound");
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            served: Mutex::new(Vec::new()),
            is_over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&accepting)) else { continue };
                // A client that hangs up is no failure of the test.
                std::thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { address, shared }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far, in order, with what was sent.
    pub fn served(&self) -> Vec<Served> {
        self.shared.served().clone()
    }

    /// Forgets what was asked so far.
    pub fn forget(&self) {
        self.shared.served().clear();
    }

    /// Bytes of body that were sent for targets that hold this text.
    pub fn sent_bytes(&self, part_of_target: &str) -> u64 {
        let served = self.served().into_iter().filter(|one| one.request.target.contains(part_of_target));
        served.map(|one| one.sent_bytes).sum()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; it then sees that all is over.
        drop(TcpStream::connect(self.address));
    }
}

impl Request {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first and last byte of `Range: bytes=<first>-<last>`.
    pub fn range(&self) -> Option<(usize, usize)> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }
}

impl Reply {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), length: None, ending: Ending::Whole }
    }

    /// These bytes, whole.
    pub fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200) }
    }

    /// A file, or the part of it that was asked for, as RFC 9110 wants it.
    pub fn file(request: &Request, bytes: &[u8], etag: Option<&str>) -> Self {
        let reply = match request.range() {
            _ if etag.is_some() && request.header("if-range").is_some_and(|wanted| Some(wanted) != etag) => {
                Self::bytes(bytes)
            }
            None => Self::bytes(bytes),
            Some((first, _)) if first >= bytes.len() => {
                Self::status(416).with("content-range", &format!("bytes */{}", bytes.len()))
            }
            Some((first, last)) => {
                let last = last.min(bytes.len() - 1);
                let part = Self { status: 206, ..Self::bytes(&bytes[first..=last]) };
                part.with("content-range", &format!("bytes {first}-{last}/{}", bytes.len()))
            }
        };
        match etag {
            Some(etag) => reply.with("etag", etag),
            None => reply,
        }
    }

    /// Leads elsewhere.
    pub fn redirect(location: &str) -> Self {
        Self::status(302).with("location", location)
    }

    /// The same with this header in place of one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with another ending.
    #[must_use]
    pub fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }
}

impl Shared {
    fn served(&self) -> std::sync::MutexGuard<'_, Vec<Served>> {
        self.served.lock().expect("a test that panicked here has failed already")
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(LOOK_AGAIN))?;
        stream.set_nodelay(true)?;
        let mut out = stream.try_clone()?;
        let mut reader = BufReader::new(Patient { stream, shared: self });
        while let Some(mut request) = read_request(&mut reader)? {
            let number = {
                let mut served = self.served();
                request.index = served.len();
                served.push(Served { request: request.clone(), status: 0, sent_bytes: 0 });
                served.len() - 1
            };
            let reply = (self.handler)(&request);
            if !self.answer(&mut out, &reply, number)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends an answer; `false` when the connection must close.
    fn answer(&self, out: &mut TcpStream, reply: &Reply, number: usize) -> io::Result<bool> {
        let n_bytes = match reply.ending {
            Ending::Whole => reply.body.len(),
            Ending::Cut(n_bytes) | Ending::Stall(n_bytes) => n_bytes.min(reply.body.len()),
            Ending::NoAnswer => return Ok(false),
            Ending::Silence => {
                self.wait_for_the_end();
                return Ok(false);
            }
        };
        let length = reply.length.unwrap_or(reply.body.len() as u64);
        let mut head = format!("HTTP/1.1 {} Answer\r\ncontent-length: {length}\r\n", reply.status);
        reply.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("\r\n");
        // Noted before it is sent: whoever has the bytes finds them counted.
        if let Some(served) = self.served().get_mut(number) {
            (served.status, served.sent_bytes) = (reply.status, n_bytes as u64);
        }
        // In one write: two would wait for each other's acknowledgement.
        out.write_all(&[head.as_bytes(), &reply.body[..n_bytes]].concat())?;
        match reply.ending {
            Ending::Whole => Ok(length == reply.body.len() as u64),
            Ending::Stall(_) => {
                self.wait_for_the_end();
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn wait_for_the_end(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Reads until the test is over, however long nothing comes.
struct Patient<'a> {
    stream: TcpStream,
    shared: &'a Shared,
}

impl Read for Patient<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(bytes) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.shared.is_over.load(Ordering::Relaxed) {
                        return Ok(0);
                    }
                }
                other => return other,
            }
        }
    }
}

/// A request without a body; `None` when the client hung up.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Some(Request { method, target, headers, index: 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(registry: &Registry, text: &str) -> String {
        let mut stream = TcpStream::connect(registry.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = BufReader::new(stream).read_to_string(&mut answer);
        answer
    }

    #[test]
    fn a_file_is_sent_whole_in_parts_and_cut_as_told() {
        let registry = Registry::start(|request| {
            let reply = Reply::file(request, b"0123456789", Some("\"v\""));
            reply.ending(if request.target == "/cut" { Ending::Cut(2) } else { Ending::Whole })
        });
        let get = |target: &str, more: &str| {
            ask(&registry, &format!("GET {target} HTTP/1.1\r\n{more}\r\nGET /cut HTTP/1.1\r\n\r\n"))
        };
        let whole = get("/", "");
        assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("\r\n\r\n0123456789"), "{whole}");
        let part = get("/", "Range: bytes=3-5\r\n");
        assert!(
            part.contains("206") && part.contains("bytes 3-5/10") && part.contains("\r\n\r\n345HTTP"),
            "{part}"
        );
        assert!(part.ends_with("\r\n\r\n01"), "{part}");
        assert!(get("/", "Range: bytes=10-10\r\n").contains("416"));
        assert!(get("/", "Range: bytes=3-5\r\nIf-Range: \"w\"\r\n").contains("200"));
        assert_eq!(registry.sent_bytes("/cut"), 8);
    }
}
