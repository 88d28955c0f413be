//! The flags of `hearth draw`.

use std::path::PathBuf;

use app::job::draw::{Fill, Lora};
use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, value_parser};

/// All of them, in the order of the help.
pub fn all() -> Vec<Arg> {
    [wanted(), beginning(), walk(), written()].concat()
}

fn flag(
    (name, value): (&'static str, &'static str),
    parser: impl Into<ValueParser>,
    help: &'static str,
) -> Arg {
    Arg::new(name).long(name).value_name(value).value_parser(parser.into()).help(help)
}

/// What there is to see, and which model is to draw it.
fn wanted() -> Vec<Arg> {
    let text = || value_parser!(String);
    let prompt = Arg::new("prompt").value_name("PROMPT").required_unless_present("from");
    vec![
        prompt.help("What there is to see"),
        flag(
            ("model", "MODEL"),
            text(),
            "An image model's name, its folder as diffusers writes it, or a file that holds a whole model",
        )
        .required_unless_present("from"),
        flag(
            ("tokenizer", "FOLDER"),
            text(),
            "Where vocab.json and merges.txt are for a model in one file; beside it or in the store when absent",
        ),
        flag(
            ("transformer", "FILE"),
            text(),
            "A GGUF or safetensors file of the transformer or U-Net, in place of the model's own",
        ),
        flag(
            ("lora", "FILE[=WEIGHT]"),
            lora,
            "A LoRA and how strongly it acts; several may be named, also in the prompt: <lora:NAME:0.8>",
        )
        .action(ArgAction::Append),
        flag(
            ("lora-folder", "FOLDER"),
            text(),
            "Where LoRAs lie that are named without a path; `loras` in Hearth's home when absent",
        ),
        flag(
            ("embedding", "FILE"),
            text(),
            "A textual inversion, which acts where the name of its file stands in a prompt; several may be named",
        )
        .action(ArgAction::Append),
        flag(
            ("from", "FILE"),
            value_parser!(PathBuf),
            "A PNG that says how it was made; whatever is not said here is as it was there",
        ),
        flag(("negative", "TEXT"), text(), "What there is not to see"),
    ]
}

/// What pictures begin as.
fn beginning() -> Vec<Arg> {
    vec![
        flag(("image", "FILE"), value_parser!(PathBuf), "A picture to begin with, PNG or JPEG"),
        flag(
            ("strength", "SHARE"),
            value_parser!(f64),
            "How much of it is made anew, 0 to 1 [default: 0.75; 1 with --mask]",
        )
        .requires("image"),
        flag(
            ("mask", "FILE"),
            value_parser!(PathBuf),
            "What of it is made anew: where this picture is white, grey from half on",
        )
        .requires("image"),
        flag(
            ("mask-blur", "PIXELS"),
            value_parser!(usize),
            "Soften the mask's edge; what it does not show stays as it is",
        )
        .requires("mask"),
        flag(
            ("only-masked", "PADDING"),
            value_parser!(usize),
            "Draw only what the mask shows, as large as a whole picture, with so many pixels around it; 32 when left out",
        )
        .requires("mask")
        .num_args(0..=1)
        .default_missing_value("32"),
        flag(
            ("mask-fill", "WITH"),
            PossibleValuesParser::new(Fill::NAMES.map(|(_, names)| names[0])),
            "What that begins as: colours from around, the picture, noise or nothing",
        )
        .requires("mask"),
        flag(
            ("control", "MODEL=MAP[:WEIGHT[:FROM:TO]]"),
            control,
            "A ControlNet, folder or file, and the map that it guides by; how much, and in which part of the steps, 0 to 1",
        )
        .action(ArgAction::Append),
    ]
}

/// The way from noise to pictures.
fn walk() -> Vec<Arg> {
    let (text, count) = (|| value_parser!(String), || value_parser!(usize));
    vec![
        flag(
            ("size", "WxH"),
            size,
            "Width and height in pixels; the picture's or the model's own when absent",
        ),
        flag(
            ("steps", "COUNT"),
            count(),
            "Steps from noise to picture; as the model is used when absent, 20 with Stable Diffusion",
        ),
        flag(("n", "COUNT"), count(), "Pictures, whose seeds follow one another").default_value("1"),
        flag(("seed", "NUMBER"), value_parser!(u64), "Where the first one's noise begins; drawn when absent"),
        flag(
            ("variation-seed", "NUMBER"),
            value_parser!(u64),
            "A second seed, for pictures like the first one's; drawn when absent",
        )
        .requires("variation-strength"),
        flag(
            ("variation-strength", "SHARE"),
            value_parser!(f64),
            "How far to go from the first seed's noise to the second one's, 0 to 1",
        ),
        flag(
            ("guidance", "NUMBER"),
            value_parser!(f32),
            "How strongly the prompt pulls; as the model is used when absent, 7 with Stable Diffusion",
        ),
        flag(
            ("sampler", "NAME"),
            text(),
            "How to walk from noise to picture [default: DPM++ 2M; Euler with FLUX and Z-Image]",
        ),
        flag(("schedule", "NAME"), text(), "Where to stop on the way; the sampler's own when absent"),
        flag(("noise", "SOURCE"), ["cpu", "nv"], "Whose numbers a seed stands for [default: cpu]"),
        flag(
            ("clip-skip", "N"),
            count(),
            "Which layer of the text encoder is read, counted from the last [default: 1]",
        ),
        flag(("precision", "NAME"), ["bf16", "f32"], "f32, or bf16 for the large products [default: bf16]"),
    ]
}

/// The files.
fn written() -> Vec<Arg> {
    let text = || value_parser!(String);
    vec![
        flag(("out", "PATH"), value_parser!(PathBuf), "A folder, or the file of the only picture")
            .default_value("."),
        flag(
            ("upscale", "FILE"),
            text(),
            "A network of ESRGAN or Real-ESRGAN that makes the pictures larger in the end",
        ),
        flag(
            ("preview", "STEPS"),
            value_parser!(usize),
            "After every so many steps, a rough picture in a file beside its own, NAME.preview.png",
        ),
        flag(
            ("preview-decoder", "FILE"),
            text(),
            "A tiny auto-encoder (TAESD) that makes better ones, file or folder; the model's own when absent",
        ),
        Arg::new("no-metadata")
            .long("no-metadata")
            .action(ArgAction::SetTrue)
            .help("Leave out of the files how they were made"),
    ]
}

/// Width and height as people write them.
fn size(text: &str) -> Result<[usize; 2], String> {
    let sides = text
        .split_once(['x', 'X', '×'])
        .and_then(|(width, height)| Some([width.trim().parse().ok()?, height.trim().parse().ok()?]));
    sides.ok_or_else(|| "it is written as 512x768".to_owned())
}

/// A LoRA's file, and the weight behind it where what stands there is a number.
fn lora(text: &str) -> Result<Lora, String> {
    let of = |file: &str, weight| Lora { file: file.to_owned(), weight };
    let weighed = text.rsplit_once('=').and_then(|(file, weight)| Some((file, weight.trim().parse().ok()?)));
    let lora = weighed.map_or_else(|| of(text, None), |(file, weight)| of(file, Some(weight)));
    if lora.file.is_empty() { Err("it is written as FILE or FILE=0.8".to_owned()) } else { Ok(lora) }
}

/// A ControlNet and its map as people write them.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    pub model: String,
    pub map: PathBuf,
    pub weight: f64,
    /// The part of the steps in which it guides.
    pub part: [f64; 2],
}

/// Numbers stand behind the map, so that a map may have colons in its name.
fn control(text: &str) -> Result<Control, String> {
    let how = || "it is written as MODEL=MAP.png, with :WEIGHT or :WEIGHT:FROM:TO behind it".to_owned();
    let (model, rest) = text.split_once('=').filter(|(model, _)| !model.is_empty()).ok_or_else(how)?;
    let (mut map, mut numbers) = (rest, Vec::new());
    while let Some((before, number)) = map.rsplit_once(':')
        && let Ok(number) = number.parse::<f64>()
        && numbers.len() < 3
    {
        (map, numbers) = (before, [vec![number], numbers].concat());
    }
    let (weight, part) = match numbers[..] {
        [] => (1.0, [0.0, 1.0]),
        [weight] => (weight, [0.0, 1.0]),
        [weight, from, to] => (weight, [from, to]),
        _ => return Err(how()),
    };
    if map.is_empty() {
        return Err(how());
    }
    Ok(Control { model: model.to_owned(), map: map.into(), weight, part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loras_are_read() {
        let of = |file: &str, weight| Ok(Lora { file: file.into(), weight });
        assert_eq!(lora("a.safetensors"), of("a.safetensors", None));
        assert_eq!(lora("./a=b.safetensors"), of("./a=b.safetensors", None));
        assert_eq!(lora("a=b.pt=-0.5"), of("a=b.pt", Some(-0.5)));
        assert!(lora("").is_err() && lora("=1").is_err());
    }

    #[test]
    fn controls_are_read() {
        let of = |model: &str, map: &str, weight, part| {
            Ok(Control { model: model.to_owned(), map: map.into(), weight, part })
        };
        assert_eq!(control("canny=a.png"), of("canny", "a.png", 1.0, [0.0, 1.0]));
        assert_eq!(control("./c/canny=C:\\a=b.png:0.5"), of("./c/canny", "C:\\a=b.png", 0.5, [0.0, 1.0]));
        assert_eq!(control("c=a.png:1:0.2:0.8"), of("c", "a.png", 1.0, [0.2, 0.8]));
        assert_eq!(control("c=a:3:1:0.2:0.8"), of("c", "a:3", 1.0, [0.2, 0.8]));
        for wrong in ["canny", "=a.png", "c=", "c=:1", "c=a.png:0.2:0.8"] {
            assert!(control(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("512x768"), Ok([512, 768]));
        assert!(["512", "x", "512x", "-1x5", "1e3x2"].iter().all(|text| size(text).is_err()));
    }
}
