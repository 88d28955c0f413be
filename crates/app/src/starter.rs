//! The model in the box: part of the binary, so that the first command talks on a fresh machine.

use formats::FileBytes;

/// The name under which it is found, unless the store has a model of this name.
pub(crate) const NAME: &str = "starter";

/// Puts the bytes at an address where every number in them is aligned.
#[repr(C, align(64))]
struct Aligned<Bytes: ?Sized>(Bytes);

static STARTER: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../assets/starter.gguf"));

/// Its file.
pub(crate) fn file() -> FileBytes {
    FileBytes::from_static(NAME, &STARTER.0)
}
