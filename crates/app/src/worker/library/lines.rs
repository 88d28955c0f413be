//! Two texts beside each other, line by line.
//!
//! The longest common subsequence of their lines, by the table of Wagner and Fischer ("The String-to-String
//! Correction Problem", 1974); what both begin and end with is left out of the table. Texts whose table would be too
//! large are told as removed and added.

use crate::event::library::Line;

/// Cells of the table at most: two texts of 2,000 lines that share nothing.
const MAX_CELLS: usize = 4_000_000;

/// The lines of both texts; nothing where they are the same.
pub(super) fn differences(from: &str, to: &str) -> Vec<Line> {
    if from == to {
        return Vec::new();
    }
    let (from, to): (Vec<&str>, Vec<&str>) = (from.lines().collect(), to.lines().collect());
    let n_before = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let (a, b) = (&from[n_before..], &to[n_before..]);
    let n_after = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - n_after], &b[..b.len() - n_after]);
    let same = |line: &&str| Line::Same((*line).to_owned());
    let before = from[..n_before].iter().map(same);
    let after = from[from.len() - n_after..].iter().map(same);
    before.chain(middle(a, b)).chain(after).collect()
}

/// The lines between what both begin and end with.
fn middle(a: &[&str], b: &[&str]) -> Vec<Line> {
    let removed = |line: &str| Line::Removed(line.to_owned());
    let added = |line: &str| Line::Added(line.to_owned());
    let width = b.len() + 1;
    if a.len().saturating_add(1).saturating_mul(width) > MAX_CELLS {
        return a.iter().map(|line| removed(line)).chain(b.iter().map(|line| added(line))).collect();
    }
    // common[i * width + j]: how many lines a[i..] and b[j..] have in common, in order.
    let mut common = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if a[i] == b[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push(Line::Same(a[i].to_owned()));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            lines.push(removed(a[i]));
            i += 1;
        } else {
            lines.push(added(b[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(from: &str, to: &str) -> String {
        let line = |line: Line| match line {
            Line::Same(text) => format!(" {text}"),
            Line::Removed(text) => format!("-{text}"),
            Line::Added(text) => format!("+{text}"),
        };
        differences(from, to).into_iter().map(line).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn the_fewest_lines_differ() {
        for (from, to, expected) in [
            ("a\nb", "a\nb", ""),
            ("", "a", "+a"),
            ("a", "", "-a"),
            ("a\nb\nc", "a\nc", " a|-b| c"),
            ("a\nc", "a\nb\nc", " a|+b| c"),
            ("a\nb\nc\nd", "x\nb\nd\ny", "-a|+x| b|-c| d|+y"),
            ("a\na\na", "a", " a|-a|-a"),
        ] {
            assert_eq!(shown(from, to), expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn long_texts_are_told_without_a_table() {
        let text = |word: &str| (0..3000).map(|n| format!("{word}{n}\n")).collect::<String>();
        let lines = differences(&text("a"), &text("b"));
        assert_eq!(lines.len(), 6000);
        assert_eq!(lines[0], Line::Removed("a0".into()));
    }
}
