//! How a camera was held: pictures of telephones lie as the sensor saw them, and say in EXIF how they are to be turned.
//!
//! Source: JEITA CP-3451 (EXIF 2.3), section 4.6.4, tag Orientation; Adobe, TIFF 6.0, section 2, for the directory that it
//! stands in.

use super::COLOURS;

/// The tag, and the type of its value: a whole number of two bytes.
const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;
/// Bytes of an entry of a directory.
const ENTRY_BYTES: usize = 12;

/// How the pixels of a file become those that people see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    AsItIs,
    /// Left and right exchanged.
    Mirrored,
    Half,
    /// Top and bottom exchanged.
    Flipped,
    /// Rows and columns exchanged.
    Transposed,
    /// A quarter to the right.
    Right,
    /// Rows and columns exchanged over the other corner.
    Transversed,
    /// A quarter to the left.
    Left,
}

impl Turn {
    /// The one that EXIF says; none where it says none, or cannot be read.
    pub fn of(exif: &[u8]) -> Self {
        match orientation(exif) {
            Some(2) => Self::Mirrored,
            Some(3) => Self::Half,
            Some(4) => Self::Flipped,
            Some(5) => Self::Transposed,
            Some(6) => Self::Right,
            Some(7) => Self::Transversed,
            Some(8) => Self::Left,
            _ => Self::AsItIs,
        }
    }

    /// Width and height behind it.
    pub fn size(self, [width, height]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::AsItIs | Self::Mirrored | Self::Half | Self::Flipped => [width, height],
            Self::Transposed | Self::Right | Self::Transversed | Self::Left => [height, width],
        }
    }

    /// Where the pixel stands in the file that is seen at column `x` and row `y`.
    fn place(self, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::AsItIs => [x, y],
            Self::Mirrored => [width - 1 - x, y],
            Self::Half => [width - 1 - x, height - 1 - y],
            Self::Flipped => [x, height - 1 - y],
            Self::Transposed => [y, x],
            Self::Right => [y, height - 1 - x],
            Self::Transversed => [width - 1 - y, height - 1 - x],
            Self::Left => [width - 1 - y, x],
        }
    }

    /// The pixels as they are seen.
    ///
    /// # Shapes
    /// `data` Y X 3 → the same, or X Y 3.
    pub fn turned(self, data: Vec<u8>, size: [usize; 2]) -> Vec<u8> {
        if self == Self::AsItIs {
            return data;
        }
        let [width, height] = self.size(size);
        let mut turned = Vec::with_capacity(data.len());
        for y in 0..height {
            for x in 0..width {
                let [column, row] = self.place([x, y], size);
                let at = (row * size[0] + column) * COLOURS;
                turned.extend_from_slice(&data[at..at + COLOURS]);
            }
        }
        turned
    }
}

/// The value of the tag in the first directory.
fn orientation(exif: &[u8]) -> Option<u16> {
    let is_little = match exif.get(..4)? {
        b"II\x2a\0" => true,
        b"MM\0\x2a" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| -> Option<usize> {
        let bytes = exif.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }).ok()
    };
    let directory = long(4)?;
    let n_entries = usize::from(short(directory)?);
    let entry = |index: usize| directory.checked_add(2)?.checked_add(index.checked_mul(ENTRY_BYTES)?);
    let mut found = (0..n_entries).map_while(entry).take_while(|at| short(*at).is_some());
    let at = found.find(|at| short(*at) == Some(ORIENTATION))?;
    (short(at.checked_add(2)?)? == SHORT).then(|| short(at.checked_add(8)?)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::{fuzz, mutate};

    const TURNS: &str = include_str!("../../../../fixtures/draw/turned.json");

    /// A directory of two entries, either way round.
    fn exif(value: u16, is_little: bool) -> Vec<u8> {
        let short = |number: u16| if is_little { number.to_le_bytes() } else { number.to_be_bytes() };
        let long = |number: u32| if is_little { number.to_le_bytes() } else { number.to_be_bytes() };
        let mut bytes = if is_little { b"II\x2a\0".to_vec() } else { b"MM\0\x2a".to_vec() };
        bytes.extend(long(8));
        bytes.extend(short(2));
        for (tag, value) in [(0x0100, 9), (ORIENTATION, value)] {
            bytes.extend([short(tag), short(SHORT)].concat());
            bytes.extend(long(1));
            bytes.extend([short(value), short(0)].concat());
        }
        bytes
    }

    #[test]
    fn pictures_are_turned_as_pillow_turns_them() {
        let turns: serde_json::Value = serde_json::from_str(TURNS).unwrap();
        let size: [usize; 2] = serde_json::from_value(turns["size"].clone()).unwrap();
        let data: Vec<u8> = (0..(size[0] * size[1]) as u8).flat_map(|pixel| [pixel; COLOURS]).collect();
        let seen = turns["seen"].as_object().unwrap();
        assert_eq!(seen.len(), 8);
        for (value, expected) in seen {
            let value: u16 = value.parse().unwrap();
            for is_little in [true, false] {
                let turn = Turn::of(&exif(value, is_little));
                assert_eq!(serde_json::json!(turn.size(size)), expected["size"], "{value}");
                let found: Vec<u8> = turn.turned(data.clone(), size).into_iter().step_by(COLOURS).collect();
                assert_eq!(serde_json::json!(found), expected["pixels"], "{value}");
            }
        }
    }

    #[test]
    fn what_says_nothing_turns_nothing() {
        for bytes in [
            &b""[..],
            b"II",
            b"II\x2a\0\xff\xff\xff\xff",
            &exif(0, true)[..],
            &exif(9, false)[..],
            &exif(6, true)[..20],
        ] {
            assert_eq!(Turn::of(bytes), Turn::AsItIs, "{bytes:?}");
        }
    }

    #[test]
    fn any_bytes_are_looked_through() {
        let corpus = vec![exif(6, true), exif(8, false)];
        for index in 0..3000 {
            let bytes = mutate::case(&corpus, 5, index);
            let target = |bytes: &[u8]| assert!(Turn::of(bytes).size([1, 2]).contains(&2));
            let judged = fuzz::judge(target, &bytes).filter(|what| what.starts_with("panics"));
            assert_eq!(judged, None, "case {index}");
        }
    }
}
