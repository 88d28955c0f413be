//! Rough pictures on their way, each in a file beside the one of its picture, until that is there.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use app::event::draw::Preview;

/// The files of previews.
pub struct Previews {
    place: Place,
    /// The one that is there: which picture's, and its name.
    written: Option<(usize, PathBuf)>,
}

/// Where they are written.
pub enum Place {
    /// Beside the file of the only picture.
    Beside(PathBuf),
    In(PathBuf),
}

impl Previews {
    pub fn new(place: Place) -> Self {
        Self { place, written: None }
    }

    /// Writes a preview over the last one of its picture; the name of a new file. A file of somebody else stays, and then
    /// there is no preview.
    pub fn write(&mut self, preview: &Preview) -> Option<PathBuf> {
        match &self.written {
            Some((index, path)) if *index == preview.index => {
                // One that cannot be written any more is missed, and nothing else.
                let _ = fs::write(path, &preview.png);
                None
            }
            _ => {
                self.remove();
                let path = self.path(preview);
                let mut file = File::options().write(true).create_new(true).open(&path).ok()?;
                file.write_all(&preview.png).ok()?;
                self.written = Some((preview.index, path.clone()));
                Some(path)
            }
        }
    }

    /// Takes the last one away.
    pub fn remove(&mut self) {
        if let Some((_, path)) = self.written.take() {
            let _ = fs::remove_file(path);
        }
    }

    fn path(&self, preview: &Preview) -> PathBuf {
        match &self.place {
            Place::Beside(file) => file.with_extension("preview.png"),
            Place::In(folder) => folder.join(format!("picture-{}.preview.png", preview.seed)),
        }
    }
}

impl Drop for Previews {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(index: usize, byte: u8) -> Preview {
        Preview { index, seed: 7 + index as u64, steps_done: 1, size: [1, 1], png: vec![byte] }
    }

    #[test]
    fn a_preview_is_written_over_the_last_one_and_goes_with_its_picture() {
        let folder = tempfile::tempdir().unwrap();
        let names = || {
            let mut names: Vec<_> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        fs::write(folder.path().join("picture-9.preview.png"), "mine").unwrap();
        let mut previews = Previews::new(Place::In(folder.path().into()));
        let path = previews.write(&preview(0, 1)).unwrap();
        assert_eq!(previews.write(&preview(0, 2)), None);
        assert_eq!((fs::read(&path).unwrap(), path), (vec![2], folder.path().join("picture-7.preview.png")));
        assert!(previews.write(&preview(1, 3)).is_some());
        assert_eq!(names(), ["picture-8.preview.png", "picture-9.preview.png"]);
        assert_eq!(previews.write(&preview(2, 4)), None, "a file of somebody else stays");
        assert_eq!(names(), ["picture-9.preview.png"]);
        let mut previews = Previews::new(Place::Beside(folder.path().join("a.png")));
        assert!(previews.write(&preview(0, 5)).is_some_and(|path| path.ends_with("a.preview.png")));
        drop(previews);
        assert_eq!(names(), ["picture-9.preview.png"]);
    }
}
