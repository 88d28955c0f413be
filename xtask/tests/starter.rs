//! The starter's lessons and the questions that test it, as the two programs write them.

use std::path::Path;
use std::process::{Command, Output};

fn run(program: &str, words: &[&str]) -> Output {
    Command::new(program).args(words).output().expect("the program starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

#[test]
fn no_question_stands_in_the_lessons_and_few_of_its_runs_of_words_do() {
    let folder = tempfile::tempdir().unwrap();
    let (lessons, items) = (folder.path().join("lessons"), folder.path().join("items"));
    let xtask = env!("CARGO_BIN_EXE_xtask");
    let told = run(xtask, &["starter-text", "--out", text(&lessons), "--documents", "8000", "--seed", "5"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = run(env!("CARGO_BIN_EXE_starter-held-out"), &["--out", text(&items), "--seed", "5"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert_eq!(std::fs::read_to_string(&items).unwrap().lines().count(), 5 * 500);
    let told = run(xtask, &["starter-overlap", "--text", text(&lessons), "--items", text(&items)]);
    let report = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{report}");
    assert_eq!(report.lines().count(), 5, "{report}");
    for line in report.lines() {
        let percent = line.split("lessons, ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!(percent.parse::<f64>().unwrap() < 10.0, "{line}");
    }
}

/// Cargo holds the two programs apart; no file of one may be pulled into the other by its path either.
#[test]
fn the_lessons_cannot_reach_the_held_out_questions() {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut n_files = 0;
    let mut folders = vec![xtask.join("src"), xtask.join("starter-words")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code.filter(|line| line.contains("path =") || line.contains("include")) {
                assert!(!line.contains("held"), "{}: {line}", path.display());
            }
            n_files += 1;
        }
    }
    assert!(n_files > 30, "{n_files}");
    let questions = std::fs::read_dir(xtask.join("held-out")).unwrap();
    for path in questions.map(|entry| entry.unwrap().path()) {
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(!source.contains("starter_text") && !source.contains("#[path"), "{}", path.display());
    }
}
