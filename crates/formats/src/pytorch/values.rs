//! What a pickle can make here: numbers, texts in place, containers, and what stands for storages and tensors.
//!
//! Containers lie in one list and are named by their number, so that a value is small and nothing recurses. Does
//! not know instructions.

use super::names::Global;
use crate::Dtype;
use crate::error::Quoted;

/// A value; containers, storages and tensors by their number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than eight bytes.
    Long(Span),
    Float(f64),
    Text(Span),
    Bytes(Span),
    Global(Global),
    Node(u32),
    Storage(u32),
    Tensor(u32),
}

/// A piece of the pickle, counted from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub length: u32,
}

/// A container.
#[derive(Debug)]
pub(super) enum Node {
    /// So many of the items of all tuples, from the first number on.
    Tuple(u32, u32),
    List(Vec<Item>),
    Dict(Vec<(Item, Item)>),
    /// An `OrderedDict`; it alone may be given an attribute, which is dropped.
    Ordered(Vec<(Item, Item)>),
}

/// A storage as the pickle names it, unchecked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    /// `None`: bytes without a type.
    pub dtype: Option<Dtype>,
    pub key: Span,
    /// In elements of its type.
    pub n_elements: u64,
    /// Where the instruction stands in the file.
    pub offset: usize,
}

/// A tensor as the pickle describes it, unchecked.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub storage: u32,
    pub dtype: Dtype,
    /// In elements.
    pub first: u64,
    pub shape: Box<[u64]>,
    /// In elements, of each dimension.
    pub strides: Box<[u64]>,
    /// Where the instruction stands in the file.
    pub offset: usize,
}

/// What a pickle says, once it is walked through.
pub(super) struct Pickled<'a> {
    pub root: Item,
    pub nodes: Vec<Node>,
    /// The items of all tuples.
    pub items: Vec<Item>,
    pub storages: Vec<Storage>,
    pub tensors: Vec<Tensor>,
    /// Where it begins, and one past its last byte, in the file.
    pub start: usize,
    pub end: usize,
    /// The pickle, and for the form before 1.6 what follows it.
    pub bytes: &'a [u8],
}

impl<'a> Pickled<'a> {
    /// The text of a span.
    pub fn text(&self, span: Span) -> &'a str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: Span) -> &'a [u8] {
        let end = (span.start as usize).saturating_add(span.length as usize);
        self.bytes.get(span.start as usize..end).unwrap_or_default()
    }

    /// The pairs of a dict of either kind.
    pub fn dict(&self, item: Item) -> Option<&[(Item, Item)]> {
        match self.node(item)? {
            Node::Dict(pairs) | Node::Ordered(pairs) => Some(pairs),
            Node::Tuple(..) | Node::List(_) => None,
        }
    }

    /// The items of a tuple or a list.
    pub fn sequence(&self, item: Item) -> Option<&[Item]> {
        match self.node(item)? {
            Node::Tuple(start, length) => {
                let end = (*start as usize).saturating_add(*length as usize);
                self.items.get(*start as usize..end)
            }
            Node::List(items) => Some(items),
            Node::Dict(_) | Node::Ordered(_) => None,
        }
    }

    fn node(&self, item: Item) -> Option<&Node> {
        let Item::Node(number) = item else { return None };
        self.nodes.get(number as usize)
    }

    /// What kind of thing an item is, as errors say it.
    pub fn describe(&self, item: Item) -> String {
        match item {
            Item::None => "nothing".into(),
            Item::Bool(flag) => flag.to_string(),
            Item::Int(number) => number.to_string(),
            Item::Long(_) => "a long number".into(),
            Item::Float(number) => number.to_string(),
            Item::Text(span) => Quoted(self.text(span)).to_string(),
            Item::Bytes(span) => format!("{} bytes", span.length),
            Item::Global(global) => global.to_string(),
            Item::Storage(_) => "a storage".into(),
            Item::Tensor(_) => "a tensor".into(),
            Item::Node(_) => match (self.sequence(item), self.dict(item)) {
                (Some(items), _) => format!("a list of {}", items.len()),
                (_, Some(pairs)) => format!("a dict of {}", pairs.len()),
                _ => "a container".into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_small() {
        assert_eq!((size_of::<Item>(), size_of::<Option<Item>>(), size_of::<Node>()), (16, 16, 32));
    }
}
