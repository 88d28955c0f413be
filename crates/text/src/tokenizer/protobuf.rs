//! The wire format of Protocol Buffers, read field by field.
//!
//! No schema, no groups, no writing: the reader of a message asks each field for what it expects. Bounded by the bytes,
//! without an allocation. Source: "Encoding" of the Protocol Buffers documentation.

/// What stands at a byte where it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Where, from the start of the whole file.
    pub at: usize,
    pub reason: &'static str,
}

/// A field: its number and its value.
pub(super) struct Field<'a> {
    pub number: u64,
    pub at: usize,
    value: Value<'a>,
}

enum Value<'a> {
    Varint(u64),
    Fixed32(u32),
    Fixed64,
    Bytes(&'a [u8]),
}

/// The fields of a message, one after another.
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the message begins in the whole file.
    start: usize,
}

impl<'a> Message<'a> {
    pub fn new(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, at: 0, start }
    }

    /// The next field; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Field<'a>>, Wrong> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let at = self.start + self.at;
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Fixed64
            }
            2 => {
                let length = self.varint()?;
                let length =
                    usize::try_from(length).map_err(|_| Wrong { at, reason: "a length is too large" })?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes were taken"))),
            _ => return Err(Wrong { at, reason: "a field has a wire type that is not known" }),
        };
        Ok(Some(Field { number: tag >> 3, at, value }))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Wrong> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Wrong { at: self.start + self.at, reason: "the message ends too early" })?;
        Ok(&self.bytes[std::mem::replace(&mut self.at, end)..end])
    }

    fn varint(&mut self) -> Result<u64, Wrong> {
        let at = self.start + self.at;
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Wrong { at, reason: "a number has more than ten bytes" })
    }
}

impl<'a> Field<'a> {
    pub fn bytes(&self) -> Result<&'a [u8], Wrong> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong("a text or a message should stand here")),
        }
    }

    pub fn text(&self) -> Result<&'a str, Wrong> {
        std::str::from_utf8(self.bytes()?).map_err(|_| self.wrong("a text is not UTF-8"))
    }

    pub fn number(&self) -> Result<u64, Wrong> {
        match self.value {
            Value::Varint(number) => Ok(number),
            _ => Err(self.wrong("a whole number should stand here")),
        }
    }

    pub fn float(&self) -> Result<f32, Wrong> {
        match self.value {
            Value::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(self.wrong("a float should stand here")),
        }
    }

    pub fn wrong(&self, reason: &'static str) -> Wrong {
        Wrong { at: self.at, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_one_after_another() {
        let bytes =
            [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1D, 0, 0, 0x80, 0x3F, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        let mut message = Message::new(&bytes, 100);
        let mut next = || message.next().map(|field| field.unwrap()).unwrap();
        assert_eq!(next().number(), Ok(150));
        let text = next();
        assert_eq!((text.number, text.text(), text.at), (2, Ok("hi"), 103));
        assert!(text.float().is_err() && text.number().is_err());
        assert_eq!(next().float(), Ok(1.0));
        assert_eq!(next().number, 4);
        assert!(message.next().unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let check = |bytes: &[u8], at: usize| {
            let wrong = Message::new(bytes, 10).next().err().unwrap();
            assert_eq!(wrong.at, at, "{bytes:?}: {}", wrong.reason);
        };
        check(&[0x80], 11);
        check(&[0x0B], 10);
        check(&[0x12, 5, 1], 12);
        check(&[0xFF; 11], 10);
        check(&[0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], 21);
    }
}
