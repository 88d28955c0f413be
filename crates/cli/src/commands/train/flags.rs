//! The flags of `hearth train` for the commonest settings; all others stand in the file of `--config`.

use clap::{Arg, ArgMatches};

use crate::training_settings::{Settings, VOCABULARY_FROM, WEIGHTS_FROM};

/// A setting that has a flag.
struct Flag {
    name: &'static str,
    setting: &'static str,
    value: &'static str,
    help: &'static str,
}

static FLAGS: &[Flag] = &[
    Flag {
        name: "size",
        setting: "size",
        value: "SIZE",
        help: "nano, tiny, small or medium (default: tiny); of an image model pixels on a side",
    },
    Flag { name: "steps", setting: "steps", value: "COUNT", help: "Steps of the whole training" },
    Flag {
        name: "learning-rate",
        setting: "learning_rate",
        value: "NUMBER",
        help: "How far a step goes, at the highest",
    },
    Flag { name: "batch", setting: "batch", value: "COUNT", help: "Sequences that are read together" },
    Flag {
        name: "length",
        setting: "length",
        value: "TOKENS",
        help: "Tokens of a sequence, and of the context",
    },
    Flag {
        name: "precision",
        setting: "precision",
        value: "NAME",
        help: "f32 or bf16, for the large products",
    },
    Flag {
        name: "vocabulary",
        setting: VOCABULARY_FROM,
        value: "FROM",
        help: "learned, characters, or a model whose vocabulary to take",
    },
    Flag {
        name: "from",
        setting: WEIGHTS_FROM,
        value: "MODEL",
        help: "A model to go on from: its weights, its vocabulary and its sizes",
    },
    Flag {
        name: "vocabulary-size",
        setting: "vocabulary",
        value: "COUNT",
        help: "Tokens of a learned vocabulary",
    },
    Flag {
        name: "sample",
        setting: "sample",
        value: "TEXT",
        help: "What to let it go on with, now and then",
    },
    Flag { name: "seed", setting: "seed", value: "NUMBER", help: "The same seed gives the same model" },
];

/// One flag for each of the commonest settings.
pub fn arguments() -> impl Iterator<Item = Arg> {
    FLAGS.iter().map(|flag| {
        let check = |text: &str| {
            Settings::default().set_text(flag.setting, text)?;
            Ok::<String, String>(text.to_owned())
        };
        Arg::new(flag.name)
            .long(flag.name)
            .value_name(flag.value)
            .help(flag.help)
            .value_parser(check)
            .allow_negative_numbers(true)
            .overrides_with(flag.name)
            .help_heading("Knobs")
    })
}

/// The names of the flags.
pub fn names() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().map(|flag| flag.name)
}

/// What the flags say.
pub fn settings(matches: &ArgMatches) -> Settings {
    let mut settings = Settings::default();
    for flag in FLAGS {
        if let Some(text) = matches.get_one::<String>(flag.name) {
            settings.set_text(flag.setting, text).expect("the parser tried it");
        }
    }
    settings
}
