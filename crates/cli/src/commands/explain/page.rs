//! The page of a drawing: one HTML file with everything in it, for light and dark, without a script. Pure functions.
//!
//! Whatever was written by others is text in it, and its policy forbids the browser to ask anybody for anything.

use app::event::draw::{Begun, Drawn, Picture, data_url};
use app::event::glass::{Encoder, Glass, Place, Sheet, Step, Token};

use crate::terminal::{units, visible};

const STYLE: &str = include_str!("page.css");
/// Nothing but what is in the page itself.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// Everything that was told of a drawing.
#[derive(Default)]
pub struct Story {
    pub prompt: String,
    pub negative: Option<String>,
    pub begun: Option<Begun>,
    pub picture: Option<Picture>,
    pub glass: Option<Glass>,
    pub drawn: Option<Drawn>,
}

/// The page.
pub fn draw(story: &Story) -> String {
    let title = escaped(&story.prompt);
    let sections = match &story.glass {
        Some(glass) => {
            [tokens(glass), rows(glass), noise(glass), steps(glass, story), latents(glass, story)].concat()
        }
        None => String::new(),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n\
         {}{sections}{}</html>\n",
        header(story),
        time(story),
    )
}

/// Text in a page: nothing of it is markup, and controls are shown.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in visible::line(text).chars() {
        match letter {
            '&' => shown += "&amp;",
            '<' => shown += "&lt;",
            '>' => shown += "&gt;",
            '"' => shown += "&quot;",
            '\'' => shown += "&#39;",
            letter => shown.push(letter),
        }
    }
    shown
}

/// How small pictures are shown.
#[derive(Clone, Copy)]
enum Look {
    /// Every pixel as a square.
    Dots,
    Smooth,
}

fn image(png: &[u8], alt: &str, look: Look) -> String {
    let class = if matches!(look, Look::Dots) { " class=\"dots\"" } else { "" };
    format!("<img{class} src=\"{}\" alt=\"{}\">", data_url(png), escaped(alt))
}

fn dots(sheet: Option<&Sheet>, alt: &str) -> String {
    sheet.map_or_else(String::new, |sheet| image(&sheet.png, alt, Look::Dots))
}

/// A part of the page, with its number where it is a step of the work.
fn section(number: Option<usize>, heading: &str, what: &str, body: &str) -> String {
    let number = number.map_or_else(String::new, |number| format!("<b>{number}</b>"));
    format!("<section>\n<h2>{number}{}</h2>\n<p>{}</p>\n{body}</section>\n", escaped(heading), escaped(what))
}

fn header(story: &Story) -> String {
    let mut facts = Vec::new();
    if let Some(begun) = &story.begun {
        facts.push(("Model", begun.model.clone()));
        facts.push(("Size", format!("{} x {} pixels", begun.size[0], begun.size[1])));
        facts.push(("Steps", format!("{}, {} ({})", begun.steps, begun.sampler, begun.schedule)));
        facts.push(("Guidance", begun.guidance.to_string()));
        facts.push(("Seed", begun.seed.to_string()));
    }
    if let Some(negative) = story.negative.as_ref().filter(|negative| !negative.is_empty()) {
        facts.push(("Not to be seen", negative.clone()));
    }
    let facts = facts.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escaped(value)));
    let picture = story.picture.as_ref();
    let picture =
        picture.map_or_else(String::new, |picture| image(&picture.png, &story.prompt, Look::Smooth));
    format!(
        "<header>\n<div>\n<h1>{}</h1>\n<p>How this picture came to be: five steps, and what each of them made.</p>\n\
         <dl>{}</dl>\n</div>\n{picture}\n</header>\n",
        escaped(&story.prompt),
        facts.collect::<String>(),
    )
}

fn tokens(glass: &Glass) -> String {
    let encoders = glass.encoders.iter().map(|encoder| {
        format!("<h3>{}</h3>\n<ol class=\"tokens\">{}</ol>\n", escaped(&encoder.name), chips(encoder))
    });
    let what =
        "A text encoder knows words by numbers: each piece of the prompt is one number of its vocabulary.";
    section(Some(1), "Words become tokens", what, &encoders.collect::<String>())
}

fn chips(encoder: &Encoder) -> String {
    let chip = |token: &Token| {
        let class = match token.place {
            Place::Mark => " class=\"mark\"",
            Place::Inside => " class=\"inside\"",
            Place::End => "",
        };
        let weight = if token.weight == 1.0 { String::new() } else { format!(" ×{}", token.weight) };
        format!("<li{class}>{}<small>{}{weight}</small></li>", shown(token), token.id)
    };
    encoder.tokens.iter().map(chip).collect()
}

/// A token whose spaces are seen.
fn shown(token: &Token) -> String {
    escaped(&visible::token(&token.text))
}

fn rows(glass: &Glass) -> String {
    let what = format!(
        "Each token becomes {} numbers that also know the words around it. Here each cell is the mean of some of them: \
         orange above the mean of the row, blue below.",
        glass.row_width
    );
    let Some(sheet) = &glass.rows else { return String::new() };
    let tokens = glass.encoders.first().map(|encoder| encoder.tokens.as_slice()).unwrap_or_default();
    let label = |row: usize| tokens.iter().find(|token| token.row == row).map(shown).unwrap_or_default();
    let labels: String = (0..sheet.size[1]).map(|row| format!("<li>{}</li>", label(row))).collect();
    let height = sheet.size[1] as f64 * 1.1;
    let picture = image(&sheet.png, "A row of coloured cells for each token", Look::Dots);
    let picture = picture.replacen("<img", &format!("<img style=\"height:{height:.1}rem\""), 1);
    let body = format!("<div class=\"heat\"><ol>{labels}</ol>{picture}</div>\n");
    section(Some(2), "Tokens become rows of numbers", &what, &body)
}

fn noise(glass: &Glass) -> String {
    let what = "The picture begins as noise, which the seed alone decides: the same seed is the same noise on every machine.";
    let body = match &glass.noise {
        Some(sheet) => format!("<div class=\"narrow\"><figure>{}</figure></div>\n", dots(Some(sheet), "Noise")),
        None => "<p>How this model's latents become colours roughly is not known, so there is no picture of them.</p>\n".into(),
    };
    section(Some(3), "A seed becomes noise", what, &body)
}

fn steps(glass: &Glass, story: &Story) -> String {
    let what = "At every step the model says what it sees in the noise, and the sampler goes a little towards that. Above: what \
                is there before the step. Below: what the model sees in it.";
    let figure = |step: &&Step| {
        format!(
            "<figure>{}{}<figcaption>step {}, noise {}<br>{}</figcaption></figure>\n",
            dots(step.noisy.as_ref(), "What is there"),
            dots(step.seen.as_ref(), "What the model sees"),
            step.index + 1,
            noise_level(step.sigma),
            units::duration(step.seconds),
        )
    };
    let shown = glass.steps.iter().filter(|step| step.seen.is_some() || glass.noise.is_none());
    let strip: String = shown.map(|step| figure(&step)).collect();
    let body = format!("<div class=\"strip\">\n{strip}</div>\n{}", looks(glass, story));
    section(Some(4), "Noise becomes a picture, step by step", what, &body)
}

fn noise_level(sigma: f32) -> String {
    if sigma >= 1.0 { format!("{sigma:.1}") } else { format!("{sigma:.2}") }
}

/// Which words looked where: over what the model saw at some steps, and over the picture.
fn looks(glass: &Glass, story: &Story) -> String {
    let heading = "<h3>Which words looked where</h3>\n";
    if let Some(why) = &glass.no_maps {
        return format!("{heading}<p>There are no maps: {}.</p>\n", escaped(why));
    }
    let steps: Vec<&Step> = glass.steps.iter().filter(|step| step.maps.len() == glass.words.len()).collect();
    let (Some(last), false) = (steps.last(), glass.words.is_empty()) else { return String::new() };
    let heads = steps.iter().map(|step| format!("<th>step {}</th>", step.index + 1)).collect::<String>();
    let cell = |under: &str, (step, word): (&Step, usize)| {
        let map = &step.maps[word];
        let over = image(&map.sheet.png, "", Look::Smooth);
        format!(
            "<td><div class=\"look\">{under}{over}</div><small>at most {}</small></td>",
            units::percent(map.most.into())
        )
    };
    let picture =
        story.picture.as_ref().map(|picture| image(&picture.png, "", Look::Smooth)).unwrap_or_default();
    let row = |(word, name): (usize, &String)| {
        let cells =
            steps.iter().map(|step| cell(&dots(step.seen.as_ref(), ""), (step, word))).collect::<String>();
        format!("<tr><th>{}</th>{}{cells}</tr>\n", escaped(name), cell(&picture, (last, word)))
    };
    let rows = glass.words.iter().enumerate().map(row).collect::<String>();
    format!(
        "{heading}<p>Every place of the picture takes something from every word. Bright is where it takes most from this \
         one, averaged over all layers and heads; the number is the largest share. What is left goes to the marks and to \
         other words.</p>\n<div class=\"scroll\"><table><thead><tr><th></th><th>picture</th>{heads}</tr></thead>\
         <tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn latents(glass: &Glass, story: &Story) -> String {
    let what = "What the steps made is no picture yet: a few numbers for each place, the channels of the latents. The \
                auto-encoder makes all pixels of them.";
    let figure = |(at, sheet): (usize, &Sheet)| {
        let picture = dots(Some(sheet), "A channel in grey");
        format!("<figure>{picture}<figcaption>channel {}</figcaption></figure>\n", at + 1)
    };
    let channels = glass.channels.iter().enumerate().map(figure).collect::<String>();
    let picture = story.picture.as_ref().map(|picture| {
        let shown = image(&picture.png, &story.prompt, Look::Smooth);
        format!("<h3>The picture</h3>\n<figure>{shown}</figure>\n")
    });
    let body = format!("<div class=\"strip\">\n{channels}</div>\n{}", picture.unwrap_or_default());
    section(Some(5), "Latents become pixels", what, &body)
}

fn time(story: &Story) -> String {
    let Some(drawn) = &story.drawn else { return String::new() };
    let seconds = drawn.seconds;
    let parts =
        [("reading the prompt", seconds.prompts), ("steps", seconds.steps), ("pixels", seconds.pixels)];
    let all: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    let bar = |(name, seconds): (&str, f64)| {
        let share = if all > 0.0 { seconds / all } else { 0.0 };
        format!(
            "{name}<span style=\"width:{:.1}%\"></span><em>{} · {}</em>\n",
            share * 100.0,
            units::duration(seconds),
            units::percent(share)
        )
    };
    let body = format!("<div class=\"bars\">\n{}</div>\n", parts.map(bar).concat());
    section(None, "What took the time", "With loading what each part needs.", &body)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use app::event::draw::Seconds;
    use app::event::glass::Map;
    use expect_test::expect_file;

    fn sheet(byte: u8) -> Sheet {
        Sheet { size: [2, 2], png: vec![byte] }
    }

    fn token(row: usize, id: u32, text: &str, place: Place) -> Token {
        Token { row, id, text: text.into(), weight: if id == 7 { 1.2 } else { 1.0 }, place }
    }

    /// A drawing of one step whose prompt and model try to be markup.
    pub fn story() -> Story {
        let tokens = vec![
            token(0, 1, "<|startoftext|>", Place::Mark),
            token(1, 7, "<script>", Place::Inside),
            token(2, 8, "\u{1b}[2J", Place::End),
        ];
        let maps = vec![Map { sheet: sheet(5), most: 0.125 }];
        let step =
            Step { index: 0, sigma: 14.6, seconds: 0.5, noisy: Some(sheet(3)), seen: Some(sheet(4)), maps };
        Story {
            prompt: "a <script>alert('1')</script> & \"cat\"".into(),
            negative: Some("<b>".into()),
            begun: Some(Begun {
                model: "<m>".into(),
                n_pictures: 1,
                seed: 7,
                variation: None,
                size: [16, 16],
                steps: 1,
                guidance: 7.5,
                sampler: "Euler".into(),
                schedule: "Karras".into(),
                strength: None,
                n_prompt_tokens: 154,
            }),
            picture: Some(Picture {
                index: 0,
                seed: 7,
                size: [16, 16],
                png: vec![9],
                parameters: String::new(),
            }),
            glass: Some(Glass {
                encoders: vec![Encoder { name: "text_encoder".into(), tokens }],
                rows: Some(Sheet { size: [4, 3], png: vec![2] }),
                row_width: 16,
                words: vec!["<i>".into()],
                no_maps: None,
                noise: Some(sheet(1)),
                steps: vec![step],
                channels: vec![sheet(6), sheet(7)],
            }),
            drawn: Some(Drawn {
                model: "m".into(),
                n_pictures: 1,
                seconds: Seconds { prompts: 1.0, steps: 2.0, pixels: 1.0 },
            }),
        }
    }

    #[test]
    fn the_page_of_a_drawing() {
        let page = draw(&story()).replace(STYLE, "…\n");
        expect_file!["../../../snapshots/drawing.html"].assert_eq(&page);
    }

    /// Nothing that was said by others becomes markup, and nothing is asked of anybody.
    #[test]
    fn a_page_says_everything_and_asks_nobody() {
        let page = draw(&story());
        for markup in
            ["<script", "<i>", "<m>", "<b>&", "\u{1b}", "http:", "https:", "//", "url(", "@import", "<link"]
        {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("default-src 'none'"));
        let sources = page.matches("src=\"").count();
        assert!(sources > 8 && page.matches("src=\"data:image/png;base64,").count() == sources, "{sources}");
    }

    #[test]
    fn what_was_not_told_is_left_out() {
        let page = draw(&Story { prompt: "a cat".into(), ..Story::default() });
        assert!(page.contains("<h1>a cat</h1>") && !page.contains("<section>"));
        let mut story = story();
        let glass = story.glass.as_mut().unwrap();
        (glass.no_maps, glass.words) = (Some("they are <large>".into()), Vec::new());
        (glass.noise, glass.rows) = (None, None);
        glass.steps[0].maps.clear();
        let page = draw(&story);
        assert!(page.contains("There are no maps: they are &lt;large&gt;.") && !page.contains("<table>"));
    }
}
