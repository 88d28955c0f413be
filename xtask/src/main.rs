//! The project's own chores, run as `cargo xtask NAME`: the gate, the tidy rules, the fuzzer, the build times,
//! and the models in the box.
//!
//! Is not a build system: everything that ships is built by plain `cargo build`.

mod agree;
mod at_once;
mod bench;
mod ci;
mod clients;
mod fit_check;
mod fuzz;
mod golden;
mod gpu;
mod heavy;
mod isa;
mod served;
mod soak;
mod starter_check;
mod starter_draw_check;
mod starter_overlap;
mod starter_pictures;
mod starter_pictures_check;
mod starter_text;
mod synth;
mod tidy;
mod times;
mod vectors;
mod workspace;

use anyhow::{Result, bail};

/// One chore: its name, what it does in a line, and the function that does it.
struct Chore {
    name: &'static str,
    does: &'static str,
    run: fn(&[String]) -> Result<()>,
}

static CHORES: &[Chore] = &[
    Chore {
        name: "ci",
        does: "the whole gate: format, clippy, tests (tidy is one of them), docs",
        run: ci::run,
    },
    Chore { name: "tidy", does: "the rules of the tree alone, or those that are named", run: tidy::run },
    Chore {
        name: "fuzz",
        does: "damaged bytes for every parser: [TARGET] [--seconds N] [--seed N] [--until SECONDS]",
        run: fuzz::run,
    },
    Chore {
        name: "heavy",
        does: "the tests that take minutes and are left out of the gate",
        run: heavy::run,
    },
    Chore {
        name: "golden",
        does: "what Hearth makes beside what Python makes of the same: templates [--folder FOLDER]",
        run: golden::run,
    },
    Chore { name: "gpu", does: "the checks of ops and models on a software Vulkan: [TEST]", run: gpu::run },
    Chore {
        name: "bench",
        does: "Hearth beside another program: --peer NAME [--case CASE] [--pairs N] …",
        run: bench::run,
    },
    Chore {
        name: "clients",
        does: "other people's clients against a server, as a table: [--only NAME,NAME] [--program FILE] …",
        run: clients::run,
    },
    Chore {
        name: "soak",
        does: "a server under what clients can do to it, in full counts: [--short] [--only NAME,NAME] …",
        run: soak::run,
    },
    Chore {
        name: "agree",
        does: "whether llama.cpp says the same: --all, or --model FILE … --texts FILE; [--prompts N] …",
        run: agree::run,
    },
    Chore {
        name: "isa",
        does: "whether each instruction set holds the same token likeliest: [--model NAME_OR_FILE] [--tokens N] …",
        run: isa::run,
    },
    Chore {
        name: "vectors",
        does: "whether sentence-transformers makes the same vectors: --model FOLDER [--texts FILE] …",
        run: vectors::run,
    },
    Chore {
        name: "synth",
        does: "a model of a real shape with random weights: --shape NAME --quant NAME --out PATH …",
        run: synth::run,
    },
    Chore {
        name: "fit-check",
        does: "what `hearth fit` expects beside what `hearth bench` measures: [--shape NAME] …",
        run: fit_check::run,
    },
    Chore {
        name: "times",
        does: "measure a clean release build and the gate from an empty folder",
        run: times::run,
    },
    Chore {
        name: "starter-text",
        does: "write the text that the model in the box learns from: --out FOLDER [--documents N] [--seed N] …",
        run: starter_text::run,
    },
    Chore {
        name: "starter-held-out",
        does: "write the questions that test it: --out FILE [--seed N]",
        run: starter_check::write_held_out,
    },
    Chore {
        name: "starter-overlap",
        does: "how much of the questions stands in the text: --text FOLDER --items FILE",
        run: starter_overlap::run,
    },
    Chore {
        name: "starter-check",
        does: "ask a model the questions: --model NAME_OR_FILE --items FILE [--kind KIND] …",
        run: starter_check::run,
    },
    Chore {
        name: "starter-pictures",
        does: "draw what the image model in the box learns from: --out FOLDER [--pictures N] [--seed N] [--held-out]",
        run: starter_pictures::run,
    },
    Chore {
        name: "starter-pictures-check",
        does: "whether pictures show what their captions say: --items FILE --pictures FOLDER …",
        run: starter_pictures_check::run,
    },
    Chore {
        name: "starter-draw-check",
        does: "let an image model draw held-out lines, and check them: --model NAME_OR_FOLDER --items FILE --out FOLDER …",
        run: starter_draw_check::run,
    },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = dispatch(&arguments) {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        bail!("which chore?\n{}", list());
    };
    match CHORES.iter().find(|chore| chore.name == name) {
        Some(chore) => (chore.run)(rest),
        None => bail!("no chore is called {name}\n{}", list()),
    }
}

fn list() -> String {
    CHORES.iter().map(|chore| format!("  cargo xtask {:<22} {}\n", chore.name, chore.does)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_chore_is_refused_with_the_list() {
        let error = dispatch(&["bake".to_owned()]).expect_err("there is no such chore").to_string();
        assert!(error.contains("bake") && error.contains("cargo xtask ci"), "{error}");
        assert!(dispatch(&[]).is_err());
    }
}
