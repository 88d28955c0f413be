//! A folder as people have them: what is read, in which order, and what is told about the rest.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base::disk::RealDisk;
use data::{Content, Document, Error, Extent, Folder, Reason};
use testkit::disk::{Fault, FaultyDisk, Lasting, Plan};

fn open(path: &Path) -> Result<Folder, Error> {
    Folder::open(Arc::new(RealDisk), path)
}

fn write(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn documents(folder: &Folder) -> (Vec<Document>, data::Report) {
    let mut stream = folder.documents();
    let found = stream.by_ref().map(Result::unwrap).collect();
    (found, stream.report().clone())
}

fn text_of(document: &Document) -> &str {
    document.texts().next().unwrap()
}

#[test]
fn files_come_in_order_and_the_rest_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(
        root,
        &[
            ("b/two.md", b"# Two"),
            ("b.txt", b"three"),
            ("a.TXT", b"one"),
            ("c.jsonl", b"{\"text\": \"four\"}\nnot json\n\n{\"prompt\": \"p\", \"completion\": \"c\"}\n"),
            ("d.pdf", b"%PDF"),
            ("e.txt", b"bin\0ary"),
            ("f.txt", b"caf\xE9"),
            ("g.txt", b" \n"),
            (".git/h.txt", b"hidden"),
            ("i.jsonl", b""),
        ],
    );
    let folder = open(root).unwrap();
    let names: Vec<&str> = folder.names().collect();
    let expected = ["a.TXT", "b/two.md", "b.txt", "c.jsonl", "e.txt", "f.txt", "g.txt", "i.jsonl"];
    assert_eq!(names, expected);
    let (found, report) = documents(&folder);
    let texts: Vec<&str> = found.iter().map(text_of).collect();
    assert_eq!(texts, ["one", "# Two", "three", "four", "p"]);
    assert!(matches!(&found[4].content, Content::Messages(messages) if messages[1].role == "assistant"));
    assert_eq!((found[4].origin.line, found[4].extent), (4, Extent::Ends));
    assert_eq!((report.n_documents, report.n_bytes, report.n_skipped), (5, 19, 7));
    let told: Vec<String> = report
        .skipped
        .iter()
        .map(|skip| skip.to_string().replace(&format!("{}/", root.display()), "").replace('\\', "/"))
        .collect();
    let expected = [
        ".git: it is hidden (its name begins with a dot)",
        "d.pdf: it is not a .txt, .md or .jsonl file",
        "c.jsonl:2: column 2: expected ident",
        "e.txt: it is not text: there is a zero byte at 3",
        "f.txt: it is not UTF-8 text: the byte at 3 fits no character; save it as UTF-8",
        "g.txt: it is empty",
        "i.jsonl: it is empty",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_not_there_or_no_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, expected: &str| {
        let error = open(&folder.path().join(name)).err().unwrap();
        let shown = error.to_string().replace(&folder.path().display().to_string(), "ROOT");
        assert_eq!(shown.replace('\\', "/"), expected);
        assert!(!error.hint().is_empty());
    };
    check("nothing", "there is no file or folder ROOT/nothing");
    write(folder.path(), &[("a/x.pdf", b"x"), ("a/b/.txt", b"x"), ("c.docx", b"x")]);
    check("a", "ROOT/a has no .txt, .md or .jsonl file that can be read (2 other things were passed over)");
    check(
        "c.docx",
        "ROOT/c.docx cannot be learned from: it is not a .txt, .md or .jsonl file, and no folder of them",
    );
}

#[test]
fn one_file_is_a_data_set_too() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("a.txt", "\u{FEFF}only".as_bytes()), ("b.txt", b"other")]);
    let one = open(&folder.path().join("a.txt")).unwrap();
    assert_eq!(documents(&one).0.iter().map(text_of).collect::<Vec<_>>(), ["only"]);
    assert_eq!(one.fingerprint().unwrap().files[0].name, "a.txt");
}

#[cfg(unix)]
#[test]
fn links_pipes_and_loops_hang_nothing() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, &[("real/a.txt", b"a")]);
    symlink(root, root.join("real/loop")).unwrap();
    symlink(root.join("real/a.txt"), root.join("b.txt")).unwrap();
    symlink(root.join("gone"), root.join("c.txt")).unwrap();
    symlink("/dev/zero", root.join("zero.txt")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe.txt")).status().unwrap();
    assert!(made.success());
    let opened = open(root).unwrap();
    assert_eq!(opened.names().collect::<Vec<_>>(), ["b.txt", "real/a.txt"]);
    let reasons: Vec<&Reason> = opened.passed_over().skipped.iter().map(|skip| &skip.reason).collect();
    let expected = [&Reason::BrokenLink, &Reason::SpecialFile, &Reason::LinkToFolder, &Reason::SpecialFile];
    assert_eq!(reasons, expected);
    let deep = (0..60).fold(root.join("deep"), |path, _| path.join("d"));
    fs::create_dir_all(&deep).unwrap();
    let opened = open(root).unwrap();
    assert!(opened.passed_over().skipped.iter().any(|skip| skip.reason == Reason::TooDeep { limit: 32 }));
}

#[test]
fn a_file_that_may_not_be_read_is_told_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("a.txt", b"a"), ("b.txt", b"b")]);
    // Operations: facts of the root, its listing, then each file is opened.
    let mut seen = Vec::new();
    for at in 0..4 {
        let plan = Plan { fault: Fault::Permission, at, lasting: Lasting::Once, seed: 1 };
        let disk = FaultyDisk::new(folder.path(), Some(plan));
        seen.push(match Folder::open(Arc::new(disk), folder.path()) {
            Ok(opened) => {
                format!("{} {}", opened.names().collect::<String>(), opened.passed_over().n_skipped)
            }
            Err(error) => error.to_string().split(' ').take(3).collect::<Vec<_>>().join(" "),
        });
    }
    assert!(seen.contains(&"a.txt 1".to_owned()) && seen.contains(&"b.txt 1".to_owned()), "{seen:?}");
    assert!(seen.iter().any(|outcome| outcome.starts_with("cannot ")), "{seen:?}");
}

#[test]
fn a_failing_disk_never_shortens_a_data_set_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let long = "A line.\n".repeat(200_000);
    let lines = "{\"text\": \"a line\"}\n".repeat(30_000);
    write(folder.path(), &[("a.txt", long.as_bytes()), ("b.jsonl", lines.as_bytes())]);
    let whole: u64 = documents(&open(folder.path()).unwrap()).0.iter().map(Document::n_bytes).sum();
    let (mut at, mut n_errors) = (0, 0);
    loop {
        let plan = Plan { fault: Fault::Io, at, lasting: Lasting::Once, seed: 1 };
        let disk = Arc::new(FaultyDisk::new(folder.path(), Some(plan)));
        match Folder::open(Arc::clone(&disk) as Arc<dyn base::disk::Disk>, folder.path()) {
            Err(error) => assert!(matches!(error, Error::Io { .. }), "{error}"),
            Ok(opened) => {
                let mut stream = opened.documents();
                let found: Result<Vec<Document>, Error> = stream.by_ref().collect();
                assert!(stream.next().is_none(), "nothing comes after the error");
                let n_bytes = |found: &Vec<Document>| found.iter().map(Document::n_bytes).sum::<u64>();
                let is_whole = found.as_ref().is_ok_and(|found| n_bytes(found) == whole);
                assert!(is_whole || found.is_err() || stream.report().n_skipped > 0, "{at}");
                n_errors += usize::from(found.is_err());
            }
        }
        if !disk.struck() {
            break;
        }
        at += 1;
    }
    assert!(n_errors > 5, "{n_errors} of {at}");
}

#[test]
fn a_changed_data_set_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("a.txt", b"a"), ("b/c.jsonl", b"{\"text\": \"c\"}")]);
    let before = open(folder.path()).unwrap().fingerprint().unwrap();
    let json = serde_json::to_string(&before).unwrap();
    assert_eq!(serde_json::from_str::<data::Fingerprint>(&json).unwrap(), before);
    before.check_same(&open(folder.path()).unwrap().fingerprint().unwrap()).unwrap();
    write(folder.path(), &[("a.txt", b"A"), ("d.md", b"d")]);
    fs::remove_file(folder.path().join("b/c.jsonl")).unwrap();
    let after = open(folder.path()).unwrap().fingerprint().unwrap();
    let error = before.check_same(&after).unwrap_err().to_string();
    assert_eq!(error, "the data set has changed: 1 added (d.md); 1 removed (b/c.jsonl); 1 changed (a.txt)");
}

#[test]
fn real_collections_are_read_whole() {
    let Some(shared) = testkit::shared::shared("data::folder::real_collections_are_read_whole") else {
        return;
    };
    let check = |name: &str, n_documents: u64, n_skipped: u64| {
        let folder = open(&shared.join("text").join(name)).unwrap();
        let (found, report) = documents(&folder);
        assert_eq!((report.n_documents, report.n_skipped), (n_documents, n_skipped), "{name}");
        assert_eq!(found.iter().map(Document::n_bytes).sum::<u64>(), report.n_bytes);
        found
    };
    let stories = check("tinystories", 1, 0);
    assert_eq!(text_of(&stories[0]).len(), 944_426);
    let shakespeare = check("tinyshakespeare", 1, 0);
    assert_eq!(shakespeare.len(), 2);
    assert_eq!(shakespeare.iter().map(Document::n_bytes).sum::<u64>(), 1_115_394);
    check("mlx-lora-wikisql", 1200, 0);
    check("mlx-wwdc25", 1944, 0);
    // Questions with answers under other names: every line is told.
    let folder = open(&shared.join("text/gsm8k")).unwrap();
    let (found, report) = documents(&folder);
    assert!(found.is_empty() && report.n_skipped > 1000 && report.skipped.len() == 100);
    assert!(report.skipped[1].to_string().contains("it has the keys \"question\", \"answer\""));
}
