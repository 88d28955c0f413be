//! A small HTTP client for tests, on plain sockets: whole answers, pieces of a stream as they come, and half requests.
//! It shares no code with the server that it judges.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a test waits for the next byte.
const PATIENCE: Duration = Duration::from_secs(120);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body, or what there is to read of it.
    pub body: Body,
}

/// The body of an answer, read as it comes.
#[derive(Debug)]
pub struct Body {
    reader: BufReader<TcpStream>,
    length: Length,
}

#[derive(Debug, PartialEq)]
enum Length {
    Known(usize),
    /// What is left of the piece that is being read.
    Chunked(usize),
    ToTheEnd,
    Over,
}

/// Sends a request and reads the head of the answer.
///
/// # Errors
/// What the socket says, or an answer that is not HTTP.
pub fn send(address: SocketAddr, request: &str) -> io::Result<Answer> {
    send_bytes(address, request.as_bytes())
}

/// The same of a request whose body is no text.
///
/// # Errors
/// So too.
pub fn send_bytes(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    (&stream).write_all(request)?;
    read(stream)
}

/// A request with a JSON body; `headers` are whole lines.
pub fn post(address: SocketAddr, path: &str, headers: &[&str], body: &str) -> io::Result<Answer> {
    send(address, &request("POST", path, (address, headers), body))
}

/// A request without a body; `headers` are whole lines.
pub fn get(address: SocketAddr, path: &str, headers: &[&str]) -> io::Result<Answer> {
    send(address, &request("GET", path, (address, headers), ""))
}

/// The text of a request. A `Host` line is added where none is given.
pub fn request(method: &str, path: &str, (address, headers): (SocketAddr, &[&str]), body: &str) -> String {
    let has_host = headers.iter().any(|line| line.to_ascii_lowercase().starts_with("host:"));
    let host = if has_host { String::new() } else { format!("Host: {address}\r\n") };
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    format!(
        "{method} {path} HTTP/1.1\r\n{host}{lines}{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn read(stream: TcpStream) -> io::Result<Answer> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.trim().parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let find = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let length = match (find("content-length").and_then(|n| n.parse().ok()), find("transfer-encoding")) {
        (Some(length), _) => Length::Known(length),
        (None, Some("chunked")) => Length::Chunked(0),
        _ => Length::ToTheEnd,
    };
    Ok(Answer { status, headers, body: Body { reader, length } })
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The whole body as text.
    ///
    /// # Errors
    /// A body that is cut off or no text.
    pub fn text(mut self) -> io::Result<String> {
        let mut text = String::new();
        self.body.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.length == Length::Chunked(0) {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            let size =
                usize::from_str_radix(line.trim(), 16).map_err(|_| io::Error::other("no size of a piece"))?;
            self.length = if size == 0 { Length::Over } else { Length::Chunked(size) };
        }
        let most = match self.length {
            Length::Known(left) | Length::Chunked(left) => left.min(into.len()),
            Length::ToTheEnd => into.len(),
            Length::Over => 0,
        };
        let n = self.reader.read(&mut into[..most])?;
        match &mut self.length {
            Length::Known(left) => *left -= n,
            Length::Chunked(left) => {
                *left -= n;
                if *left == 0 {
                    self.reader.read_line(&mut String::new())?;
                }
            }
            _ => {}
        }
        if n == 0 && most > 0 && self.length != Length::ToTheEnd {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(n)
    }
}
