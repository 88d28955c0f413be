//! The starter's pictures and the program that checks them, which sees pixels only.

use std::path::Path;
use std::process::{Command, Output};

fn run(program: &str, words: &[&str]) -> Output {
    Command::new(program).args(words).output().expect("the program starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// 200 pictures of combinations that no training sees.
fn held_out(folder: &Path) {
    let words = ["starter-pictures", "--out", text(folder), "--pictures", "200", "--seed", "9", "--held-out"];
    let told = run(env!("CARGO_BIN_EXE_xtask"), &words);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

fn check(folder: &Path, words: &[&str]) {
    let items = folder.join("items.jsonl");
    let words = [&["--items", text(&items), "--pictures", text(folder)], words].concat();
    let told = run(env!("CARGO_BIN_EXE_starter-pictures-check"), &words);
    let (told_out, told_err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success(), "{words:?}\n{told_out}\n{told_err}");
    assert!(told_out.lines().last().is_some_and(|line| line.starts_with("all ")), "{told_out}");
}

#[test]
fn true_pictures_are_right_and_shuffled_captions_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    held_out(folder.path());
    check(folder.path(), &["--least", "99"]);
    check(folder.path(), &["--shuffled", "--most", "5"]);
}

#[test]
fn noisy_blurred_and_wobbling_pictures_are_right_too() {
    let folder = tempfile::tempdir().unwrap();
    held_out(folder.path());
    for wear in ["noise", "blur", "blocks", "all"] {
        check(folder.path(), &["--worn", wear, "--least", "95"]);
        check(folder.path(), &["--worn", wear, "--shuffled", "--most", "5"]);
    }
}

/// Cargo holds the two programs apart; no file of one may be pulled into the other by its path either.
#[test]
fn the_check_cannot_reach_what_draws() {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = |path: &Path| -> String {
        let source = std::fs::read_to_string(path).unwrap();
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    let mut n_files = 0;
    for entry in std::fs::read_dir(xtask.join("pictures-check")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let code = code(&path);
            let reaches = ["starter_pictures", "starter_words", "#[path", "include!"];
            let found = reaches.iter().find(|word| code.contains(**word));
            assert!(found.is_none(), "{}: {found:?}", path.display());
            n_files += 1;
        }
    }
    assert!(n_files > 6, "{n_files}");
    for entry in std::fs::read_dir(xtask.join("src/starter_pictures")).unwrap() {
        let path = entry.unwrap().path();
        let code = code(&path);
        assert!(!code.contains("pictures-check") && !code.contains("#[path"), "{}", path.display());
    }
}
