//! Texts that a person names and that are read whole, up to a length.

use std::path::Path;

/// The text of a file of `most` bytes at most, or what is wrong with it.
pub(super) fn small_text(path: &Path, most: u64) -> Result<String, String> {
    let unread = |error: std::io::Error| format!("{}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(unread)?.len();
    if size > most {
        return Err(format!("{}: {size} bytes, at most {most} are read", path.display()));
    }
    std::fs::read_to_string(path).map_err(unread)
}
