//! What two versions of a model, or two models, differ in, as data.
//!
//! Does not: look into files. Two templates differ here by their digests; whoever calls reads both
//! (`Store::read_text_file`) and shows the lines, and adds the tensors and the vocabulary, which other crates read.

use serde::Serialize;
use serde_json::Value;

use crate::{FileRef, Manifest, Role};

/// What differs from one model to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    /// Files: the weights, template, licence … that came, went or changed, by role.
    pub files: Vec<FileChange>,
    /// Parameters, by name; the system prompt and the first messages are among them.
    pub parameters: Vec<ParameterChange>,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileChange {
    /// What the model uses it for.
    pub role: Role,
    /// How it differs.
    #[serde(flatten)]
    pub change: Change<FileRef>,
}

/// A parameter that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParameterChange {
    /// Its name.
    pub name: String,
    /// How it differs.
    #[serde(flatten)]
    pub change: Change<Value>,
}

/// How something differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change<T> {
    /// Only the second has it.
    Added(T),
    /// Only the first has it.
    Removed(T),
    /// Both have it, each another.
    Changed {
        /// What the first has.
        from: T,
        /// What the second has.
        to: T,
    },
}

impl Diff {
    /// What differs from `a` to `b`. Where a file lies is no difference; what it holds is.
    pub fn between(a: &Manifest, b: &Manifest) -> Self {
        let mut roles: Vec<Role> = a.files.iter().chain(&b.files).map(|file| file.role).collect();
        roles.sort();
        roles.dedup();
        let files = roles.into_iter().flat_map(|role| {
            let changes = file_changes(with_role(a, role), with_role(b, role));
            changes.into_iter().map(move |change| FileChange { role, change })
        });
        Self { files: files.collect(), parameters: parameter_changes(a, b) }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.parameters.is_empty()
    }
}

fn with_role(manifest: &Manifest, role: Role) -> Vec<&FileRef> {
    manifest.files.iter().filter(|file| file.role == role).collect()
}

/// Files of one role: equal ones are left out, then those of one name are paired, then the others in order.
fn file_changes<'a>(mut a: Vec<&'a FileRef>, mut b: Vec<&'a FileRef>) -> Vec<Change<FileRef>> {
    let same_content = |x: &FileRef, y: &FileRef| x.digest == y.digest && x.format == y.format;
    drop(take_pairs(&mut a, &mut b, same_content));
    let mut pairs = take_pairs(&mut a, &mut b, |x, y| x.name.is_some() && x.name == y.name);
    pairs.extend(take_pairs(&mut a, &mut b, |x, y| x.name.is_none() || y.name.is_none()));
    let changed = |(from, to): (&FileRef, &FileRef)| Change::Changed { from: from.clone(), to: to.clone() };
    let removed = a.into_iter().cloned().map(Change::Removed);
    let added = b.into_iter().cloned().map(Change::Added);
    pairs.into_iter().map(changed).chain(removed).chain(added).collect()
}

/// Takes out, for each of `a` in order, the first of `b` that belongs to it.
fn take_pairs<'a>(
    a: &mut Vec<&'a FileRef>,
    b: &mut Vec<&'a FileRef>,
    belong: impl Fn(&FileRef, &FileRef) -> bool,
) -> Vec<(&'a FileRef, &'a FileRef)> {
    let mut pairs = Vec::new();
    a.retain(|x| match b.iter().position(|y| belong(x, y)) {
        Some(at) => {
            pairs.push((*x, b.remove(at)));
            false
        }
        None => true,
    });
    pairs
}

fn parameter_changes(a: &Manifest, b: &Manifest) -> Vec<ParameterChange> {
    let mut names: Vec<&String> = a.parameters.keys().chain(b.parameters.keys()).collect();
    names.sort();
    names.dedup();
    let change = |name: &String| {
        let change = match (a.parameters.get(name), b.parameters.get(name)) {
            (Some(from), Some(to)) if from != to => Change::Changed { from: from.clone(), to: to.clone() },
            (Some(from), None) => Change::Removed(from.clone()),
            (None, Some(to)) => Change::Added(to.clone()),
            _ => return None,
        };
        Some(ParameterChange { name: name.clone(), change })
    };
    names.into_iter().filter_map(change).collect()
}
