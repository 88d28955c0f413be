//! Names that are accepted, and many that must not be.

use super::*;

const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn missing_parts_are_filled_in_and_left_out_again() {
    let check = |text: &str, parts: [&str; 4], shown: &str| {
        let name = ModelName::parse(text).unwrap();
        assert_eq!([name.host(), name.namespace(), name.name(), name.tag()], parts, "{text}");
        assert_eq!(name.to_string(), shown);
        assert_eq!(ModelName::parse(shown).unwrap(), name);
    };
    let (host, library, latest) = (DEFAULT_HOST, DEFAULT_NAMESPACE, DEFAULT_TAG);
    check("starter", [host, library, "starter", latest], "starter");
    check("qwen3:4b", [host, library, "qwen3", "4b"], "qwen3:4b");
    check("anna/poems", [host, "anna", "poems", latest], "anna/poems");
    check("hearth.local/library/starter:latest", [host, library, "starter", latest], "starter");
    check("hearth.local/a.b/poems", [host, "a.b", "poems", latest], "hearth.local/a.b/poems");
    check("hf.co/user/repo", ["hf.co", "user", "repo", latest], "hf.co/user/repo");
    check(
        "hf.co/Qwen/Qwen3-4B:Q4_K_M",
        ["hf.co", "Qwen", "Qwen3-4B", "Q4_K_M"],
        "hf.co/Qwen/Qwen3-4B:Q4_K_M",
    );
    check("hf.co/library/x", ["hf.co", "library", "x", latest], "hf.co/library/x");
    check("a", [host, library, "a", latest], "a");
    check("compute:com10", [host, library, "compute", "com10"], "compute:com10");
}

#[test]
fn a_digest_asks_for_a_version() {
    let name = ModelName::parse(&format!("qwen3:4b@{HASH}")).unwrap();
    assert_eq!(name.digest().unwrap().to_string(), HASH);
    assert_eq!(name.to_string(), format!("qwen3:4b@{HASH}"));
    assert_eq!(name.without_digest(), ModelName::parse("qwen3:4b").unwrap());
}

#[test]
fn case_is_kept_for_showing_and_ignored_for_finding() {
    let (typed, other) =
        (ModelName::parse("Qwen3:Q4_K_M").unwrap(), ModelName::parse("qwen3:q4_k_m").unwrap());
    assert_eq!(typed, other);
    assert_eq!(typed.folded(), other.folded());
    assert_eq!(typed.to_string(), "Qwen3:Q4_K_M");
}

#[test]
fn hostile_names_are_refused() {
    let long = "a".repeat(97);
    let hostile = [
        "",
        " ",
        ".",
        "..",
        "...",
        "/",
        "//",
        "///",
        ":",
        "::",
        "@",
        "a@",
        "a:",
        ":a",
        "a/",
        "/a",
        "a//b",
        "a/b/",
        "/etc/passwd",
        "../a",
        "a/..",
        "../../../../etc/passwd",
        "a/../b",
        "a/../../b",
        "..:a",
        "a:..",
        "a:../../x",
        "a:../x",
        "hf.co/../repo",
        "hf.co/user/..",
        "../user/repo",
        "hf.co/user/repo:..",
        "hf.co/user/repo/more",
        "hf.co/repo",
        "a..b",
        "a:b..c",
        ".hidden",
        "a/.hidden",
        ".hidden/a",
        "a:.hidden",
        "a.",
        "a:b.",
        "-rf",
        "--help",
        "_a",
        "~",
        "~/a",
        "~root",
        "$HOME",
        "%2e%2e%2fa",
        "a%00",
        "a\\b",
        "..\\..\\windows",
        "C:\\a",
        "C:/a",
        "c:a/b",
        "\\\\server\\share",
        "a b",
        "a\tb",
        "a\nb",
        "a\rb",
        "a\0",
        "\0",
        "a\0/../b",
        "a\u{1b}[31m",
        "a\u{7f}",
        "ａ",
        "é",
        "аdmin",
        "a\u{202e}b",
        "a\u{200b}",
        "a\u{2215}b",
        "a\u{ff0f}b",
        "a\u{2024}\u{2024}",
        "con",
        "CON",
        "Con.txt",
        "nul",
        "NUL.gguf",
        "a:nul",
        "aux",
        "aux/a",
        "prn",
        "com1",
        "COM9.json",
        "lpt0",
        "lpt1",
        "hf.co/con/repo",
        "a*",
        "a?",
        "a|b",
        "a<b",
        "a>b",
        "a\"b",
        "a'b",
        "a;b",
        "a&b",
        "a`b",
        "a$(b)",
        "a,b",
        "a=b",
        "a+b",
        "a#b",
        "a!b",
        "a{b}",
        "a[b]",
        "a:b:c",
        "localhost:5000/a/b",
        "http://host/a/b",
        "https://hf.co/user/repo",
        "a@sha256",
        "a@sha256:",
        "a@latest",
        "a@sha256:../../x",
        &format!("a@{HASH}@{HASH}"),
        &format!("a@{HASH}/.."),
        &format!("a@{}", HASH.to_uppercase()),
        &format!("@{HASH}"),
        &format!("a@sha512:{}", &HASH[7..]),
        &long,
        &format!("{long}/a"),
        &format!("a:{long}"),
        &format!("hf.co/{long}/a"),
        &format!("hf.co/a/{long}"),
        &"a/".repeat(100_000),
        &"../".repeat(1000),
    ];
    assert!(hostile.len() >= 100, "{}", hostile.len());
    for text in hostile {
        let error = ModelName::parse(text).expect_err(text);
        assert!(matches!(error, Error::BadName { .. } | Error::BadDigest { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.len() < 1000 && !message.chars().any(char::is_control), "{message}");
        assert!(!error.hint().is_empty());
        let json = serde_json::to_string(text).unwrap();
        assert!(serde_json::from_str::<ModelName>(&json).is_err(), "{text:?}");
    }
}

#[test]
fn the_broken_rule_is_named() {
    let check = |text: &str, rule: &str| {
        let message = ModelName::parse(text).unwrap_err().to_string();
        assert!(message.contains(rule), "{message}");
    };
    check("a/../b", "letter or digit");
    check("a..b", "two dots");
    check("a.", "end in a dot");
    check("nul", "device name");
    check("a b", "holds only");
    check("a/b/c/d", "three parts");
    check("hf.co/repo", "host/namespace/name");
    check(&"x".repeat(97), "96 bytes");
    check("", "empty");
}
