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
pub(crate) fn stream<T, W: Send, E: From<Error> + From<W>>(
    write: impl FnOnce(Sink) -> Result<Sink, W> + Send,
    read: impl FnOnce(&mut dyn Read) -> Result<T, E>,
) -> Result<T, E> {
    let (mut reader, writer) = std::io::pipe().map_err(|error| E::from(pipe_error(error)))?;
    std::thread::scope(|scope| {
        let written = scope.spawn(move || {
            let sink = std::io::BufWriter::with_capacity(PIECE_BYTES, writer);
            let mut out = write(sink).map_err(Wrong::Own)?;
            std::io::Write::flush(&mut out).map_err(Wrong::Pipe)
        });
        let result = read(&mut reader);
        drop(reader); // A writer that nobody reads from stops.
        let written = written.join().expect("writing does not panic");
        match (result, written) {
            (Ok(_), Err(Wrong::Own(error))) => Err(error.into()),
            (Ok(_), Err(Wrong::Pipe(error))) => Err(pipe_error(error).into()),
            (result, _) => result,
        }
    })
}

/// What went wrong while writing.
enum Wrong<W> {
    Own(W),
    Pipe(std::io::Error),
}

fn pipe_error(error: std::io::Error) -> Error {
    Error::Io { file: "the converted file".into(), source: error }
}
