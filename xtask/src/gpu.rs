//! `cargo xtask gpu`: the checks of `ops` and `models` once more, on the processor and through Burn's `wgpu` backend
//! on a software Vulkan, so that the definitions are tried as GPU programs on a machine without a GPU.
//!
//! Installs nothing, measures nothing, and is no part of the gate: the build takes many minutes and has its own
//! target folder. `VK_DRIVER_FILES`, where it is set, names the driver: a real one works too.

use crate::workspace;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is built and run: every test of these crates, which find the GPU by the feature.
const TESTS: &[&str] =
    &["test", "--package", "ops", "--package", "models", "--features", "ops/gpu,models/gpu"];
/// Dependencies without optimisation: nothing is measured here, and the build is several times as quick.
const QUICK: &str = r#"profile.dev.package."*".opt-level=0"#;
/// Unoptimised shader compilers recurse with large frames.
const STACK_BYTES: &str = "33554432";

/// A software Vulkan: what it is called, and where its package puts its description.
struct Driver {
    name: &'static str,
    description: &'static str,
}

/// Known to give right results, best first. Mesa before version 25 has not been tried.
static DRIVERS: &[Driver] = &[
    Driver { name: "SwiftShader", description: "usr/lib/chromium/vk_swiftshader_icd.json" },
    Driver { name: "lavapipe", description: "usr/share/vulkan/icd.d/lvp_icd.json" },
    Driver { name: "lavapipe", description: "usr/share/vulkan/icd.d/lvp_icd.x86_64.json" },
    Driver { name: "lavapipe", description: "usr/share/vulkan/icd.d/lvp_icd.aarch64.json" },
];

/// Where the Vulkan loader is looked for.
static LIBRARIES: &[&str] =
    &["usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib", "usr/local/lib"];

const INSTALL: &str = "on Debian: apt-get install --no-install-recommends chromium libvulkan1";

/// Runs the checks; arguments are handed to the tests (`cargo xtask gpu every_op`).
pub fn run(arguments: &[String]) -> Result<()> {
    let chosen = std::env::var_os("VK_DRIVER_FILES").map(PathBuf::from);
    let driver = choose(Path::new("/"), chosen)?;
    println!("driver: {} (VK_DRIVER_FILES)", driver.display());
    if !tests(&driver).arg("--no-run").status().context("cargo does not start")?.success() {
        bail!("the checks do not build; nothing is known about the driver");
    }
    let mut run = tests(&driver);
    run.args(["--", "--show-output", "--test-threads=1"]).args(arguments);
    if !run.status().context("cargo does not start")?.success() {
        bail!("the checks fail with this driver; what differs from the processor stands above");
    }
    Ok(())
}

/// The tests, in a target folder of their own.
fn tests(driver: &Path) -> Command {
    let mut command = workspace::cargo();
    command.args(["--config", QUICK]).args(TESTS);
    command.env("CARGO_TARGET_DIR", workspace::root().join("target-gpu"));
    command.env("VK_DRIVER_FILES", driver).env("RUST_MIN_STACK", STACK_BYTES);
    command
}

/// The description of the driver to use: the one that is asked for, or the first known one below `root`.
fn choose(root: &Path, chosen: Option<PathBuf>) -> Result<PathBuf> {
    let loader = LIBRARIES.iter().map(|folder| root.join(folder).join("libvulkan.so.1"));
    if !loader.into_iter().any(|library| library.exists()) {
        bail!("no Vulkan loader (libvulkan.so.1) here; {INSTALL}");
    }
    if let Some(chosen) = chosen {
        return Ok(chosen);
    }
    let found = DRIVERS.iter().map(|driver| root.join(driver.description)).find(|path| path.is_file());
    found.with_context(|| {
        let known: Vec<String> =
            DRIVERS.iter().map(|driver| format!("  {} at /{}", driver.name, driver.description)).collect();
        format!("no software Vulkan here; {INSTALL}\nlooked for\n{}", known.join("\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_driver_that_is_there_is_taken_and_what_is_missing_is_said() {
        let root = std::env::temp_dir().join(format!("xtask-gpu-{}", std::process::id()));
        let touch = |path: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        };
        let missing = |chosen| choose(&root, chosen).unwrap_err().to_string();
        assert!(missing(None).contains("libvulkan1"));
        touch("usr/lib64/libvulkan.so.1");
        assert!(missing(None).contains("apt-get install") && missing(None).contains("SwiftShader"));
        touch(DRIVERS[1].description);
        assert_eq!(choose(&root, None).unwrap(), root.join(DRIVERS[1].description));
        touch(DRIVERS[0].description);
        assert_eq!(choose(&root, None).unwrap(), root.join(DRIVERS[0].description));
        assert_eq!(choose(&root, Some("mine.json".into())).unwrap(), Path::new("mine.json"));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
