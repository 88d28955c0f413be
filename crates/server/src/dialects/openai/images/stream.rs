//! Pictures that are told while they are made.

use app::Event;
use app::event::draw::Picture;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::{FILES, Kind, sides, usage};
use crate::dialects::drawing;
use crate::dialects::openai::{DIALECT, now_s};
use crate::telling::{Telling, data, named};

/// A stream of pictures.
pub struct Stream {
    created: u64,
    partial: &'static str,
    completed: &'static str,
    size: [usize; 2],
    n_prompt_tokens: usize,
    /// Which picture the last rough one was of, and how many came before it.
    last: (usize, usize),
}

impl Stream {
    pub fn new(kind: Kind) -> Self {
        let (partial, completed) = match kind {
            Kind::Generation => ("image_generation.partial_image", "image_generation.completed"),
            Kind::Edit => ("image_edit.partial_image", "image_edit.completed"),
        };
        Self { created: now_s(), partial, completed, size: [0; 2], n_prompt_tokens: 0, last: (0, 0) }
    }

    fn picture(&self, kind: &str, png: &[u8]) -> Json {
        json!({
            "type": kind,
            "b64_json": STANDARD.encode(png),
            "created_at": self.created,
            "size": sides(self.size),
            "quality": "auto",
            "background": "opaque",
            "output_format": "png",
        })
    }
}

impl Telling for Stream {
    fn tell(&mut self, _: usize, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Begun(begun) => (self.size, self.n_prompt_tokens) = (begun.size, begun.n_prompt_tokens),
            Event::Preview(preview) => {
                if self.last.0 != preview.index {
                    self.last = (preview.index, 0);
                }
                let mut told = self.picture(self.partial, &preview.png);
                told["partial_image_index"] = Json::from(self.last.1);
                told["image_index"] = Json::from(preview.index);
                self.last.1 += 1;
                named(self.partial, &told, out);
            }
            Event::Picture(picture) => {
                let mut told = self.picture(self.completed, &picture.png);
                // All pictures are of the same words, which are read once.
                let n_prompt_tokens = if picture.index == 0 { self.n_prompt_tokens } else { 0 };
                told["usage"] = usage(n_prompt_tokens, Picture::n_tokens(picture.size));
                told["image_index"] = Json::from(picture.index);
                told["seed"] = Json::from(picture.seed);
                named(self.completed, &told, out);
            }
            // The clients raise it.
            Event::Failed(failure) => data(&(DIALECT.refuse)(&drawing::refused(failure, &FILES)), out),
            _ => {}
        }
    }
}
