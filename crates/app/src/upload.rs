//! A file that comes piece by piece, for the store, before it is known which model it is for.
//!
//! Does not: know where the pieces come from. Who sends slowly holds up a thread of its own and nothing else.

use std::io::{self, Read};

use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces that wait to be written.
const WAITING: usize = 8;

/// The pieces of a file; dropped, the file is over.
pub struct Pieces(Sender<Vec<u8>>);

impl Pieces {
    /// Gives the next piece; false where nobody takes any more, and the job says why.
    pub async fn send(&self, piece: Vec<u8>) -> bool {
        self.0.send(piece).await.is_ok()
    }
}

/// The file as the store reads it.
pub(crate) struct Arriving {
    pieces: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    /// Bytes of `piece` that were read.
    n_read: usize,
}

/// Both ends.
pub(crate) fn new() -> (Pieces, Arriving) {
    let (sender, pieces) = channel(WAITING);
    (Pieces(sender), Arriving { pieces, piece: Vec::new(), n_read: 0 })
}

impl Read for Arriving {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.n_read == self.piece.len() {
            let Some(piece) = self.pieces.blocking_recv() else { return Ok(0) };
            (self.piece, self.n_read) = (piece, 0);
        }
        let n = into.len().min(self.piece.len() - self.n_read);
        into[..n].copy_from_slice(&self.piece[self.n_read..self.n_read + n]);
        self.n_read += n;
        Ok(n)
    }
}
