//! What a crate's code may not mention: the outside world below `app`, users and tokenizers in `models`.

use super::source::{Source, Word};
use super::{Finding, Tree, layers};

/// A piece of Rust that may not stand in some crates, and why.
struct Forbidden {
    code: &'static [&'static str],
    applies: fn(&Source) -> bool,
    why: &'static str,
}

static FORBIDDEN: &[Forbidden] = &[
    Forbidden { code: &["async", "tokio"], applies: below_app, why: "nothing below `app` is asynchronous" },
    Forbidden {
        code: &[
            "env::var",
            "env::vars",
            "env::var_os",
            "env::vars_os",
            "env::home_dir",
            "env::temp_dir",
            "env::args",
        ],
        applies: below_app,
        why: "nothing below `app` reads its environment: values are passed in",
    },
    Forbidden {
        code: &["\"HOME\""],
        applies: below_app,
        why: "`app` is told where home is, and passes it in",
    },
    Forbidden {
        code: &["SystemTime::now", "Instant::now"],
        applies: below_app,
        why: "below `app` time comes from `base::Clock`, so that tests can turn it",
    },
    Forbidden {
        code: &["println!", "eprintln!", "print!", "eprint!", "io::stdout", "io::stderr", "io::stdin"],
        applies: |source| !["cli", "xtask"].contains(&source.crate_name()),
        why: "only `cli` and `xtask` speak to the terminal",
    },
    Forbidden { code: &["dbg!"], applies: |_| true, why: "a left-over of a search" },
    Forbidden {
        code: &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "std::net",
            "ToSocketAddrs",
            "reqwest",
            "hyper",
            "ureq",
        ],
        applies: |source| {
            let places = ["crates/store/src/pull", "xtask/src/served", "xtask/src/soak"];
            source.crate_name() != "server" && !places.iter().any(|place| source.path.starts_with(place))
        },
        why: "the network is known to `store::pull` and `server`, and to the chores that ask a server",
    },
    Forbidden {
        code: &["libc::socket", "libc::connect", "libc::bind"],
        applies: below_app,
        why: "the network is known to `store::pull` and `server` only",
    },
    Forbidden {
        code: &[".unwrap()"],
        applies: |_| true,
        why: "say why it holds: `expect(\"…\")`, or return the error",
    },
    Forbidden {
        code: &["family.name ==", "name == \"llama\"", "family ==", "family.name !="],
        applies: |source| source.crate_name() == "models",
        why: "a family is data: no forward pass asks for its name",
    },
];

/// Beginnings of words that `models` does not know; a whole word where marked so.
static UNKNOWN_TO_MODELS: &[(&str, Match)] = &[
    ("tokeniz", Match::Beginning),
    ("quantiz", Match::Beginning),
    ("quantis", Match::Beginning),
    ("dequant", Match::Beginning),
    ("quant", Match::Whole),
    ("quants", Match::Whole),
    ("lora", Match::Whole),
    ("qlora", Match::Whole),
    ("user", Match::Whole),
    ("users", Match::Whole),
    ("batching", Match::Whole),
];

enum Match {
    Beginning,
    Whole,
}

fn below_app(source: &Source) -> bool {
    layers::is_below_app(source.crate_name())
}

/// Every forbidden piece outside tests.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.sources.iter().flat_map(|source| [in_code(source), in_models(source)].concat()).collect()
}

fn in_code(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for forbidden in FORBIDDEN.iter().filter(|forbidden| (forbidden.applies)(source)) {
        for code in forbidden.code {
            let shipped = source.lines_with(code).into_iter().filter(|line| !source.is_test(*line));
            let text = format!("`{code}`: {}", forbidden.why);
            findings.extend(shipped.map(|line| Finding::new(&source.path, line, text.clone())));
        }
    }
    findings
}

fn in_models(source: &Source) -> Vec<Finding> {
    if source.crate_name() != "models" {
        return Vec::new();
    }
    let shipped = source.words.iter().filter(|word| !source.is_test(word.line));
    let known = shipped.filter(|word| is_unknown_to_models(word));
    let text = |word: &Word| {
        format!("`{}`: models know no tokenizer, user, batching, quantisation or LoRA", word.text)
    };
    known.map(|word| Finding::new(&source.path, word.line, text(word))).collect()
}

fn is_unknown_to_models(word: &Word) -> bool {
    let is_identifier = word.text.starts_with(|first: char| first.is_alphabetic() || first == '_');
    is_identifier
        && parts(&word.text).iter().any(|part| {
            UNKNOWN_TO_MODELS.iter().any(|(name, kind)| match kind {
                Match::Beginning => part.starts_with(name),
                Match::Whole => part == name,
            })
        })
}

/// `LoraLinear` and `lora_linear` are `lora` and `linear`; `LoRA` is one word.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for piece in identifier.replace("LoRA", "Lora").split('_') {
        let mut part = String::new();
        for letter in piece.chars() {
            let begins_word = letter.is_uppercase() && part.ends_with(char::is_lowercase);
            if begins_word {
                parts.push(std::mem::take(&mut part));
            }
            part.extend(letter.to_lowercase());
            if begins_word || part.len() == 1 {
                continue;
            }
        }
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tests::lines;

    fn caught(path: &str, body: &str) -> bool {
        !lines(check, path, &format!("fn f() {{ {body} }}")).is_empty()
    }

    #[test]
    fn each_forbidden_piece_is_caught_where_it_applies() {
        let path = |forbidden: &Forbidden| {
            let paths = ["crates/infer/src/a.rs", "crates/models/src/a.rs"];
            let applies = |path: &&&str| (forbidden.applies)(&Source::parse(path, String::new()).unwrap());
            *paths.iter().find(applies).unwrap()
        };
        for forbidden in FORBIDDEN {
            for code in forbidden.code {
                let body = match *code {
                    ".unwrap()" => "a.unwrap();".to_owned(),
                    "async" => "async {};".to_owned(),
                    other if other.ends_with('!') && !other.contains(' ') => format!("{other}();"),
                    other if other.ends_with('=') => format!("if {other} b {{}}"),
                    other => format!("{other};"),
                };
                assert!(caught(path(forbidden), &body), "{code}");
            }
        }
    }

    #[test]
    fn the_rim_and_the_tests_are_left_alone() {
        assert!(!caught("crates/cli/src/a.rs", "println!(); std::env::var(\"X\");"));
        assert!(!caught("crates/server/src/a.rs", "TcpListener::bind(a); async {};"));
        assert!(!caught("crates/store/src/pull/http.rs", "TcpStream::connect(a);"));
        assert!(caught("crates/store/src/names.rs", "TcpStream::connect(a);"));
        assert!(!caught("crates/infer/benches/a.rs", "println!(); Instant::now();"));
        assert!(!caught("crates/infer/src/a.rs", "unwrap_or_default(); SystemTime::later();"));
        let in_test = "#[cfg(test)]\nmod tests { fn f() { a.unwrap(); println!(); } }";
        assert!(lines(check, "crates/infer/src/a.rs", in_test).is_empty());
    }

    #[test]
    fn models_know_no_tokenizer_no_user_and_no_lora() {
        let path = "crates/models/src/a.rs";
        for word in
            ["Tokenizer", "tokenize", "LoraLinear", "with_lora", "LoRA", "is_quantized", "Quant", "user"]
        {
            assert!(caught(path, &format!("let {word} = 1;")), "{word}");
            assert!(!caught("crates/app/src/a.rs", &format!("let {word} = 1;")), "{word}");
        }
        for word in ["token", "exploration", "quantity", "quantile", "super_user_name_is_fine"] {
            assert!(word.contains("user") || !caught(path, &format!("let {word} = 1;")), "{word}");
        }
    }
}
