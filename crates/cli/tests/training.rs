//! Trainings as a person meets them: killed at any moment, gone on with, and the recipe from a folder to a chat.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use base::Rng;

/// `hearth words`, in a home of its own.
fn hearth(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.args(words).env_clear().env("HEARTH_HOME", home.join("home")).stdin(Stdio::null());
    command
}

fn run(home: &Path, words: &[&str]) -> Output {
    let output = hearth(home, words).output().expect("the program starts");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Short texts, all different, all of one manner.
fn texts(folder: &Path) -> PathBuf {
    let path = folder.join("texts");
    std::fs::create_dir_all(&path).expect("a folder can be made");
    let mut rng = Rng::new(7);
    let mut pick = |words: &[&'static str]| words[rng.below(words.len())];
    let story = |pick: &mut dyn FnMut(&[&'static str]) -> &'static str| {
        format!(
            "The {} {} saw a {} near the {}. It was {}.\n\n",
            pick(&["old", "small", "brave", "tired"]),
            pick(&["cat", "fox", "king", "child", "bird"]),
            pick(&["boat", "lamp", "stone", "cake"]),
            pick(&["river", "house", "tree"]),
            pick(&["glad", "afraid", "hungry"])
        )
    };
    let all: String = (0..400).map(|_| story(&mut pick)).collect();
    std::fs::write(path.join("stories.txt"), all).expect("a file can be written");
    path
}

/// A training of four hundred steps that saves after every one.
fn config(folder: &Path) -> PathBuf {
    let path = folder.join("small.yaml");
    let text = "size: nano\nwidth: 32\nlayers: 1\nvocabulary: 300\nlength: 16\nbatch: 2\nsteps: 400\n\
                evaluate_every: 30\nsave_every_s: 0\n";
    std::fs::write(&path, text).expect("a file can be written");
    path
}

fn curve(home: &Path, run: &str) -> String {
    std::fs::read_to_string(home.join("home/runs").join(run).join("curve.jsonl"))
        .expect("the run has a curve")
}

const N_KILLS: usize = 50;

#[test]
#[cfg(unix)]
fn killed_fifty_times_it_has_the_curve_of_one_that_was_left_alone() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let home = folder.path();
    let (data, config) = (texts(home), config(home));
    let words = |name: &'static str| {
        let text = |path: &Path| path.to_str().expect("the path is text").to_owned();
        [
            "train".into(),
            "--data".into(),
            text(&data),
            "--name".into(),
            name.into(),
            "--config".into(),
            text(&config),
        ]
    };
    let alone: [String; 7] = words("alone");
    run(home, &alone.each_ref().map(String::as_str));
    let seed = 11;
    println!("seed {seed}");
    let (mut rng, mut n_kills) = (Rng::new(seed), 0);
    let begin: [String; 7] = words("killed");
    let mut child = hearth(home, &begin.each_ref().map(String::as_str));
    loop {
        let mut running =
            child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        let moment = Duration::from_micros(rng.below(50_000) as u64);
        let ended = if n_kills < N_KILLS { wait_at_most(&mut running, moment) } else { running.wait().ok() };
        if ended.is_none() {
            running.kill().expect("a process can be killed");
            let _ = running.wait();
            n_kills += 1;
        }
        let has_begun = home.join("home/runs/killed/record.json").is_file();
        let model = home.join("home/runs/killed/README.md");
        if ended.is_some() && model.is_file() {
            break;
        }
        if has_begun {
            child = hearth(home, &["train", "--resume", "killed"]);
        } else {
            let _ = std::fs::remove_dir_all(home.join("home/runs/killed"));
            child = hearth(home, &begin.each_ref().map(String::as_str));
        }
    }
    assert_eq!(n_kills, N_KILLS, "it ended before it was killed often enough");
    assert_eq!(curve(home, "killed"), curve(home, "alone"));
    let weights = |run: &str| std::fs::read(home.join("home/runs").join(run).join("last.safetensors")).ok();
    assert!(weights("killed") == weights("alone"), "weights and moments to the bit");
}

/// How the process ended within this time, if it did.
#[cfg(unix)]
fn wait_at_most(child: &mut std::process::Child, time: Duration) -> Option<std::process::ExitStatus> {
    let until = std::time::Instant::now() + time;
    while std::time::Instant::now() < until {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::yield_now();
    }
    child.try_wait().ok().flatten()
}

#[test]
#[cfg(unix)]
fn the_recipe_leads_from_a_folder_to_a_model() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let data = texts(folder.path());
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/recipes/from-text-to-chat.sh");
    let output = Command::new("/bin/sh")
        .arg(recipe)
        .args([data.as_os_str(), "mine".as_ref(), "nano".as_ref()])
        .current_dir(folder.path())
        .env("HEARTH", env!("CARGO_BIN_EXE_hearth"))
        .env("HEARTH_HOME", folder.path().join("home"))
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(folder.path().join("mine.gguf").is_file(), "{err}");
    assert!(err.contains("Done."), "{err}");
}
