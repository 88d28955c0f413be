//! What the listed names come to: dicts, storages and tensors, noted as the pickle describes them.
//!
//! Only the shapes of arguments are checked here; whether a storage is there and a tensor lies inside it is
//! checked when its name is known.
//!
//! Source: `torch/_utils.py` and `torch/serialization.py` (the order of arguments), as facts.

use super::machine::Machine;
use super::names::{Global, Rebuild};
use super::values::{Item, Node, Storage, Tensor};
use super::{MAX_DIMENSIONS, MAX_TENSORS};
use crate::error::{Error, Quoted};

/// The most arguments that a listed name takes.
const MAX_ARGUMENTS: usize = 8;
/// The one attribute that a state dict may carry: versions of its modules. It is dropped.
const ATTRIBUTE: &str = "_metadata";

impl Machine<'_> {
    /// `REDUCE`: a listed name and a tuple of arguments become a value.
    pub(super) fn reduce(&mut self) -> Result<(), Error> {
        let arguments = self.pop()?;
        let callable = self.pop()?;
        let Item::Global(global) = callable else {
            return Err(self.refuse(format!("a call of {}", self.made.describe(callable))));
        };
        let arguments = self.short_list(arguments, "a tuple of at most eight arguments", MAX_ARGUMENTS)?;
        match (global, arguments.as_slice()) {
            (Global::OrderedDict, arguments) => self.ordered_dict(arguments),
            (Global::Tensor(form), arguments) => self.tensor(form, arguments),
            (Global::Parameter, [tensor @ Item::Tensor(_), _, _]) => self.push(*tensor),
            (Global::Size, [sizes @ Item::Node(_)]) => self.push(*sizes),
            (Global::Device, [_] | [_, _]) => self.push(Item::None),
            (global, arguments) => {
                Err(self.refuse(format!("a call of {global} with {} arguments", arguments.len())))
            }
        }
    }

    /// `BUILD`: nothing is set on anything; the attribute that state dicts carry is passed over.
    pub(super) fn build(&mut self) -> Result<(), Error> {
        let state = self.pop()?;
        let object = self.pop()?;
        let is_ordered = match object {
            Item::Node(number) => matches!(self.made.nodes.get(number as usize), Some(Node::Ordered(_))),
            _ => false,
        };
        if !is_ordered {
            return Err(self.refuse(format!("attributes on {}", self.made.describe(object))));
        }
        let pairs = self.made.dict(state).unwrap_or_default();
        let is_known = |key: Item| matches!(key, Item::Text(span) if self.made.text(span) == ATTRIBUTE);
        match pairs.iter().find(|(key, _)| !is_known(*key)) {
            None if self.made.dict(state).is_some() => self.push(object),
            None => Err(self.refuse(format!("the state {}", self.made.describe(state)))),
            Some((key, _)) => Err(self.refuse(format!("the attribute {}", self.made.describe(*key)))),
        }
    }

    fn ordered_dict(&mut self, arguments: &[Item]) -> Result<(), Error> {
        let pairs = match arguments {
            [] => Vec::new(),
            [list] => {
                let pairs = self.pairs(*list)?;
                self.hold(pairs.len().saturating_mul(2))?;
                pairs
            }
            more => return Err(self.invalid(format!("{} arguments", more.len()), "none, or a list of pairs")),
        };
        self.keep(Node::Ordered(pairs))
    }

    fn pairs(&self, list: Item) -> Result<Vec<(Item, Item)>, Error> {
        let wrong = || self.invalid(self.made.describe(list), "a list of pairs");
        let list = self.made.sequence(list).ok_or_else(wrong)?;
        // Such lists come from Python 2, in which a state dict was one; they are as long as its tensors.
        if list.len() > MAX_TENSORS {
            return Err(self.limit("pairs", list.len(), MAX_TENSORS));
        }
        let pair = |item: &Item| match self.made.sequence(*item) {
            Some([key, value]) => Ok((*key, *value)),
            _ => Err(wrong()),
        };
        list.iter().map(pair).collect()
    }

    /// `BINPERSID`: a storage, by type, key, place and number of elements.
    pub(super) fn persistent(&mut self) -> Result<(), Error> {
        let expected = "a storage: its type, key, place and size";
        let tuple = self.pop()?;
        let parts = self.short_list(tuple, expected, MAX_ARGUMENTS)?;
        let (name, dtype, key, n_elements) = match parts.as_slice() {
            // The form before 1.6 has a sixth part, for views that were given up before 1.0.
            [
                Item::Text(name),
                Item::Global(Global::Storage(dtype)),
                Item::Text(key),
                Item::Text(_),
                Item::Int(n),
            ]
            | [
                Item::Text(name),
                Item::Global(Global::Storage(dtype)),
                Item::Text(key),
                Item::Text(_),
                Item::Int(n),
                Item::None,
            ] => (*name, *dtype, *key, *n),
            _ => return Err(self.invalid(self.made.describe(tuple), expected)),
        };
        if self.made.text(name) != "storage" {
            return Err(self.invalid(self.made.describe(Item::Text(name)), "\"storage\""));
        }
        let n_elements = u64::try_from(n_elements)
            .map_err(|_| self.invalid(format!("a storage of {n_elements} elements"), "a count"))?;
        let number = self.made.storages.len();
        if number >= MAX_TENSORS {
            return Err(self.limit("storages", number.saturating_add(1), MAX_TENSORS));
        }
        self.made.storages.push(Storage { dtype, key, n_elements, offset: self.offset });
        self.push(Item::Storage(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    fn tensor(&mut self, form: Rebuild, arguments: &[Item]) -> Result<(), Error> {
        let own_type = match (form, arguments) {
            (Rebuild::First, [_, _, _, _]) => None,
            (Rebuild::Second, [_, _, _, _, _, _] | [_, _, _, _, _, _, _]) => None,
            (
                Rebuild::Third,
                [_, _, _, _, _, _, Item::Global(Global::Dtype(dtype))]
                | [_, _, _, _, _, _, Item::Global(Global::Dtype(dtype)), _],
            ) => Some(*dtype),
            _ => return Err(self.invalid(format!("{} arguments", arguments.len()), "those of a tensor")),
        };
        let [Item::Storage(storage), Item::Int(first), shape, strides, ..] = *arguments else {
            return Err(self.invalid("other arguments".into(), "a storage, an offset, a shape and strides"));
        };
        let stored = self.made.storages.get(storage as usize).and_then(|storage| storage.dtype);
        let Some(dtype) = own_type.or(stored) else {
            return Err(self.invalid("a storage without a type".into(), "a typed storage, or a type"));
        };
        let first = self.count(Item::Int(first), "an offset")?;
        let shape = self.sizes(shape)?;
        let strides = self.sizes(strides)?;
        if shape.len() != strides.len() {
            let found = format!("{} dimensions and {} strides", shape.len(), strides.len());
            return Err(self.invalid(found, "as many of both"));
        }
        let number = self.made.tensors.len();
        if number >= MAX_TENSORS {
            return Err(self.limit("tensors", number.saturating_add(1), MAX_TENSORS));
        }
        self.made.tensors.push(Tensor { storage, dtype, first, shape, strides, offset: self.offset });
        self.push(Item::Tensor(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    fn sizes(&self, list: Item) -> Result<Box<[u64]>, Error> {
        let sizes = self.short_list(list, "at most eight dimensions", MAX_DIMENSIONS)?;
        sizes.into_iter().map(|size| self.count(size, "a size")).collect()
    }

    fn count(&self, item: Item, expected: &'static str) -> Result<u64, Error> {
        match item {
            Item::Int(number) if number >= 0 => Ok(number.unsigned_abs()),
            other => Err(self.invalid(self.made.describe(other), expected)),
        }
    }

    /// A tuple or a list of at most `limit` items, taken out, since containers are shared.
    fn short_list(&self, item: Item, expected: &'static str, limit: usize) -> Result<Vec<Item>, Error> {
        match self.made.sequence(item) {
            Some(items) if items.len() <= limit => Ok(items.to_vec()),
            _ => Err(self.invalid(self.made.describe(item), expected)),
        }
    }
}

/// How an error names a tensor of a state dict.
pub(super) fn tensor_field(name: &str) -> String {
    format!("tensor {}", Quoted(name))
}
