//! One value of a file's metadata, and how it is read as what somebody wants.
//!
//! The types are GGUF's; other formats use the few of them that they need.

use super::Strings;

/// A value in a file's metadata.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    String(String),
    Array(Array),
}

/// A list of values of one type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    Strings(Strings),
    Arrays(Vec<Array>),
}

impl Value {
    /// The name of the type, as errors and `show` write it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::U8(_) => "u8",
            Self::I8(_) => "i8",
            Self::U16(_) => "u16",
            Self::I16(_) => "i16",
            Self::U32(_) => "u32",
            Self::I32(_) => "i32",
            Self::U64(_) => "u64",
            Self::I64(_) => "i64",
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
            Self::Bool(_) => "bool",
            Self::String(_) => "string",
            Self::Array(_) => "array",
        }
    }

    /// The whole number in it, whatever its width.
    pub fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(number) => number.into(),
            Self::I8(number) => number.into(),
            Self::U16(number) => number.into(),
            Self::I16(number) => number.into(),
            Self::U32(number) => number.into(),
            Self::I32(number) => number.into(),
            Self::U64(number) => number.into(),
            Self::I64(number) => number.into(),
            _ => return None,
        })
    }

    /// Type, and the number where it is one: a number may be of a right type and out of range.
    pub(crate) fn describe(&self) -> String {
        match (self, self.integer()) {
            (Self::Array(array), _) => format!("array of {} {}", array.len(), array.type_name()),
            (_, Some(number)) => format!("{} {number}", self.type_name()),
            _ => self.type_name().to_owned(),
        }
    }
}

impl Array {
    /// The name of the elements' type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::U8(_) => "u8",
            Self::I8(_) => "i8",
            Self::U16(_) => "u16",
            Self::I16(_) => "i16",
            Self::U32(_) => "u32",
            Self::I32(_) => "i32",
            Self::U64(_) => "u64",
            Self::I64(_) => "i64",
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
            Self::Bool(_) => "bool",
            Self::Strings(_) => "string",
            Self::Arrays(_) => "array",
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(list) => list.len(),
            Self::I8(list) => list.len(),
            Self::U16(list) => list.len(),
            Self::I16(list) => list.len(),
            Self::U32(list) => list.len(),
            Self::I32(list) => list.len(),
            Self::U64(list) => list.len(),
            Self::I64(list) => list.len(),
            Self::F32(list) => list.len(),
            Self::F64(list) => list.len(),
            Self::Bool(list) => list.len(),
            Self::Strings(list) => list.len(),
            Self::Arrays(list) => list.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All elements as whole numbers, whatever their width.
    pub fn integers(&self) -> Option<Vec<i64>> {
        Some(match self {
            Self::U8(list) => list.iter().map(|&number| number.into()).collect(),
            Self::I8(list) => list.iter().map(|&number| number.into()).collect(),
            Self::U16(list) => list.iter().map(|&number| number.into()).collect(),
            Self::I16(list) => list.iter().map(|&number| number.into()).collect(),
            Self::U32(list) => list.iter().map(|&number| number.into()).collect(),
            Self::I32(list) => list.iter().map(|&number| number.into()).collect(),
            Self::I64(list) => list.clone(),
            Self::U64(list) => return list.iter().map(|&number| i64::try_from(number).ok()).collect(),
            _ => return None,
        })
    }
}

/// What a [`Value`] can be read as by [`Metadata::read`](super::Metadata::read).
pub trait FromValue<'a>: Sized {
    /// What was wanted, as errors say it.
    const EXPECTED: &'static str;

    /// `None` where type or range does not fit.
    fn from_value(value: &'a Value) -> Option<Self>;
}

impl FromValue<'_> for usize {
    const EXPECTED: &'static str = "a count";

    fn from_value(value: &Value) -> Option<Self> {
        value.integer()?.try_into().ok()
    }
}

impl FromValue<'_> for u32 {
    const EXPECTED: &'static str = "a count of 32 bits";

    fn from_value(value: &Value) -> Option<Self> {
        value.integer()?.try_into().ok()
    }
}

impl FromValue<'_> for u64 {
    const EXPECTED: &'static str = "a count of 64 bits";

    fn from_value(value: &Value) -> Option<Self> {
        value.integer()?.try_into().ok()
    }
}

impl FromValue<'_> for i64 {
    const EXPECTED: &'static str = "a whole number";

    fn from_value(value: &Value) -> Option<Self> {
        value.integer()?.try_into().ok()
    }
}

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "a number";

    fn from_value(value: &Value) -> Option<Self> {
        f64::from_value(value).map(|number| number as f32)
    }
}

impl FromValue<'_> for f64 {
    const EXPECTED: &'static str = "a number";

    fn from_value(value: &Value) -> Option<Self> {
        match *value {
            Value::F32(number) => Some(number.into()),
            Value::F64(number) => Some(number),
            _ => value.integer().map(|number| number as f64),
        }
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_value(value: &Value) -> Option<Self> {
        match *value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "text";

    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a Array {
    const EXPECTED: &'static str = "a list";

    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a Strings {
    const EXPECTED: &'static str = "a list of texts";

    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Array(Array::Strings(strings)) => Some(strings),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a [f32] {
    const EXPECTED: &'static str = "a list of 32-bit floating-point numbers";

    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Array(Array::F32(list)) => Some(list),
            _ => None,
        }
    }
}

impl FromValue<'_> for Vec<i64> {
    const EXPECTED: &'static str = "a list of whole numbers";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Array(array) => array.integers(),
            _ => None,
        }
    }
}

macro_rules! value_from {
    ($($from:ty => $wrap:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                ($wrap)(value)
            }
        })*
    };
}

value_from! {
    u32 => Self::U32,
    u64 => Self::U64,
    i32 => Self::I32,
    f32 => Self::F32,
    bool => Self::Bool,
    String => Self::String,
    &str => |text: &str| Self::String(text.to_owned()),
    Strings => |strings| Self::Array(Array::Strings(strings)),
    Vec<f32> => |list| Self::Array(Array::F32(list)),
    Vec<i32> => |list| Self::Array(Array::I32(list)),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_width_is_a_count_when_it_fits() {
        for value in [Value::U8(7), Value::I16(7), Value::U32(7), Value::I64(7), Value::U64(7)] {
            assert_eq!(usize::from_value(&value), Some(7));
            assert_eq!(f32::from_value(&value), Some(7.0));
        }
        assert_eq!(usize::from_value(&Value::I8(-7)), None);
        assert_eq!(u32::from_value(&Value::U64(1 << 40)), None);
        assert_eq!(usize::from_value(&Value::F32(7.0)), None);
        assert_eq!(bool::from_value(&Value::U8(1)), None);
    }

    #[test]
    fn lists_of_whole_numbers_are_read_from_any_width() {
        let value = Value::Array(Array::U8(vec![1, 255]));
        assert_eq!(Vec::<i64>::from_value(&value), Some(vec![1, 255]));
        let value = Value::Array(Array::U64(vec![u64::MAX]));
        assert_eq!(Vec::<i64>::from_value(&value), None);
        assert_eq!(value.describe(), "array of 1 u64");
    }
}
