//! One generated token: its probability as a bar, and what could have stood in its place.

use app::event::{Alternative, Token};

use super::probability;
use crate::terminal::bar::bar;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::units::percent;
use crate::terminal::visible;
use crate::terminal::width::{fit, left, right, width};

const TEXT: usize = 12;
const ID: usize = 6;
const BAR: usize = 10;
const PERCENT: usize = 6;
const GAP: usize = 2;
/// Columns before the alternatives.
const HEAD: usize = TEXT + 1 + ID + 1 + BAR + 1 + PERCENT + GAP;
/// With fewer columns than this beside the head, the alternatives stand below it.
const LEAST_BESIDE: usize = 24;
const INDENT: usize = 4;

/// `·there   385  ███████▏   72.4%  ·in 10.2%  ·was 3.1%`
pub fn draw(token: &Token, color: Color, columns: usize) -> String {
    let share = probability(token.log_probability);
    let head = format!(
        "{} {} {} {}",
        color.paint(Ink::Good, &left(&visible::token(&token.piece.text), TEXT)),
        color.paint(Ink::Dim, &right(&token.piece.id.to_string(), ID)),
        color.paint(Ink::Bar, &bar(share, BAR)),
        right(&percent(share), PERCENT)
    );
    let beside = columns.saturating_sub(HEAD);
    let others = token.alternatives.iter().filter(|other| other.piece.id != token.piece.id).map(other);
    if beside >= LEAST_BESIDE {
        let rows = rows(others, beside);
        let first = rows.first().map_or_else(String::new, |row| " ".repeat(GAP) + row);
        return head + &first + "\n" + &below(rows.get(1..).unwrap_or_default(), HEAD);
    }
    head + "\n" + &below(&rows(others, columns.saturating_sub(INDENT)), INDENT)
}

fn other(other: &Alternative) -> String {
    format!(
        "{} {}",
        fit(&visible::token(&other.piece.text), TEXT),
        percent(probability(other.log_probability))
    )
}

/// As many in each row as fit `columns`.
fn rows(others: impl Iterator<Item = String>, columns: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for other in others {
        match rows.last_mut() {
            Some(row) if width(row) + GAP + width(&other) <= columns => {
                row.push_str(&" ".repeat(GAP));
                row.push_str(&other);
            }
            _ => rows.push(other),
        }
    }
    rows
}

fn below(rows: &[String], indent: usize) -> String {
    rows.iter().map(|row| format!("{}{row}\n", " ".repeat(indent))).collect()
}
