//! What requests for pictures may hold.

use crate::dialects::drawing::{GUIDANCE, SHARE, STEPS};
use crate::fields::{Field, Kind, LONG, SHORT};

/// Pictures of one request; their pixels are counted too.
const COUNT: Kind = Kind::Integer { least: 1, most: 64 };
const SIDE: Kind = Kind::Integer { least: 1, most: 4096 };
/// -1 draws one.
const SEED: Kind = Kind::Integer { least: -1, most: (1 << 53) - 1 };
const ANY_COUNT: Kind = Kind::Integer { least: i32::MIN as i64, most: i32::MAX as i64 };
const ANY_NUMBER: Kind = Kind::Number { least: -1e9, most: 1e9 };
const BLUR: Kind = Kind::Integer { least: 0, most: 64 };
const LISTED: Kind = Kind::List { of: &SHORT, least: 0, most: 1000 };

const NOT_HERE: &[Field] = &[
    Field::may("styles", LISTED, "Not here; an empty list is passed over."),
    Field::may("restore_faces", Kind::Flag, "Not here; false is passed over."),
    Field::may("tiling", Kind::Flag, "Not here; false is passed over."),
    Field::may("enable_hr", Kind::Flag, "Not here; false is passed over."),
    Field::may(
        "save_images",
        Kind::Flag,
        "Not here: pictures are kept by who asks for them. False is passed over.",
    ),
    Field::may("script_name", SHORT, "Not here; an empty name is passed over."),
    Field::may(
        "alwayson_scripts",
        Kind::Map { of: &Kind::Any, most: 64 },
        "Not here; an empty object is passed over.",
    ),
    Field::may("s_churn", ANY_NUMBER, "Not here; 0 is passed over."),
    Field::may("s_noise", ANY_NUMBER, "Not here; 1 is passed over."),
];

pub const WORDS: &[Field] = &joined::<{ SAID.len() + NOT_HERE.len() }>(SAID, NOT_HERE);

const SAID: &[Field] = &[
    Field::may("prompt", LONG, "What there is to see."),
    Field::may("negative_prompt", LONG, "What there is not to see."),
    Field::may("seed", SEED, "Where the first picture's noise begins; -1 draws one."),
    Field::may("subseed", SEED, "A second seed, for pictures like the first one's; -1 draws one."),
    Field::may("subseed_strength", SHARE, "How far to go from the first seed's noise to the second one's."),
    Field::may(
        "seed_resize_from_w",
        ANY_COUNT,
        "Not here; 0 and below, which change nothing, are passed over.",
    ),
    Field::may("seed_resize_from_h", ANY_COUNT, "So too."),
    Field::may("sampler_name", SHORT, "The sampler; Euler where none is named."),
    Field::may("sampler_index", SHORT, "The same, where `sampler_name` is not there."),
    Field::may("scheduler", SHORT, "The schedule of noise levels; `Automatic` for the sampler's own."),
    Field::may("batch_size", COUNT, "Pictures, times `n_iter`; their seeds follow one another."),
    Field::may("n_iter", COUNT, "As often as many pictures."),
    Field::may("steps", STEPS, "Steps from noise to picture; 50 where nothing is said."),
    Field::may("cfg_scale", GUIDANCE, "How strongly the prompt pulls; 7 where nothing is said."),
    Field::may("width", SIDE, "In pixels; 512 where nothing is said."),
    Field::may("height", SIDE, "In pixels; 512 where nothing is said."),
    Field::may(
        "eta",
        ANY_NUMBER,
        "Not here; what a sampler has by itself, 0 of DDIM and else 1, is passed over.",
    ),
    Field::may("override_settings", Kind::Object(super::options::FIELDS), "Settings for this request alone."),
    Field::may(
        "override_settings_restore_afterwards",
        Kind::Flag,
        "Whether the settings hold for this request alone; false is refused: set them as options.",
    ),
    Field::may("send_images", Kind::Flag, "Whether pictures are answered, or only how they were made."),
];

/// Those of words, and what is said of the picture.
pub const PICTURE: &[Field] = &joined::<{ OF_PICTURE.len() + WORDS.len() }>(OF_PICTURE, WORDS);

const OF_PICTURE: &[Field] = &[
    Field::must(
        "init_images",
        Kind::List { of: &LONG, least: 1, most: 1 },
        "The picture to begin with, a PNG or JPEG file in Base64 or as a `data:` address.",
    ),
    Field::may("mask", LONG, "A picture of its size: where it is white, the picture is made anew."),
    Field::may("inpainting_mask_invert", Kind::Integer { least: 0, most: 1 }, "With 1, where it is black."),
    Field::may(
        "mask_blur",
        BLUR,
        "With a mask: pixels by which its edge is softened; 4 where nothing is said.",
    ),
    Field::may("mask_blur_x", BLUR, "The same across."),
    Field::may("mask_blur_y", BLUR, "The same down."),
    Field::may(
        "inpainting_fill",
        Kind::Integer { least: 0, most: 3 },
        "With a mask, what is begun with there: 0 colours from around, 1 the picture, 2 noise, 3 nothing.",
    ),
    Field::may(
        "inpaint_full_res",
        Kind::Either(&[Kind::Flag, ANY_COUNT]),
        "With a mask, whether only what it shows is drawn, as large as a whole picture; true where nothing is said.",
    ),
    Field::may(
        "inpaint_full_res_padding",
        Kind::Integer { least: 0, most: 4096 },
        "Pixels around that; 0 where nothing is said.",
    ),
    Field::may(
        "resize_mode",
        Kind::Integer { least: 0, most: 3 },
        "How a picture of another size is brought to this one; 0, just so, is what is here.",
    ),
    Field::may("initial_noise_multiplier", ANY_NUMBER, "Not here; 1 is passed over."),
    Field::may("include_init_images", Kind::Flag, "Whether `parameters` tells the picture again."),
    Field::may(
        "denoising_strength",
        SHARE,
        "How much of a picture is made anew; 0.75 where nothing is said.",
    ),
];

/// The fields of both tables.
const fn joined<const N: usize>(first: &[Field], second: &[Field]) -> [Field; N] {
    let mut all = [first[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    all
}
