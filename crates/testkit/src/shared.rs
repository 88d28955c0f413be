//! The shared test data that may stand beside a checkout, and the record of tests that had to do without.
//!
//! Does not: fetch anything. A fresh machine has no such folder, and most tests need none.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of shared data (`../shared/data`, seen from the workspace's root) for the test called `test`.
///
/// Without the folder, the test is recorded as skipped and `None` comes back: the test then returns at once. The
/// record is a line on stdout and, under the gate, a line in the file that `HEARTH_SKIP_LOG` names.
pub fn shared(test: &str) -> Option<PathBuf> {
    let folder = root().join("../shared/data");
    let log = std::env::var_os("HEARTH_SKIP_LOG").map(PathBuf::from);
    let line = skip_line(test);
    let found = find(&line, folder, log.as_deref());
    if found.is_none() {
        print!("{line}");
    }
    found
}

/// The workspace's root.
pub fn root() -> &'static Path {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).expect("testkit lies two folders below the root")
}

fn skip_line(test: &str) -> String {
    format!("skipped: {test}: ../shared is not here\n")
}

fn find(line: &str, folder: PathBuf, log: Option<&Path>) -> Option<PathBuf> {
    if folder.is_dir() {
        return Some(folder);
    }
    if let Some(log) = log {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(log);
        opened
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the gate made a place for this log");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_recorded_and_a_present_one_is_not() {
        let log = std::env::temp_dir().join(format!("testkit-skips-{}.log", std::process::id()));
        assert_eq!(find("", root().to_owned(), Some(&log)), Some(root().to_owned()));
        assert!(!log.exists());
        assert_eq!(find(&skip_line("a"), root().join("no-such-folder"), Some(&log)), None);
        assert_eq!(find(&skip_line("b"), root().join("no-such-folder"), Some(&log)), None);
        let text = std::fs::read_to_string(&log).unwrap();
        std::fs::remove_file(&log).unwrap();
        assert_eq!(text, "skipped: a: ../shared is not here\nskipped: b: ../shared is not here\n");
    }
}
