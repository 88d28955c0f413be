//! Rows in columns as wide as their widest cell. Cells are made safe here; none is ever cut.

use super::visible;
use super::width::{left, right, width, wrap};

/// On which side a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// A table with a line of headings; two blanks between columns, none at the end of a line.
pub fn table(headings: &[(&str, Side)], rows: &[Vec<String>]) -> String {
    let safe = |row: &Vec<String>| row.iter().map(|cell| visible::line(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(safe).collect();
    let widest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max();
    let columns: Vec<(usize, Side)> = headings
        .iter()
        .enumerate()
        .map(|(at, (heading, side))| (widest(at).unwrap_or(0).max(width(heading)), *side))
        .collect();
    let heading: Vec<String> = headings.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    std::iter::once(&heading).chain(&rows).map(|row| line(&columns, row)).collect()
}

/// Names with their values beside them, indented.
pub fn pairs(pairs: &[(String, String)]) -> String {
    let columns = pairs.iter().map(|(name, _)| width(&visible::line(name))).max().unwrap_or(0);
    let line = |(name, value): &(String, String)| {
        format!("  {}  {}", left(&visible::line(name), columns), visible::line(value)).trim_end().to_owned()
            + "\n"
    };
    pairs.iter().map(line).collect()
}

/// Rows without headings whose last cell is wrapped, so that lines fit `columns` where they can; indented.
pub fn wrapped(rows: &[Vec<String>], columns: usize) -> String {
    const LEAST: usize = 16;
    let cell =
        |row: &'_ Vec<String>, at: usize| visible::line(row.get(at).map_or("", String::as_str)).into_owned();
    let n_cells = rows.iter().map(Vec::len).max().unwrap_or(0);
    let last = n_cells.saturating_sub(1);
    let widest = |at: usize| rows.iter().map(|row| width(&cell(row, at))).max().unwrap_or(0);
    let widths: Vec<usize> = (0..last).map(widest).collect();
    let indent = 2 + widths.iter().map(|width| width + 2).sum::<usize>();
    let mut text = String::new();
    for row in rows {
        let head: String =
            widths.iter().enumerate().map(|(at, width)| left(&cell(row, at), *width) + "  ").collect();
        let mut begin = format!("  {head}");
        for piece in wrap(&cell(row, last), columns.saturating_sub(indent).max(LEAST)) {
            text += (begin + &piece).trim_end();
            text.push('\n');
            begin = " ".repeat(indent);
        }
    }
    text
}

fn line(columns: &[(usize, Side)], row: &[String]) -> String {
    let cells = columns.iter().zip(row).map(|((columns, side), cell)| match side {
        Side::Left => left(cell, *columns),
        Side::Right => right(cell, *columns),
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_their_widest_cell_and_hold_no_controls() {
        let rows = [vec!["日本".to_owned(), "7".to_owned()], vec!["a\x1b[2J".to_owned(), "12".to_owned()]];
        let shown = table(&[("NAME", Side::Left), ("N", Side::Right)], &rows);
        assert_eq!(shown, "NAME    N\n日本    7\na␛[2J  12\n");
    }

    #[test]
    fn the_last_cell_is_wrapped_below_itself() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["width", "256", "what the size stands for"]), row(["a\x1b", "1", "as you set it"])];
        let expected = "  width  256  what the size\n              stands for\n  a␛     1    as you set it\n";
        assert_eq!(wrapped(&rows, 30), expected);
        assert_eq!(wrapped(&[], 30), "");
        assert!(wrapped(&rows, 0).lines().count() > 2);
    }
}
