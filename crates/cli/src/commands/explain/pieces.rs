//! The prompt's tokens with their ids: side by side in two colours, or in brackets.

use app::event::Piece;

use crate::terminal::paint::{Color, Ink};
use crate::terminal::visible;
use crate::terminal::width::{fit, left, width};

/// The tokens, wrapped to `columns`.
pub fn draw(pieces: &[Piece], color: Color, columns: usize) -> String {
    match color {
        Color::Off => brackets(pieces, columns),
        Color::On => stripes(pieces, columns),
    }
}

/// `[Once|403][·upon|407]`
fn brackets(pieces: &[Piece], columns: usize) -> String {
    let one = |piece: &Piece| {
        let id = piece.id.to_string();
        let room = columns.saturating_sub(id.len() + 3);
        format!("[{}|{id}]", fit(&visible::token(&piece.text), room))
    };
    let (mut drawn, mut used) = (String::new(), 0);
    for cell in pieces.iter().map(one) {
        if used > 0 && used + width(&cell) > columns {
            drawn.push('\n');
            used = 0;
        }
        used += width(&cell);
        drawn.push_str(&cell);
    }
    drawn + "\n"
}

/// Texts on alternating grounds, ids beneath.
fn stripes(pieces: &[Piece], columns: usize) -> String {
    let (mut drawn, mut texts, mut ids, mut used) = (String::new(), String::new(), String::new(), 0);
    for (at, piece) in pieces.iter().enumerate() {
        let text = fit(&visible::token(&piece.text), columns);
        let id = piece.id.to_string();
        let cell = width(&text).max(id.len());
        if used > 0 && used + cell > columns {
            drawn += &format!("{texts}\n{ids}\n");
            (texts, ids, used) = (String::new(), String::new(), 0);
        }
        let ink = if at % 2 == 0 { Ink::Even } else { Ink::Odd };
        texts += &(Color::On.paint(ink, &text) + &" ".repeat(cell + 1 - width(&text)));
        ids += &(Color::On.paint(Ink::Dim, &left(&id, cell)) + " ");
        used += cell + 1;
    }
    drawn + &format!("{texts}\n{ids}\n")
}
