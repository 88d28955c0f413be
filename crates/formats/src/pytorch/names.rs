//! The names that a checkpoint may ask for, all of them; any other is refused where it stands.
//!
//! None of them is run: each stands for what the reader does itself. Functions that would do more than name a
//! tensor (nested pickles, arbitrary classes, imports) are not here and never will be.
//!
//! Source: what `torch.save` writes for a state dict, seen in files; `torch/_utils.py`, as facts.

use crate::Dtype;

/// A name on the list, and what it means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`: an empty dict, or one of pairs.
    OrderedDict,
    /// `_rebuild_tensor`, `_rebuild_tensor_v2`, `_rebuild_tensor_v3`: a tensor from its storage.
    Tensor(Rebuild),
    /// `_rebuild_parameter`: its first argument.
    Parameter,
    /// `torch.Size`: its argument.
    Size,
    /// `torch.device`: nothing; weights are read where they lie.
    Device,
    /// The type of a storage; `None` is bytes without a type.
    Storage(Option<Dtype>),
    /// `torch.float32` and so on.
    Dtype(Dtype),
}

/// The three forms in which a tensor is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rebuild {
    First,
    Second,
    /// Names its type itself.
    Third,
}

static GLOBALS: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::OrderedDict),
    ("torch._utils", "_rebuild_tensor", Global::Tensor(Rebuild::First)),
    ("torch._utils", "_rebuild_tensor_v2", Global::Tensor(Rebuild::Second)),
    ("torch._utils", "_rebuild_tensor_v3", Global::Tensor(Rebuild::Third)),
    ("torch._utils", "_rebuild_parameter", Global::Parameter),
    ("torch", "Size", Global::Size),
    ("torch", "device", Global::Device),
    ("torch.storage", "UntypedStorage", Global::Storage(None)),
    ("torch", "UntypedStorage", Global::Storage(None)),
];

/// Types by the name of their storage (of `torch`, and of `torch.cuda` in old files) and of their own.
static TYPES: &[(Dtype, Option<&str>, &str)] = &[
    (Dtype::F32, Some("FloatStorage"), "float32"),
    (Dtype::F16, Some("HalfStorage"), "float16"),
    (Dtype::BF16, Some("BFloat16Storage"), "bfloat16"),
    (Dtype::F64, Some("DoubleStorage"), "float64"),
    (Dtype::I8, Some("CharStorage"), "int8"),
    (Dtype::I16, Some("ShortStorage"), "int16"),
    (Dtype::I32, Some("IntStorage"), "int32"),
    (Dtype::I64, Some("LongStorage"), "int64"),
    (Dtype::U8, Some("ByteStorage"), "uint8"),
    (Dtype::Bool, Some("BoolStorage"), "bool"),
    (Dtype::U16, None, "uint16"),
    (Dtype::U32, None, "uint32"),
    (Dtype::U64, None, "uint64"),
    (Dtype::F8_E4M3, None, "float8_e4m3fn"),
    (Dtype::F8_E5M2, None, "float8_e5m2"),
    (Dtype::F8_E8M0, None, "float8_e8m0fnu"),
];

/// What `module.name` stands for, where it is on the list.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    let listed = GLOBALS.iter().find(|entry| (entry.0, entry.1) == (module, name));
    let storage = || TYPES.iter().find(|entry| entry.1 == Some(name));
    let own = || TYPES.iter().find(|entry| entry.2 == name);
    match (listed, module) {
        (Some((.., global)), _) => Some(*global),
        (None, "torch") => storage()
            .map(|entry| Global::Storage(Some(entry.0)))
            .or_else(|| own().map(|entry| Global::Dtype(entry.0))),
        (None, "torch.cuda") => storage().map(|entry| Global::Storage(Some(entry.0))),
        _ => None,
    }
}

impl std::fmt::Display for Global {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OrderedDict => f.write_str("collections.OrderedDict"),
            Self::Tensor(_) => f.write_str("a tensor's builder"),
            Self::Parameter => f.write_str("a parameter's builder"),
            Self::Size => f.write_str("torch.Size"),
            Self::Device => f.write_str("torch.device"),
            Self::Storage(_) => f.write_str("a storage type"),
            Self::Dtype(dtype) => write!(f, "the type {dtype}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_their_module_only() {
        assert_eq!(find("torch", "HalfStorage"), Some(Global::Storage(Some(Dtype::F16))));
        assert_eq!(find("torch.cuda", "HalfStorage"), Some(Global::Storage(Some(Dtype::F16))));
        assert_eq!(find("torch", "bfloat16"), Some(Global::Dtype(Dtype::BF16)));
        assert_eq!(find("torch._utils", "_rebuild_tensor_v2"), Some(Global::Tensor(Rebuild::Second)));
        for (module, name) in [
            ("os", "system"),
            ("torch", "load"),
            ("torch.cuda", "bfloat16"),
            ("torch.storage", "_load_from_bytes"),
            ("collections", "OrderedDict.__init__"),
            ("", "OrderedDict"),
            ("builtins", "bool"),
        ] {
            assert_eq!(find(module, name), None, "{module}.{name}");
        }
    }
}
