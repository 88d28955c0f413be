//! Files that nobody else may read, whatever the umask of who makes them.

use std::path::Path;
use std::process::Command;

/// Umasks that people have, and one that takes from the owner too.
const UMASKS: [&str; 4] = ["000", "022", "077", "0277"];

/// Runs a process under every umask, each time for a new folder that `process` is told, and checks that all that it made
/// is its owner's alone: 0700 for folders, 0600 for files. How many paths each of them made.
///
/// # Panics
/// When a process fails, or where a mode is another.
#[cfg(unix)]
pub fn paths_under_every_umask(process: impl Fn(&Path) -> Command) -> Vec<usize> {
    let run = |umask: &&str| {
        let folder = tempfile::tempdir().expect("a folder for tests can be made");
        let test = process(&folder.path().join("deep/home"));
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("umask {umask}; exec \"$0\" \"$@\"")).arg(test.get_program());
        let variables = test.get_envs().map(|(key, value)| (key, value.expect("no variable is taken away")));
        shell.args(test.get_args()).envs(variables);
        let output = shell.output().expect("a shell is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        n_private(&folder.path().join("deep"))
    };
    UMASKS.iter().map(run).collect()
}

/// Checks a path and all below it; how many there are.
#[cfg(unix)]
fn n_private(path: &Path) -> usize {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).expect("it was just listed").permissions().mode() & 0o7777;
    assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{} has {mode:o}", path.display());
    if !path.is_dir() {
        return 1;
    }
    let entries = std::fs::read_dir(path).expect("it is a folder");
    1 + entries.map(|entry| n_private(&entry.expect("it can be listed").path())).sum::<usize>()
}
