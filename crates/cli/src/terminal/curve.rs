//! A curve drawn with braille dots: two dots a column, four a row, joined from dot to dot.
//!
//! Source: the Unicode block "Braille Patterns" (U+2800): dots 1, 2, 3 and 7 are the left ones from the top
//! down, 4, 5, 6 and 8 the right ones, and each is one bit of the code point.

use super::width::right;

const DOTS_PER_COLUMN: usize = 2;
const DOTS_PER_ROW: usize = 4;
/// The bit of a dot, by its place from the top, then from the left.
const BITS: [[u32; DOTS_PER_COLUMN]; DOTS_PER_ROW] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
const BLANK: u32 = 0x2800;
/// Columns beside a curve that say how high it is, with the blank behind them.
const LABEL_COLUMNS: usize = 8;

/// The curve through `points` (x and y, x never falling), stretched over `columns` and `rows`; the highest value
/// touches the top, the lowest the bottom.
///
/// Nothing where no point is finite, or where there is no room.
pub fn curve(points: &[(f64, f64)], columns: usize, rows: usize) -> String {
    let heights = heights(points, columns * DOTS_PER_COLUMN);
    let Some((lowest, highest)) = range(&heights) else { return String::new() };
    if rows == 0 {
        return String::new();
    }
    let most = rows * DOTS_PER_ROW - 1;
    let dot = |value: f64| match highest - lowest {
        0.0 => most,
        span => ((highest - value) / span * most as f64).round() as usize,
    };
    let mut cells = vec![vec![BLANK; columns]; rows];
    let mut before = None;
    for (at, height) in heights.iter().enumerate() {
        let Some(place) = height.map(dot) else { continue };
        let from = before.replace(place).unwrap_or(place);
        // From beside the last dot to this one, so that a steep curve has no holes.
        let joined = match from.cmp(&place) {
            std::cmp::Ordering::Less => from + 1..=place,
            std::cmp::Ordering::Equal => place..=place,
            std::cmp::Ordering::Greater => place..=from - 1,
        };
        for down in joined {
            let bit = BITS[down % DOTS_PER_ROW][at % DOTS_PER_COLUMN];
            cells[down / DOTS_PER_ROW][at / DOTS_PER_COLUMN] |= bit;
        }
    }
    let row = |row: &Vec<u32>| row.iter().filter_map(|&code| char::from_u32(code)).collect::<String>();
    cells.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// The lines of a curve with its highest and its lowest value beside it, in `columns` all together.
pub fn labelled(points: &[(f64, f64)], columns: usize, rows: usize) -> Vec<String> {
    let columns = columns.saturating_sub(LABEL_COLUMNS);
    let drawn = curve(points, columns, rows);
    let Some((lowest, highest)) = range(&heights(points, columns * DOTS_PER_COLUMN)) else {
        return Vec::new();
    };
    let label = |row: usize| match row {
        0 => format!("{highest:.3}"),
        row if row + 1 == rows => format!("{lowest:.3}"),
        _ => String::new(),
    };
    drawn
        .lines()
        .enumerate()
        .map(|(row, line)| format!("{} {line}", right(&label(row), LABEL_COLUMNS - 1)))
        .collect()
}

/// The mean of the points of each of `n_dots` equal parts of the way; a part without points lies on the straight
/// line between its neighbours.
fn heights(points: &[(f64, f64)], n_dots: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_usize); n_dots];
    let is_finite = |(x, y): &&(f64, f64)| x.is_finite() && y.is_finite();
    let finite = || points.iter().filter(is_finite);
    let (Some(&(first, _)), Some(&(last, _)), true) = (finite().next(), finite().next_back(), n_dots > 0)
    else {
        return Vec::new();
    };
    let span = (last - first).max(f64::MIN_POSITIVE);
    for (x, y) in finite() {
        let at = ((x - first) / span * (n_dots - 1) as f64).round() as usize;
        let (sum, n) = &mut sums[at.min(n_dots - 1)];
        *sum += y;
        *n += 1;
    }
    bridged(sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / n as f64)).collect())
}

fn bridged(mut heights: Vec<Option<f64>>) -> Vec<Option<f64>> {
    let known: Vec<(usize, f64)> =
        heights.iter().enumerate().filter_map(|(at, height)| height.map(|height| (at, height))).collect();
    for pair in known.windows(2) {
        let [(from, first), (to, last)] = [pair[0], pair[1]];
        for (at, height) in heights.iter_mut().enumerate().take(to).skip(from + 1) {
            let share = (at - from) as f64 / (to - from) as f64;
            *height = Some(first + (last - first) * share);
        }
    }
    heights
}

fn range(heights: &[Option<f64>]) -> Option<(f64, f64)> {
    let known = || heights.iter().flatten().copied();
    let lowest = known().reduce(f64::min)?;
    Some((lowest, known().reduce(f64::max)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ys: &[f64]) -> Vec<(f64, f64)> {
        ys.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect()
    }

    #[test]
    fn a_straight_way_down_is_a_diagonal() {
        assert_eq!(curve(&line(&[4.0, 3.0, 2.0, 1.0]), 2, 1), "⠑⢄");
        assert_eq!(curve(&line(&[1.0, 2.0, 3.0, 4.0]), 2, 1), "⡠⠊");
        assert_eq!(curve(&line(&[7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]), 4, 2), "⠑⢄⠀⠀\n⠀⠀⠑⢄");
    }

    #[test]
    fn a_steep_step_has_no_holes() {
        assert_eq!(curve(&line(&[3.0, 0.0]), 1, 1), "⢱");
        assert_eq!(curve(&line(&[0.0, 3.0]), 1, 1), "⡸");
    }

    #[test]
    fn the_shape_is_always_that_of_the_room() {
        let many: Vec<(f64, f64)> = (0..1000).map(|x| (f64::from(x), (f64::from(x) * 0.1).sin())).collect();
        for points in [&many[..], &many[..1], &many[..2], &[(0.0, 5.0), (0.0, 6.0)]] {
            for (columns, rows) in [(1, 1), (7, 3), (60, 6)] {
                let drawn = curve(points, columns, rows);
                assert_eq!(drawn.lines().count(), rows);
                assert!(drawn.lines().all(|line| line.chars().count() == columns), "{drawn}");
            }
        }
        assert_eq!((curve(&many, 0, 3), curve(&many, 3, 0)), (String::new(), String::new()));
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, f64::INFINITY), (f64::NAN, 0.0), (3.0, 0.0)];
        assert_eq!(curve(&points, 2, 1), curve(&[(0.0, 1.0), (3.0, 0.0)], 2, 1));
        assert_eq!(curve(&points[1..3], 2, 1), "");
        assert_eq!(curve(&[(0.0, 1e308), (1.0, -1e308)], 2, 2).lines().count(), 2);
        assert!(labelled(&[], 40, 4).is_empty());
    }

    #[test]
    fn labels_say_the_highest_and_the_lowest() {
        let drawn = labelled(&line(&[6.25, 4.0, 2.0]), 12, 2);
        assert_eq!(drawn, ["  6.250 ⠑⢄⠀⠀", "  2.000 ⠀⠀⠑⢄"]);
    }
}
