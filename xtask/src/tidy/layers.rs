//! The layer table: which crate may use which. Arrows point down only, and siblings never see each other.
//!
//! A new arrow is a decision page first (docs/decisions), then a word here.

use super::{Finding, Tree};
use anyhow::{Context, Result};
use serde_json::Value;

/// A crate, the layer that it stands on, and the crates that it may use in what ships.
struct Place {
    name: &'static str,
    layer: u8,
    may_use: &'static [&'static str],
}

/// Development crates stand beside the layers: they may look at everything, and nothing that ships uses them.
const DEVELOPMENT: u8 = u8::MAX;

/// What tests and chores share stands below the chores.
const SUPPORT: u8 = DEVELOPMENT - 1;

const fn place(name: &'static str, layer: u8, may_use: &'static [&'static str]) -> Place {
    Place { name, layer, may_use }
}

static TABLE: &[Place] = &[
    place("base", 0, &[]),
    place("kernels", 1, &["base"]),
    place("formats", 1, &["base"]),
    place("text", 1, &["base"]),
    place("store", 1, &["base"]),
    place("ledger", 1, &["base"]),
    place("guard", 1, &["base"]),
    place("ops", 2, &["base", "kernels"]),
    place("data", 2, &["base", "text"]),
    place("models", 3, &["base", "ops", "formats"]),
    place("infer", 4, &["base", "text", "ops", "models"]),
    place("diffuse", 4, &["base", "ops", "models"]),
    place("train", 4, &["base", "ops", "models", "formats"]),
    place("eval", 4, &["base"]),
    place("graphs", 4, &["base"]),
    place("app", 5, BELOW_APP),
    place("hearth", 6, &["base", "app"]),
    place("server", 6, &["base", "app"]),
    place("cli", 7, &["base", "app", "server"]),
    place("testkit", SUPPORT, BELOW_APP),
    place("xtask", DEVELOPMENT, &["base", "formats", "models", "ops", "testkit", "text"]),
];

/// What `app`, which does all the wiring, may use.
const BELOW_APP: &[&str] = &[
    "base", "kernels", "formats", "text", "store", "ledger", "guard", "ops", "data", "models", "infer",
    "diffuse", "train", "eval", "graphs",
];

/// The layer of a crate, if the table knows it.
pub fn layer(name: &str) -> Option<u8> {
    TABLE.iter().find(|place| place.name == name).map(|place| place.layer)
}

/// Whether the crate stands below `app`, where neither the network nor the terminal nor the clock is known.
pub fn is_below_app(name: &str) -> bool {
    layer(name).is_some_and(|layer| layer < 5)
}

/// A member of the workspace and what it depends on.
pub struct Package {
    pub name: String,
    pub manifest: String,
    pub dependencies: Vec<Dependency>,
}

/// One arrow.
pub struct Dependency {
    pub name: String,
    pub is_ours: bool,
    pub is_development: bool,
}

/// The members of the workspace, from `cargo metadata`.
pub fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let root = metadata["workspace_root"].as_str().context("cargo metadata names no root")?;
    packages.iter().map(|package| read_package(package, root)).collect()
}

fn read_package(package: &Value, root: &str) -> Result<Package> {
    let name = package["name"].as_str().context("a package without a name")?.to_owned();
    let manifest = package["manifest_path"].as_str().context("a package without a manifest")?;
    let manifest =
        manifest.strip_prefix(root).unwrap_or(manifest).trim_start_matches(['/', '\\']).replace('\\', "/");
    let listed = package["dependencies"].as_array().context("a package without a list of dependencies")?;
    let dependencies = listed.iter().map(|dependency| Dependency {
        name: dependency["name"].as_str().unwrap_or_default().to_owned(),
        is_ours: dependency["path"].is_string(),
        is_development: dependency["kind"] == "dev",
    });
    Ok(Package { name, manifest, dependencies: dependencies.collect() })
}

/// Every arrow that the table does not draw.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Finding> {
    let Some(from) = TABLE.iter().find(|place| place.name == package.name) else {
        return vec![Finding::new(
            &package.manifest,
            1,
            format!("`{}` is not in the layer table", package.name),
        )];
    };
    let ours = package.dependencies.iter().filter(|dependency| dependency.is_ours);
    let wrong = ours.filter(|to| {
        if to.is_development { !is_test_arrow(from, &to.name) } else { !is_arrow(from, &to.name) }
    });
    wrong.map(|to| Finding::new(&package.manifest, 1, explain(from, to))).collect()
}

fn is_arrow(from: &Place, to: &str) -> bool {
    from.may_use.contains(&to)
}

/// Tests may look at `testkit` and at every lower layer.
fn is_test_arrow(from: &Place, to: &str) -> bool {
    to == "testkit" || layer(to).is_some_and(|layer| layer < from.layer)
}

fn explain(from: &Place, to: &Dependency) -> String {
    let kind = if to.is_development { "its tests" } else { "it" };
    format!("`{}` may use {:?}; {kind} may not use `{}`", from.name, from.may_use, to.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: &str, to: &str, is_development: bool) -> usize {
        let dependencies = vec![Dependency { name: to.to_owned(), is_ours: true, is_development }];
        check_package(&Package { name: from.to_owned(), manifest: "Cargo.toml".to_owned(), dependencies })
            .len()
    }

    #[test]
    fn arrows_up_and_sideways_are_caught() {
        assert_eq!(arrow("models", "ops", false), 0);
        assert_eq!(arrow("ops", "models", false), 1);
        assert_eq!(arrow("text", "formats", false), 1);
        assert_eq!(arrow("models", "kernels", false), 1);
        assert_eq!(arrow("cli", "store", false), 1);
        assert_eq!(arrow("base", "testkit", false), 1);
        assert_eq!(arrow("surprise", "base", false), 1);
    }

    #[test]
    fn tests_may_look_down_and_at_the_testkit() {
        assert_eq!(arrow("models", "kernels", true), 0);
        assert_eq!(arrow("base", "testkit", true), 0);
        assert_eq!(arrow("text", "formats", true), 1);
        assert_eq!(arrow("ops", "models", true), 1);
        assert_eq!(arrow("xtask", "formats", true), 0);
    }

    #[test]
    fn the_table_itself_points_down() {
        for from in TABLE {
            for to in from.may_use {
                let is_for_development = from.layer == DEVELOPMENT && *to == "testkit";
                assert!(is_for_development || layer(to).unwrap() < from.layer, "{} -> {to}", from.name);
            }
        }
    }
}
