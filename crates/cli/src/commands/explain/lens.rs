//! The lens: a table of layers and tokens. A layer's cell is the token that it would have said.
//!
//! Source: nostalgebraist, "interpreting GPT: the logit lens" (2020).

use app::event::{LayerView, Token};

use super::probability;
use crate::terminal::bar::height;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::visible;
use crate::terminal::width::{left, right};

/// What a cell holds.
pub const LEGEND: &str = "its likeliest token, how likely, and as a block: the token said in the end";

const LABEL: usize = 5;
const GAP: usize = 2;
const TEXT: usize = 7;
const PERCENT: usize = 5;
/// The text, its probability and the block.
const CELL: usize = TEXT + PERCENT + 1;

/// The table, in as many parts as the terminal's width asks for; nothing without a lens.
pub fn draw(tokens: &[Token], color: Color, columns: usize) -> String {
    let per_part = (columns.saturating_sub(LABEL) / (CELL + GAP)).max(1);
    let seen: Vec<&Token> = tokens.iter().filter(|token| !token.lens.is_empty()).collect();
    let parts = seen.chunks(per_part).map(|tokens| part(tokens, color));
    parts.collect::<Vec<_>>().join("\n")
}

fn part(tokens: &[&Token], color: Color) -> String {
    let gap = " ".repeat(GAP);
    let heading = |token: &&Token| left(&visible::token(&token.piece.text), CELL);
    let headings: Vec<_> = tokens.iter().map(heading).collect();
    let headings = color.paint(Ink::Bold, headings.join(&gap).trim_end());
    let mut drawn = format!("{}{gap}{headings}\n", left("layer", LABEL));
    let n_layers = tokens.iter().map(|token| token.lens.len()).max().unwrap_or(0);
    for at in 0..n_layers {
        let views = tokens.iter().map(|token| (token.lens.get(at), token.piece.id));
        let label = tokens.iter().find_map(|token| token.lens.get(at)).map_or(at, |view| view.layer);
        let cells: Vec<_> = views.map(|(view, chosen)| cell(view, chosen, color)).collect();
        let line = format!("{}{gap}{}", right(&label.to_string(), LABEL), cells.join(&gap));
        drawn += line.trim_end();
        drawn.push('\n');
    }
    drawn
}

fn cell(view: Option<&LayerView>, chosen: u32, color: Color) -> String {
    let Some(view) = view else {
        return " ".repeat(CELL);
    };
    let text = left(&visible::token(&view.best.piece.text), TEXT);
    let share = format!("{:3.0}%", probability(view.best.log_probability) * 100.0);
    let block = height(probability(view.chosen_log_probability));
    let ink = if view.best.piece.id == chosen { Ink::Good } else { Ink::Dim };
    color.paint(ink, &format!("{text}{}", right(&share, PERCENT)))
        + &color.paint(Ink::Bar, &block.to_string())
}
