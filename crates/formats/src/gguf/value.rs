//! GGUF's metadata values as bytes: numbered types, typed lists, lists of lists up to a depth.

use std::fmt::Display;
use std::io::{self, Write};

use crate::cursor::Cursor;
use crate::error::{Error, Quoted};
use crate::metadata::{Array, Strings, Value};

const U8: u32 = 0;
const I8: u32 = 1;
const U16: u32 = 2;
const I16: u32 = 3;
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const U64: u32 = 10;
const I64: u32 = 11;
const F64: u32 = 12;

/// Lists in lists in lists; real files have none.
const MAX_DEPTH: usize = 4;
/// All lists inside lists of a file: each takes 12 bytes in the file and more in memory.
const MAX_NESTED: usize = 1 << 16;
/// Elements of one list; far over the largest vocabulary.
const MAX_ELEMENTS: usize = 1 << 28;
/// One text; the largest real one is a tokenizer of some 20 MB.
const MAX_TEXT: usize = 64 << 20;
const TYPES: &str = "a value type from 0 to 12";

/// Reads the values of one file.
pub(super) struct Reader<'c, 'a> {
    pub cursor: &'c mut Cursor<'a>,
    /// Lists inside lists that are still accepted.
    nested_left: usize,
}

impl<'c, 'a> Reader<'c, 'a> {
    pub fn new(cursor: &'c mut Cursor<'a>) -> Self {
        Self { cursor, nested_left: MAX_NESTED }
    }

    /// The value of `key`: its type, then its bytes.
    pub fn value(&mut self, key: &str) -> Result<Value, Error> {
        let field = &format_args!("metadata key {}", Quoted(key)) as &dyn Display;
        let offset = self.cursor.position();
        let cursor = &mut *self.cursor;
        Ok(match cursor.u32(field)? {
            U8 => Value::U8(cursor.u8(field)?),
            I8 => Value::I8(i8::from_le_bytes(cursor.array(field)?)),
            U16 => Value::U16(u16::from_le_bytes(cursor.array(field)?)),
            I16 => Value::I16(i16::from_le_bytes(cursor.array(field)?)),
            U32 => Value::U32(cursor.u32(field)?),
            I32 => Value::I32(cursor.i32(field)?),
            F32 => Value::F32(cursor.f32(field)?),
            BOOL => Value::Bool(self.flag(field)?),
            STRING => Value::String(cursor.text(field, MAX_TEXT)?.to_owned()),
            ARRAY => Value::Array(self.list(field, 1)?),
            U64 => Value::U64(cursor.u64(field)?),
            I64 => Value::I64(i64::from_le_bytes(cursor.array(field)?)),
            F64 => Value::F64(f64::from_le_bytes(cursor.array(field)?)),
            other => return Err(self.invalid(field, offset, other, TYPES)),
        })
    }

    fn list(&mut self, field: &dyn Display, depth: usize) -> Result<Array, Error> {
        let offset = self.cursor.position();
        let kind = self.cursor.u32(field)?;
        Ok(match kind {
            U8 => Array::U8(self.numbers(field, u8::from_le_bytes)?),
            I8 => Array::I8(self.numbers(field, i8::from_le_bytes)?),
            U16 => Array::U16(self.numbers(field, u16::from_le_bytes)?),
            I16 => Array::I16(self.numbers(field, i16::from_le_bytes)?),
            U32 => Array::U32(self.numbers(field, u32::from_le_bytes)?),
            I32 => Array::I32(self.numbers(field, i32::from_le_bytes)?),
            F32 => Array::F32(self.numbers(field, f32::from_le_bytes)?),
            BOOL => Array::Bool(self.flags(field)?),
            STRING => Array::Strings(self.strings(field)?),
            ARRAY => Array::Arrays(self.lists(field, depth)?),
            U64 => Array::U64(self.numbers(field, u64::from_le_bytes)?),
            I64 => Array::I64(self.numbers(field, i64::from_le_bytes)?),
            F64 => Array::F64(self.numbers(field, f64::from_le_bytes)?),
            other => return Err(self.invalid(field, offset, other, TYPES)),
        })
    }

    fn numbers<T, const N: usize>(
        &mut self,
        field: &dyn Display,
        decode: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        let count = self.cursor.count(field, MAX_ELEMENTS, N)?;
        let taken = self.cursor.take(count.saturating_mul(N), field)?;
        Ok(taken.as_chunks::<N>().0.iter().map(|bytes| decode(*bytes)).collect())
    }

    fn flag(&mut self, field: &dyn Display) -> Result<bool, Error> {
        let offset = self.cursor.position();
        match self.cursor.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.invalid(field, offset, other.into(), "0 or 1")),
        }
    }

    fn flags(&mut self, field: &dyn Display) -> Result<Vec<bool>, Error> {
        let count = self.cursor.count(field, MAX_ELEMENTS, 1)?;
        let offset = self.cursor.position();
        let taken = self.cursor.take(count, field)?;
        match taken.iter().position(|&byte| byte > 1) {
            None => Ok(taken.iter().map(|&byte| byte == 1).collect()),
            Some(index) => {
                let found = taken.get(index).copied().unwrap_or_default();
                Err(self.invalid(field, offset.saturating_add(index), found.into(), "0 or 1"))
            }
        }
    }

    /// Two walks: the first finds how much memory the second takes.
    fn strings(&mut self, field: &dyn Display) -> Result<Strings, Error> {
        let count = self.cursor.count(field, MAX_ELEMENTS, 8)?;
        let mut ahead = self.cursor.clone();
        for index in 0..count {
            ahead.text(&format_args!("{field}[{index}]"), MAX_TEXT)?;
        }
        let bytes = ahead.position().saturating_sub(self.cursor.position());
        let mut strings = Strings::with_capacity(count, bytes.saturating_sub(count.saturating_mul(8)));
        for _ in 0..count {
            strings.push(self.cursor.text(field, MAX_TEXT)?);
        }
        Ok(strings)
    }

    fn lists(&mut self, field: &dyn Display, depth: usize) -> Result<Vec<Array>, Error> {
        let offset = self.cursor.position();
        if depth >= MAX_DEPTH {
            let at = self.cursor.place(&format_args!("{field}: depth of lists"), offset);
            return Err(Error::Limit {
                at,
                claimed: depth.saturating_add(1) as u64,
                limit: MAX_DEPTH as u64,
            });
        }
        // A list is at least its type and its length.
        let count = self.cursor.count(field, self.nested_left, 12)?;
        self.nested_left = self.nested_left.saturating_sub(count);
        let mut lists = Vec::with_capacity(count);
        for _ in 0..count {
            lists.push(self.list(field, depth.saturating_add(1))?);
        }
        Ok(lists)
    }

    fn invalid(&self, field: &dyn Display, offset: usize, found: u32, expected: &'static str) -> Error {
        Error::Invalid { at: self.cursor.place(field, offset), found: found.to_string(), expected }
    }
}

/// Writes a value with its type before it.
pub(super) fn write_value(out: &mut impl Write, value: &Value) -> io::Result<()> {
    let kind = |out: &mut dyn Write, kind: u32| out.write_all(&kind.to_le_bytes());
    match value {
        Value::U8(number) => kind(out, U8).and_then(|()| out.write_all(&number.to_le_bytes())),
        Value::I8(number) => kind(out, I8).and_then(|()| out.write_all(&number.to_le_bytes())),
        Value::U16(number) => kind(out, U16).and_then(|()| out.write_all(&number.to_le_bytes())),
        Value::I16(number) => kind(out, I16).and_then(|()| out.write_all(&number.to_le_bytes())),
        Value::U32(number) => kind(out, U32).and_then(|()| out.write_all(&number.to_le_bytes())),
        Value::I32(number) => kind(out, I32).and_then(|()| out.write_all(&number.to_le_bytes())),
        Value::F32(number) => kind(out, F32).and_then(|()| out.write_all(&number.to_le_bytes())),
        Value::Bool(flag) => kind(out, BOOL).and_then(|()| out.write_all(&[u8::from(*flag)])),
        Value::String(text) => kind(out, STRING).and_then(|()| write_text(out, text)),
        Value::Array(array) => kind(out, ARRAY).and_then(|()| write_array(out, array)),
        Value::U64(number) => kind(out, U64).and_then(|()| out.write_all(&number.to_le_bytes())),
        Value::I64(number) => kind(out, I64).and_then(|()| out.write_all(&number.to_le_bytes())),
        Value::F64(number) => kind(out, F64).and_then(|()| out.write_all(&number.to_le_bytes())),
    }
}

/// Writes a text behind its length.
pub(super) fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())
}

fn write_array(out: &mut impl Write, array: &Array) -> io::Result<()> {
    match array {
        Array::U8(list) => write_list(out, U8, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::I8(list) => write_list(out, I8, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::U16(list) => write_list(out, U16, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::I16(list) => write_list(out, I16, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::U32(list) => write_list(out, U32, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::I32(list) => write_list(out, I32, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::F32(list) => write_list(out, F32, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::Bool(list) => write_list(out, BOOL, list, |out, flag| out.write_all(&[u8::from(*flag)])),
        Array::U64(list) => write_list(out, U64, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::I64(list) => write_list(out, I64, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::F64(list) => write_list(out, F64, list, |out, number| out.write_all(&number.to_le_bytes())),
        Array::Arrays(list) => write_list(out, ARRAY, list, write_array),
        Array::Strings(texts) => {
            out.write_all(&STRING.to_le_bytes())?;
            out.write_all(&(texts.len() as u64).to_le_bytes())?;
            texts.iter().try_for_each(|text| write_text(out, text))
        }
    }
}

fn write_list<W: Write, T>(
    out: &mut W,
    kind: u32,
    list: &[T],
    write_one: impl Fn(&mut W, &T) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&(list.len() as u64).to_le_bytes())?;
    list.iter().try_for_each(|element| write_one(out, element))
}
