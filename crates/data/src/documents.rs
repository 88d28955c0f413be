//! The stream of documents of a folder: file after file, piece after piece, never a whole file in memory.
//!
//! What is wrong with one document or one file is told in the report and the stream goes on; what is wrong with the
//! disk ends it. Does not count tokens or know vocabularies.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::folder::{Format, Found};
use crate::json_lines::Lines;
use crate::plain::{self, Pieces};
use crate::{Content, Document, Error, Extent, Folder, Origin, Reason, Report};

/// The documents of a folder, in order.
pub struct Documents<'a> {
    folder: &'a Folder,
    next_file: usize,
    current: Option<Open>,
    report: Report,
}

/// The file that is being read.
struct Open {
    path: Arc<PathBuf>,
    reader: Reader,
    /// Whether it has given a document.
    has_given: bool,
}

enum Reader {
    Plain(Pieces),
    Lines(Lines),
}

impl<'a> Documents<'a> {
    pub(crate) fn of(folder: &'a Folder) -> Self {
        Self { folder, next_file: 0, current: None, report: folder.passed_over.clone() }
    }

    /// What has been read and left out so far, with what the folder passed over.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The folder that is read.
    pub(crate) fn folder(&self) -> &'a Folder {
        self.folder
    }

    /// Notes that the model cannot be given a document that was given out.
    pub(crate) fn refuse(&mut self, document: &Document, reason: Reason) {
        self.report.skip(&document.origin.path, Some(document.origin.line), reason);
    }

    fn next_document(&mut self) -> Result<Option<Document>, Error> {
        loop {
            let Some(mut open) = self.current.take() else {
                let Some(file) = self.folder.files.get(self.next_file) else { return Ok(None) };
                self.next_file += 1;
                self.current = self.open(file)?;
                continue;
            };
            if let Some(document) = self.read(&mut open)? {
                self.report.n_documents += u64::from(document.extent == Extent::Ends);
                self.report.n_bytes += document.n_bytes();
                open.has_given = true;
                self.current = Some(open);
                return Ok(Some(document));
            }
            if !open.has_given {
                self.report.skip(&open.path, None, Reason::Empty);
            }
        }
    }

    fn open(&mut self, file: &Found) -> Result<Option<Open>, Error> {
        let disk = &self.folder.disk;
        let failed = |error| Error::io("read", &file.path, error);
        let reader = match file.format {
            Format::JsonLines => Reader::Lines(Lines::new(disk.open(&file.path).map_err(failed)?)),
            Format::Plain => {
                let mut first = disk.open(&file.path).map_err(failed)?;
                if let Err(reason) = plain::check(&mut *first).map_err(failed)? {
                    self.report.skip(&file.path, None, reason);
                    return Ok(None);
                }
                Reader::Plain(Pieces::new(disk.open(&file.path).map_err(failed)?).map_err(failed)?)
            }
        };
        Ok(Some(Open { path: Arc::clone(&file.path), reader, has_given: false }))
    }

    fn read(&mut self, open: &mut Open) -> Result<Option<Document>, Error> {
        let origin = |line| Origin { path: Arc::clone(&open.path), line };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => Error::ChangedMeanwhile { path: open.path.to_path_buf() },
            _ => Error::io("read", &open.path, error),
        };
        match &mut open.reader {
            Reader::Plain(pieces) => Ok(pieces.next().map_err(failed)?.map(|piece| Document {
                content: Content::Text(piece.text),
                origin: origin(piece.line),
                extent: piece.extent,
            })),
            Reader::Lines(lines) => {
                while let Some(line) = lines.next().map_err(failed)? {
                    match line.content {
                        Ok(content) => {
                            let origin = origin(line.number);
                            return Ok(Some(Document { content, origin, extent: Extent::Ends }));
                        }
                        Err(reason) => self.report.skip(&open.path, Some(line.number), reason),
                    }
                }
                Ok(None)
            }
        }
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, Error>;

    /// The next document, or the error that ends the stream.
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_document();
        if next.is_err() {
            self.next_file = self.folder.files.len();
        }
        next.transpose()
    }
}
