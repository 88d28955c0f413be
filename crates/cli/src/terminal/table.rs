//! Rows in columns as wide as their widest cell. Cells are made safe here; none is ever cut.

use super::visible;
use super::width::{left, right, width};

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
}
