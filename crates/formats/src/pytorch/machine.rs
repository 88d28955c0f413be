//! The machine that a pickle is written for, without the part that calls anything.
//!
//! Values are numbers, texts in place, and containers in one list, so that nothing here recurses and everything
//! has a limit: instructions, stack, memo, containers, and what they hold. A name that is not on the list of
//! [`names`](super::names) ends the reading where it stands, whether it would have been called or not.
//!
//! Source: `pickletools.py` of Python, as facts (codes and arguments of protocols 2 to 5).

use super::values::{Item, Node, Pickled, Span};
use super::{MAX_HELD, MAX_MEMO, MAX_NODES, MAX_OPERATIONS, MAX_STACK};
use crate::cursor::Cursor;
use crate::error::{Error, Place, Quoted};

/// The longest line with a module or a name.
const MAX_LINE: usize = 256;

/// A pickle while it is walked through.
pub(super) struct Machine<'a> {
    cursor: Cursor<'a>,
    /// How errors call the pickle.
    name: &'static str,
    /// The present instruction and where it stands in the file.
    operation: &'static str,
    pub(super) offset: usize,
    stack: Vec<Item>,
    /// Heights of the stack.
    marks: Vec<u32>,
    memo: Vec<Option<Item>>,
    /// Items in all containers together.
    held: usize,
    pub(super) made: Pickled<'a>,
}

type Run<'a> = fn(&mut Machine<'a>) -> Result<(), Error>;

/// Walks through the pickle that begins at the cursor, of which `bytes` is all that may be.
pub(super) fn run<'a>(cursor: Cursor<'a>, bytes: &'a [u8], name: &'static str) -> Result<Pickled<'a>, Error> {
    let start = cursor.position();
    let bytes = bytes.get(start..).unwrap_or_default();
    let made = Pickled {
        root: Item::None,
        nodes: Vec::new(),
        items: Vec::new(),
        storages: Vec::new(),
        tensors: Vec::new(),
        start,
        end: start,
        bytes,
    };
    let (stack, marks, memo) = (Vec::new(), Vec::new(), Vec::new());
    let mut machine =
        Machine { cursor, name, operation: "", offset: start, stack, marks, memo, held: 0, made };
    for _ in 0..MAX_OPERATIONS {
        machine.offset = machine.cursor.position();
        machine.operation = "instruction";
        let code = machine.byte()?;
        let Some((operation, run)) = find(code) else {
            return Err(machine.invalid(format!("code 0x{code:02x}"), "an instruction of protocols 2 to 5"));
        };
        machine.operation = operation;
        if code == b'.' {
            machine.made.root = machine.pop()?;
            machine.made.end = machine.cursor.position();
            return Ok(machine.made);
        }
        run(&mut machine)?;
    }
    Err(machine.limit("instructions", MAX_OPERATIONS.saturating_add(1), MAX_OPERATIONS))
}

/// The instruction with this code.
fn find<'a>(code: u8) -> Option<(&'static str, Run<'a>)> {
    let found: (&'static str, Run<'a>) = match code {
        0x80 => ("PROTO", Machine::protocol),
        0x95 => ("FRAME", |machine| machine.length(8).map(|_| ())),
        b'.' => ("STOP", |_| Ok(())),
        b'(' => ("MARK", Machine::mark),
        b'0' => ("POP", |machine| machine.pop().map(|_| ())),
        b'1' => ("POP_MARK", |machine| machine.since_mark().map(|_| ())),
        b'2' => ("DUP", |machine| machine.top().and_then(|item| machine.push(item))),
        b'N' => ("NONE", |machine| machine.push(Item::None)),
        0x88 => ("NEWTRUE", |machine| machine.push(Item::Bool(true))),
        0x89 => ("NEWFALSE", |machine| machine.push(Item::Bool(false))),
        b'J' => ("BININT", |machine| machine.number(4)),
        b'K' => ("BININT1", |machine| machine.number(1)),
        b'M' => ("BININT2", |machine| machine.number(2)),
        0x8a => ("LONG1", |machine| machine.long(1)),
        0x8b => ("LONG4", |machine| machine.long(4)),
        b'G' => ("BINFLOAT", Machine::float),
        b'X' => ("BINUNICODE", |machine| machine.text(4)),
        0x8c => ("SHORT_BINUNICODE", |machine| machine.text(1)),
        0x8d => ("BINUNICODE8", |machine| machine.text(8)),
        b'U' => ("SHORT_BINSTRING", |machine| machine.bytes(1, Item::Text)),
        b'T' => ("BINSTRING", |machine| machine.bytes(4, Item::Text)),
        b'C' => ("SHORT_BINBYTES", |machine| machine.bytes(1, Item::Bytes)),
        b'B' => ("BINBYTES", |machine| machine.bytes(4, Item::Bytes)),
        0x8e => ("BINBYTES8", |machine| machine.bytes(8, Item::Bytes)),
        0x96 => ("BYTEARRAY8", |machine| machine.bytes(8, Item::Bytes)),
        b')' => ("EMPTY_TUPLE", |machine| machine.tuple(0)),
        0x85 => ("TUPLE1", |machine| machine.tuple(1)),
        0x86 => ("TUPLE2", |machine| machine.tuple(2)),
        0x87 => ("TUPLE3", |machine| machine.tuple(3)),
        b't' => ("TUPLE", Machine::tuple_since_mark),
        b']' => ("EMPTY_LIST", |machine| machine.keep(Node::List(Vec::new()))),
        b'l' => ("LIST", Machine::list_since_mark),
        b'a' => ("APPEND", Machine::append),
        b'e' => ("APPENDS", Machine::append_since_mark),
        b'}' => ("EMPTY_DICT", |machine| machine.keep(Node::Dict(Vec::new()))),
        b'd' => ("DICT", Machine::dict_since_mark),
        b's' => ("SETITEM", Machine::set),
        b'u' => ("SETITEMS", Machine::set_since_mark),
        b'q' => ("BINPUT", |machine| machine.put(1)),
        b'r' => ("LONG_BINPUT", |machine| machine.put(4)),
        0x94 => ("MEMOIZE", |machine| machine.put(0)),
        b'h' => ("BINGET", |machine| machine.get(1)),
        b'j' => ("LONG_BINGET", |machine| machine.get(4)),
        b'c' => ("GLOBAL", Machine::global),
        0x93 => ("STACK_GLOBAL", Machine::stack_global),
        b'R' => ("REDUCE", Machine::reduce),
        b'b' => ("BUILD", Machine::build),
        b'Q' => ("BINPERSID", Machine::persistent),
        b'i' => ("INST", Machine::instance),
        other => (refused(other)?, |machine| Err(machine.refuse("this instruction".into()))),
    };
    Some(found)
}

/// Instructions that are known and never followed: those that make objects of classes or of registered codes,
/// those of the textual protocol 0, and those that no state dict holds.
fn refused(code: u8) -> Option<&'static str> {
    Some(match code {
        b'o' => "OBJ",
        0x81 => "NEWOBJ",
        0x92 => "NEWOBJ_EX",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        b'P' => "PERSID",
        b'I' => "INT",
        b'L' => "LONG",
        b'F' => "FLOAT",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'g' => "GET",
        b'p' => "PUT",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return None,
    })
}

impl Machine<'_> {
    pub(super) fn place(&self) -> Place {
        self.cursor.place(&format_args!("{}: {}", self.name, self.operation), self.offset)
    }

    pub(super) fn invalid(&self, found: String, expected: &'static str) -> Error {
        Error::Invalid { at: self.place(), found, expected }
    }

    pub(super) fn refuse(&self, asked: String) -> Error {
        Error::Refused { at: self.place(), asked }
    }

    /// A limit that is passed, of something that is counted.
    pub(super) fn limit(&self, what: &'static str, claimed: usize, limit: usize) -> Error {
        let field = format_args!("{}: {}: {what}", self.name, self.operation);
        let at = self.cursor.place(&field, self.offset);
        Error::Limit { at, claimed: claimed as u64, limit: limit as u64 }
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.cursor.u8(&Field(self.name, self.operation))
    }

    pub(super) fn push(&mut self, item: Item) -> Result<(), Error> {
        if self.stack.len() >= MAX_STACK {
            return Err(self.limit("height of the stack", self.stack.len().saturating_add(1), MAX_STACK));
        }
        self.stack.push(item);
        Ok(())
    }

    /// The height below which the present mark lies.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or_default() as usize
    }

    pub(super) fn pop(&mut self) -> Result<Item, Error> {
        self.top()?;
        Ok(self.stack.pop().unwrap_or(Item::None))
    }

    fn top(&self) -> Result<Item, Error> {
        let is_there = self.stack.len() > self.floor();
        let top = if is_there { self.stack.last().copied() } else { None };
        top.ok_or_else(|| self.invalid("an empty stack".into(), "a value on it"))
    }

    fn mark(&mut self) -> Result<(), Error> {
        if self.marks.len() >= MAX_STACK {
            return Err(self.limit("marks", self.marks.len().saturating_add(1), MAX_STACK));
        }
        self.marks.push(u32::try_from(self.stack.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Item>, Error> {
        let height = self.unmark()?;
        Ok(self.stack.split_off(height))
    }

    /// The height of the stack where the last mark was set.
    fn unmark(&mut self) -> Result<usize, Error> {
        match self.marks.pop() {
            Some(height) => Ok((height as usize).min(self.stack.len())),
            None => Err(self.invalid("no mark".into(), "a mark on the stack")),
        }
    }

    /// Counts items that a container will hold.
    pub(super) fn hold(&mut self, count: usize) -> Result<(), Error> {
        self.held = self.held.saturating_add(count);
        if self.held > MAX_HELD {
            return Err(self.limit("values in containers", self.held, MAX_HELD));
        }
        Ok(())
    }

    /// A new container, on the stack.
    pub(super) fn keep(&mut self, node: Node) -> Result<(), Error> {
        let number = self.made.nodes.len();
        if number >= MAX_NODES {
            return Err(self.limit("containers", number.saturating_add(1), MAX_NODES));
        }
        self.made.nodes.push(node);
        self.push(Item::Node(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    fn tuple(&mut self, count: usize) -> Result<(), Error> {
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= self.floor());
        let Some(start) = start else {
            return Err(self.invalid("too few values on the stack".into(), "one to three of them"));
        };
        self.keep_tuple(start)
    }

    fn tuple_since_mark(&mut self) -> Result<(), Error> {
        let start = self.unmark()?;
        self.keep_tuple(start)
    }

    /// A tuple of what stands on the stack from `start` on.
    fn keep_tuple(&mut self, start: usize) -> Result<(), Error> {
        let taken = self.stack.get(start..).unwrap_or_default();
        let (first, count) = (self.made.items.len(), taken.len());
        self.made.items.extend_from_slice(taken);
        self.stack.truncate(start);
        self.hold(count)?;
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.keep(Node::Tuple(short(first), short(count)))
    }

    fn list_since_mark(&mut self) -> Result<(), Error> {
        let items = self.since_mark()?;
        self.hold(items.len())?;
        self.keep(Node::List(items))
    }

    fn dict_since_mark(&mut self) -> Result<(), Error> {
        self.keep(Node::Dict(Vec::new()))?;
        let dict = self.pop()?;
        let items = self.since_mark()?;
        self.push(dict)?;
        self.set_items(&items)
    }

    fn append(&mut self) -> Result<(), Error> {
        let item = self.pop()?;
        self.append_items(&[item])
    }

    fn append_since_mark(&mut self) -> Result<(), Error> {
        let items = self.since_mark()?;
        self.append_items(&items)
    }

    fn append_items(&mut self, items: &[Item]) -> Result<(), Error> {
        self.hold(items.len())?;
        let top = self.top()?;
        match self.node(top) {
            Some(Node::List(list)) => list.extend_from_slice(items),
            _ => return Err(self.invalid(self.made.describe(top), "a list to add to")),
        }
        Ok(())
    }

    fn set(&mut self) -> Result<(), Error> {
        let value = self.pop()?;
        let key = self.pop()?;
        self.set_items(&[key, value])
    }

    fn set_since_mark(&mut self) -> Result<(), Error> {
        let items = self.since_mark()?;
        self.set_items(&items)
    }

    /// Adds pairs to the dict on the stack.
    fn set_items(&mut self, items: &[Item]) -> Result<(), Error> {
        self.hold(items.len())?;
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(self.invalid(format!("{} values", items.len()), "keys and values in pairs"));
        };
        let top = self.top()?;
        match self.node(top) {
            Some(Node::Dict(dict) | Node::Ordered(dict)) => {
                dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err(self.invalid(self.made.describe(top), "a dict to add to")),
        }
        Ok(())
    }

    fn node(&mut self, item: Item) -> Option<&mut Node> {
        let Item::Node(number) = item else { return None };
        self.made.nodes.get_mut(number as usize)
    }

    /// Stores the value on the stack under a number of so many bytes; of none, under the next number.
    fn put(&mut self, width: usize) -> Result<(), Error> {
        let index = if width == 0 { self.memo.len() } else { self.length(width)? };
        if index >= MAX_MEMO {
            return Err(self.limit("number in the memo", index, MAX_MEMO));
        }
        let item = self.top()?;
        if index >= self.memo.len() {
            self.memo.resize(index.saturating_add(1), None);
        }
        if let Some(slot) = self.memo.get_mut(index) {
            *slot = Some(item);
        }
        Ok(())
    }

    fn get(&mut self, width: usize) -> Result<(), Error> {
        let index = self.length(width)?;
        let item = self.memo.get(index).copied().flatten();
        let item = item.ok_or_else(|| self.invalid(format!("number {index}"), "a number in the memo"))?;
        self.push(item)
    }

    fn protocol(&mut self) -> Result<(), Error> {
        match self.byte()? {
            2..=5 => Ok(()),
            found => Err(Error::Version { at: self.place(), found: found.into(), readable: "2 to 5" }),
        }
    }

    /// A number of one, two, four or eight bytes without a sign.
    fn length(&mut self, width: usize) -> Result<usize, Error> {
        let field = Field(self.name, self.operation);
        let number = match width {
            1 => self.cursor.u8(&field)?.into(),
            2 => self.cursor.u16(&field)?.into(),
            4 => self.cursor.u32(&field)?.into(),
            _ => self.cursor.u64(&field)?,
        };
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    fn number(&mut self, width: usize) -> Result<(), Error> {
        let number = match width {
            4 => self.cursor.i32(&Field(self.name, self.operation))?.into(),
            _ => i64::try_from(self.length(width)?).unwrap_or(i64::MAX),
        };
        self.push(Item::Int(number))
    }

    /// A whole number of as many bytes as a length of `width` bytes says, in two's complement.
    fn long(&mut self, width: usize) -> Result<(), Error> {
        let span = self.span(width)?;
        let bytes = self.made.bytes(span);
        if bytes.len() > size_of::<i64>() {
            return self.push(Item::Long(span));
        }
        let fill = if bytes.last().is_some_and(|last| *last >= 0x80) { 0xff } else { 0 };
        let mut wide = [fill; size_of::<i64>()];
        wide.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        self.push(Item::Int(i64::from_le_bytes(wide)))
    }

    fn float(&mut self) -> Result<(), Error> {
        let bytes = self.cursor.array(&Field(self.name, self.operation))?;
        self.push(Item::Float(f64::from_be_bytes(bytes)))
    }

    /// The bytes behind a length of `width` bytes.
    fn span(&mut self, width: usize) -> Result<Span, Error> {
        let length = self.length(width)?;
        let start = self.cursor.position().saturating_sub(self.made.start);
        self.cursor.take(length, &Field(self.name, self.operation))?;
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Span { start: short(start), length: short(length) })
    }

    fn text(&mut self, width: usize) -> Result<(), Error> {
        let span = self.span(width)?;
        if let Err(problem) = std::str::from_utf8(self.made.bytes(span)) {
            let start = self.made.start.saturating_add(span.start as usize);
            let mut at = self.place();
            at.offset = start.saturating_add(problem.valid_up_to()) as u64;
            return Err(Error::Text { at });
        }
        self.push(Item::Text(span))
    }

    /// Bytes, or the text of Python 2, which may be bytes.
    fn bytes(&mut self, width: usize, kind: fn(Span) -> Item) -> Result<(), Error> {
        let span = self.span(width)?;
        let is_text = std::str::from_utf8(self.made.bytes(span)).is_ok();
        self.push(if is_text { kind(span) } else { Item::Bytes(span) })
    }

    fn global(&mut self) -> Result<(), Error> {
        let (module, name) = self.two_lines()?;
        self.push_global(module, name)
    }

    fn stack_global(&mut self) -> Result<(), Error> {
        let name = self.pop()?;
        let module = self.pop()?;
        let (Item::Text(module), Item::Text(name)) = (module, name) else {
            let found = format!("{} and {}", self.made.describe(module), self.made.describe(name));
            return Err(self.invalid(found, "a module and a name"));
        };
        let (module, name) = (self.made.text(module), self.made.text(name));
        self.push_global(module, name)
    }

    fn push_global(&mut self, module: &str, name: &str) -> Result<(), Error> {
        match super::names::find(module, name) {
            Some(global) => self.push(Item::Global(global)),
            None => Err(self.refuse(Quoted(&dotted(module, name)).to_string())),
        }
    }

    /// Never followed: names what it would have made.
    fn instance(&mut self) -> Result<(), Error> {
        let (module, name) = self.two_lines()?;
        Err(self.refuse(Quoted(&dotted(module, name)).to_string()))
    }
}

impl<'a> Machine<'a> {
    fn two_lines(&mut self) -> Result<(&'a str, &'a str), Error> {
        let field = Field(self.name, self.operation);
        Ok((self.cursor.line(&field, MAX_LINE)?, self.cursor.line(&field, MAX_LINE)?))
    }
}

/// A pickle and its instruction, written only where an error names them.
struct Field(&'static str, &'static str);

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

/// A module and a name as Python writes them, of which a hundred letters are enough.
fn dotted(module: &str, name: &str) -> String {
    module.chars().take(100).chain(['.']).chain(name.chars().take(100)).collect()
}
