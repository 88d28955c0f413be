//! A share of a whole as a bar, in eighths of a column.

const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar of `columns`, filled for `share` (0 to 1), blank for the rest. NaN is nothing.
pub fn bar(share: f64, columns: usize) -> String {
    let filled = eighths(share, columns * 8);
    let full = filled / 8;
    let mut bar = "█".repeat(full);
    if full < columns {
        bar.push(EIGHTHS[filled % 8]);
        bar.push_str(&" ".repeat(columns - full - 1));
    }
    bar
}

/// One block as high as `share` (0 to 1); nothing only for less than half a percent.
pub fn height(share: f64) -> char {
    let level = eighths(share, 8);
    if level == 0 && share >= 0.005 { HEIGHTS[1] } else { HEIGHTS[level] }
}

/// `share` in `whole` parts, rounded. A cast of NaN gives 0, by definition of `as`.
fn eighths(share: f64, whole: usize) -> usize {
    (share.clamp(0.0, 1.0) * whole as f64).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_takes_its_columns_whatever_the_share() {
        assert_eq!(bar(0.5, 4), "██  ");
        assert_eq!(bar(0.55, 4), "██▎ ");
        for share in [-1.0, 0.0, 0.01, 0.999, 1.0, 2.0, f64::NAN, f64::INFINITY] {
            assert_eq!(bar(share, 7).chars().count(), 7, "{share}");
        }
        assert_eq!((height(0.0), height(0.01), height(0.5), height(1.0)), (' ', '▁', '▄', '█'));
        assert_eq!(height(f64::NAN), ' ');
    }
}
