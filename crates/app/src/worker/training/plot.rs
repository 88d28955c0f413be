//! The loss over the steps as a picture: the training loss smoothed, the held-out loss as dots.

use std::fmt::Write;

use train::Report;

use crate::event::training::HeldOut;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Left, right, top, bottom.
const MARGIN: [f64; 4] = [56.0, 16.0, 40.0, 44.0];
/// Points of the line, at most: more are not seen.
const MOST_POINTS: usize = 500;
const N_TICKS: usize = 5;

/// Where numbers lie in the picture.
struct Axes {
    last_step: f64,
    lowest: f64,
    highest: f64,
}

impl Axes {
    fn x(&self, step: u64) -> f64 {
        MARGIN[0] + (WIDTH - MARGIN[0] - MARGIN[1]) * step as f64 / self.last_step
    }

    fn y(&self, loss: f64) -> f64 {
        let share = (loss - self.lowest) / (self.highest - self.lowest);
        HEIGHT - MARGIN[3] - (HEIGHT - MARGIN[2] - MARGIN[3]) * share.clamp(0.0, 1.0)
    }
}

/// An SVG of the curve of a run; `of` says what kind of loss it is.
pub(super) fn loss((run, of): (&str, &str), curve: &[Report], held_out: &[HeldOut]) -> String {
    let line = smoothed(curve);
    let losses = line.iter().map(|(_, loss)| *loss).chain(held_out.iter().map(|measured| measured.loss));
    let (lowest, highest) =
        losses.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| (low.min(loss), high.max(loss)));
    let (lowest, highest) = if lowest < highest { (lowest, highest) } else { (0.0, 1.0) };
    let room = 0.05 * (highest - lowest);
    let last_step = curve.last().map_or(1, |report| report.step).max(1) as f64;
    let axes = Axes { last_step, lowest: lowest - room, highest: highest + room };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>{title}: {of}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{}\" y=\"22\" font-size=\"15\">{title}: {of}</text>\n",
        MARGIN[0],
        title = escaped(run)
    );
    grid(&mut svg, &axes);
    let points: Vec<String> =
        line.iter().map(|&(step, loss)| format!("{:.1},{:.1}", axes.x(step), axes.y(loss))).collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"#c2410c\" stroke-width=\"1.8\" points=\"{}\"/>",
        points.join(" ")
    );
    for measured in held_out {
        let (x, y) = (axes.x(measured.step), axes.y(measured.loss));
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"#1d4ed8\"/>");
    }
    let measured = if held_out.is_empty() { "" } else { " <tspan fill=\"#1d4ed8\">● held out</tspan>" };
    let right = WIDTH - MARGIN[1];
    let _ = writeln!(
        svg,
        "<text x=\"{right}\" y=\"22\" text-anchor=\"end\"><tspan fill=\"#c2410c\">— training</tspan>{measured}</text>\n</svg>"
    );
    svg
}

fn grid(svg: &mut String, axes: &Axes) {
    for tick in 0..=N_TICKS {
        let share = tick as f64 / N_TICKS as f64;
        let loss = axes.lowest + (axes.highest - axes.lowest) * share;
        let step = (axes.last_step * share).round() as u64;
        let (y, x, bottom) = (axes.y(loss), axes.x(step), HEIGHT - MARGIN[3]);
        let right = WIDTH - MARGIN[1];
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#e5e7eb\"/>\
             <text x=\"{label}\" y=\"{text:.1}\" text-anchor=\"end\" fill=\"#555\">{loss:.2}</text>\
             <text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\" fill=\"#555\">{step}</text>",
            left = MARGIN[0],
            label = MARGIN[0] - 8.0,
            text = y + 4.0,
            below = bottom + 18.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">steps</text>",
        (WIDTH + MARGIN[0]) / 2.0,
        HEIGHT - 8.0
    );
}

/// The mean of neighbouring steps, few enough points to draw.
fn smoothed(curve: &[Report]) -> Vec<(u64, f64)> {
    let size = curve.len().div_ceil(MOST_POINTS).max(1);
    let mean = |reports: &[Report]| {
        let sum: f64 = reports.iter().map(|report| report.loss).sum();
        (reports[reports.len() / 2].step, sum / reports.len() as f64)
    };
    curve.chunks(size).map(mean).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(step: u64, loss: f64) -> Report {
        Report { step, loss, gradient_norm: 1.0, learning_rate: 0.1 }
    }

    #[test]
    fn every_point_lies_inside_and_the_curve_falls() {
        let curve: Vec<Report> = (1..=2000).map(|step| report(step, 5.0 - step as f64 / 500.0)).collect();
        let held_out = [HeldOut { step: 1000, loss: 3.1, perplexity: 22.0, is_best: true }];
        let svg = loss(("a <run>", "loss"), &curve, &held_out);
        assert!(svg.contains("a &lt;run&gt;") && svg.matches("<circle").count() == 1);
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let points: Vec<(f64, f64)> = points
            .split(' ')
            .map(|point| {
                let (x, y) = point.split_once(',').unwrap();
                (x.parse().unwrap(), y.parse().unwrap())
            })
            .collect();
        assert_eq!(points.len(), MOST_POINTS);
        assert!(points.iter().all(|(x, y)| (0.0..WIDTH).contains(x) && (0.0..HEIGHT).contains(y)));
        assert!(points.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1));
    }

    #[test]
    fn nothing_and_one_step_can_be_drawn() {
        assert!(loss(("r", "loss"), &[], &[]).ends_with("</svg>\n"));
        assert!(!loss(("r", "loss"), &[report(1, 2.0)], &[]).contains("NaN"));
    }
}
