//! Bytes that one side writes while the other reads them, without ever being whole in memory.

use std::io::{PipeWriter, Read};

use formats::Error;

/// What is written must not be larger than this before it is sent on.
const PIECE_BYTES: usize = 1 << 20;

/// Where the bytes go.
pub(crate) type Sink = std::io::BufWriter<PipeWriter>;

/// Gives `read` the bytes that `write` makes on another thread.
///
/// # Errors
/// That of `read`, or of writing.
pub(crate) fn stream<T, E: From<Error>>(
    write: impl FnOnce(Sink) -> Result<Sink, Error> + Send,
    read: impl FnOnce(&mut dyn Read) -> Result<T, E>,
) -> Result<T, E> {
    let (mut reader, writer) = std::io::pipe().map_err(|error| E::from(pipe_error(error)))?;
    std::thread::scope(|scope| {
        let written = scope.spawn(move || {
            let mut out = write(std::io::BufWriter::with_capacity(PIECE_BYTES, writer))?;
            std::io::Write::flush(&mut out).map_err(pipe_error)
        });
        let result = read(&mut reader);
        drop(reader); // A writer that nobody reads from stops.
        let written = written.join().expect("writing does not panic");
        match (result, written) {
            (Ok(_), Err(error)) => Err(error.into()),
            (result, _) => result,
        }
    })
}

fn pipe_error(error: std::io::Error) -> Error {
    Error::Io { file: "the converted file".into(), source: error }
}
