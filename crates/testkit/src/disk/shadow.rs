//! What of a folder would survive a power loss: for each name and each file's bytes, the state that was synced.
//!
//! Not the folder itself: the real disk holds what a living process sees.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use base::Rng;

use super::Survives;

/// What stands under a name: a folder, or the file of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// A file's bytes. What was only appended since the last sync leaves a durable beginning; what was written
/// elsewhere leaves the bytes of the last sync.
#[derive(Default)]
struct Bytes {
    all: Vec<u8>,
    n_durable: usize,
    /// The bytes at the last sync, of a file that was written elsewhere than at its end since.
    synced: Option<Vec<u8>>,
}

/// Bytes that reach the disk together or not at all: less than a sector, so that small tests see torn files.
const TORN_BYTES: usize = 16;

type Names = BTreeMap<PathBuf, Node>;

/// The names as the process sees them and as they are durable, and the files that they stand for.
pub(super) struct Shadow {
    root: PathBuf,
    seen: Names,
    durable: Names,
    files: Vec<Bytes>,
}

impl Shadow {
    /// The shadow of a folder that is wholly durable.
    pub(super) fn of(root: &Path) -> Self {
        let mut shadow =
            Self { root: root.to_owned(), seen: Names::new(), durable: Names::new(), files: Vec::new() };
        shadow.scan(root);
        shadow.durable = shadow.seen.clone();
        shadow
    }

    fn scan(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("the test's folder can be read") {
            let path = entry.expect("the test's folder can be read").path();
            if path.is_dir() {
                self.scan(&path);
                self.seen.insert(path, Node::Folder);
            } else {
                let all = fs::read(&path).expect("the test's files can be read");
                self.seen.insert(path, Node::File(self.files.len()));
                self.files.push(Bytes { n_durable: all.len(), all, synced: None });
            }
        }
    }

    pub(super) fn create_file(&mut self, path: &Path) {
        if path.starts_with(&self.root) && !self.seen.contains_key(path) {
            self.seen.insert(path.to_owned(), Node::File(self.files.len()));
            self.files.push(Bytes::default());
        }
    }

    pub(super) fn create_folder(&mut self, path: &Path) {
        if path.starts_with(&self.root) && path != self.root {
            self.seen.insert(path.to_owned(), Node::Folder);
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        if let Some(node) = self.seen.remove(from) {
            self.seen.insert(to.to_owned(), node);
        }
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.seen.remove(path);
    }

    /// The number of the file that was just created under this name.
    pub(super) fn number(&self, path: &Path) -> usize {
        match self.seen.get(path) {
            Some(Node::File(number)) => *number,
            _ => panic!("{} was not created below the disk's folder", path.display()),
        }
    }

    pub(super) fn append(&mut self, number: usize, bytes: &[u8]) {
        self.files[number].all.extend_from_slice(bytes);
    }

    pub(super) fn write_at(&mut self, number: usize, bytes: &[u8], offset: u64) {
        let begin = usize::try_from(offset).expect("a test's file is small");
        let file = &mut self.files[number];
        file.keep_synced();
        let end = begin + bytes.len();
        file.all.resize(file.all.len().max(end), 0);
        file.all[begin..end].copy_from_slice(bytes);
    }

    pub(super) fn set_size(&mut self, number: usize, size_bytes: u64) {
        let file = &mut self.files[number];
        file.keep_synced();
        file.all.resize(usize::try_from(size_bytes).expect("a test's file is small"), 0);
    }

    pub(super) fn sync_file(&mut self, number: usize) {
        let file = &mut self.files[number];
        file.n_durable = file.all.len();
        file.synced = None;
    }

    pub(super) fn sync_folder(&mut self, folder: &Path) {
        let is_inside = |path: &Path| path.parent() == Some(folder);
        self.durable.retain(|path, _| !is_inside(path));
        let inside = self.seen.iter().filter(|(path, _)| is_inside(path));
        self.durable.extend(inside.map(|(path, node)| (path.clone(), *node)));
    }

    /// Leaves on the real disk what would be found after the power came back.
    pub(super) fn lose_power(&mut self, survives: Survives, seed: u64) {
        let mut rng = Rng::new(seed);
        let found = self.found_names(survives, &mut rng);
        for path in self.seen.keys().rev().filter(|path| !found.contains_key(*path)) {
            let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            gone.expect("what the shadow names is on the disk");
        }
        for (path, node) in &found {
            match node {
                Node::Folder if path.is_dir() => {}
                Node::Folder => fs::create_dir(path).expect("its parent was found"),
                Node::File(number) => self.leave_file(path, *number, survives, &mut rng),
            }
        }
    }

    /// Which names are found: parents before children, and no child without its parent.
    fn found_names(&self, survives: Survives, rng: &mut Rng) -> Names {
        let mut found = Names::new();
        let paths: BTreeSet<&PathBuf> = self.seen.keys().chain(self.durable.keys()).collect();
        for path in paths {
            let newer = match survives {
                Survives::Nothing => false,
                Survives::Names => true,
                Survives::Chance => rng.below(2) == 1,
            };
            let names = if newer { &self.seen } else { &self.durable };
            let parent = path.parent().expect("every name lies below the root");
            let has_parent = parent == self.root || found.get(parent) == Some(&Node::Folder);
            if let Some(node) = names.get(path).filter(|_| has_parent) {
                found.insert(path.clone(), *node);
            }
        }
        found
    }

    /// Writes what is found of a file: the durable beginning, and by chance some of the rest or zeros.
    fn leave_file(&self, path: &Path, number: usize, survives: Survives, rng: &mut Rng) {
        let Bytes { all, n_durable, synced } = &self.files[number];
        if let Some(synced) = synced {
            let bytes = torn(synced, all, survives, rng);
            fs::write(path, bytes).expect("its parent was found");
            return;
        }
        let n_loose = all.len() - n_durable;
        if n_loose == 0 && self.seen.get(path) == Some(&Node::File(number)) {
            return;
        }
        let n_found = if survives == Survives::Nothing { 0 } else { rng.below(n_loose + 1) };
        let mut bytes = all[..n_durable + n_found].to_vec();
        if rng.below(2) == 1 {
            bytes[*n_durable..].fill(0);
        }
        fs::write(path, bytes).expect("its parent was found");
    }
}

impl Bytes {
    /// Remembers what is durable before a write that is no append.
    fn keep_synced(&mut self) {
        if self.synced.is_none() {
            self.synced = Some(self.all[..self.n_durable].to_vec());
        }
    }
}

/// What is found of a file that was written all over: its old bytes, with some of the new ones.
fn torn(synced: &[u8], all: &[u8], survives: Survives, rng: &mut Rng) -> Vec<u8> {
    if survives == Survives::Nothing {
        return synced.to_vec();
    }
    let mut bytes = synced.to_vec();
    bytes.resize(all.len(), 0);
    for (old, new) in bytes.chunks_mut(TORN_BYTES).zip(all.chunks(TORN_BYTES)) {
        if rng.below(2) == 1 {
            old.copy_from_slice(new);
        }
    }
    bytes
}
