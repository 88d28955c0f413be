//! What one layer has otherwise than the others: whether it sees a window only, and how it turns queries and keys.
//!
//! Sources: Gemma Team, "Gemma 2" (2024), section 2, and "Gemma 3" (2025), section 2.1, for layers by turns; B. Yang et
//! al., "RoPE to NoPE and Back Again" (2025), for layers that turn nothing.

use super::settings::Settings;
use crate::blocks::Pattern;
use crate::{Dialect, Error};

/// What one layer has otherwise than the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKind {
    /// How many tokens up to itself a row sees; all where there is none.
    pub window: Option<usize>,
    /// How queries and keys are turned.
    pub turn: Turn,
}

/// How a layer turns queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Not at all.
    None,
    /// By the angles of the model.
    Global,
    /// By those of its layers that see a window.
    Local,
}

impl LayerKind {
    /// A layer like all others.
    pub(crate) const PLAIN: Self = Self { window: None, turn: Turn::Global };
}

/// The largest window that a file may claim.
const MAX_WINDOW: u64 = u32::MAX as u64;

/// The kind of each of `n_layers` layers.
pub(super) fn read(
    settings: &Settings<'_>,
    dialect: &Dialect,
    n_layers: usize,
    has_local_angles: bool,
) -> Result<Vec<LayerKind>, Error> {
    let (keys, blocks) = (dialect.keys, dialect.blocks);
    let window = match settings.count(keys.window)? {
        Some(window) if window > MAX_WINDOW => {
            return Err(settings.wrong(keys.window, format!("{window} is more than {MAX_WINDOW}")));
        }
        // A window of nothing is how some files say that there is none.
        window => window.filter(|window| *window > 0).map(|window| window as usize),
    };
    let has_windows = keys.has_windows.is_empty() || settings.truth(keys.has_windows)?.unwrap_or(false);
    if has_windows && !keys.has_windows.is_empty() && settings.words(keys.layer_kinds).is_none() {
        return Err(
            settings.wrong(keys.has_windows, format!("{} does not say of which layers", keys.layer_kinds))
        );
    }
    let is_windowed = windowed(settings, dialect, n_layers)?;
    let is_turned = settings.truths(keys.turned)?;
    if let Some(list) = is_turned.as_ref().filter(|list| list.len() < n_layers) {
        return Err(settings.wrong(keys.turned, format!("{} of {n_layers} layers", list.len())));
    }
    let kind = |layer: usize| {
        let window = window.filter(|_| has_windows && is_windowed[layer]);
        let is_turned = is_turned.as_ref().map_or(blocks.turned.has(layer), |list| list[layer]);
        let turn = match is_turned {
            false => Turn::None,
            true if has_local_angles && is_windowed[layer] => Turn::Local,
            true => Turn::Global,
        };
        LayerKind { window, turn }
    };
    Ok((0..n_layers).map(kind).collect())
}

/// Whether each layer sees the window, if there is one.
fn windowed(settings: &Settings<'_>, dialect: &Dialect, n_layers: usize) -> Result<Vec<bool>, Error> {
    let keys = dialect.keys;
    if let Some(words) = settings.words(keys.layer_kinds) {
        if words.len() < n_layers {
            return Err(settings.wrong(keys.layer_kinds, format!("{} of {n_layers} layers", words.len())));
        }
        let is_windowed = |word: &&str| match *word {
            "sliding_attention" => Ok(true),
            "full_attention" => Ok(false),
            other => Err(settings.wrong(keys.layer_kinds, format!("{other} is not known"))),
        };
        return words[..n_layers].iter().map(is_windowed).collect();
    }
    if let Some(list) = settings.truths(keys.window_pattern)? {
        let n = list.len();
        return if n < n_layers {
            Err(settings.wrong(keys.window_pattern, format!("{n} of {n_layers} layers")))
        } else {
            Ok(list)
        };
    }
    let pattern = match settings.lone_count(keys.window_pattern)? {
        Some(each) => Pattern::AllButEach(usize::try_from(each).unwrap_or(usize::MAX)),
        None => dialect.blocks.windows,
    };
    Ok((0..n_layers).map(|layer| pattern.has(layer)).collect())
}
