//! What the operations of one rendering share: its marks, its budget and why it was stopped.
//!
//! Every operation says how much it looks at or builds before it does, so that no template runs long or grows large
//! whatever it is written to do.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering as Memory};

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{ErrorKind, State, Value};

use super::CivilTime;
use super::objects::{Generator, Method, is_generator};
use super::twins::Twins;

/// The engine's error inside operations; its detail is shown to the person.
pub(crate) type Fail = minijinja::Error;

/// Deepest nesting of lists and maps.
pub(crate) const MAX_DEPTH: usize = 64;
/// Most `namespace()` objects in one rendering.
const MAX_NAMESPACES: u64 = 256;

/// What one element costs, in bytes of the budget: about the time that copying so many bytes takes.
const ELEMENT: usize = 64;

/// Why a rendering was stopped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The template called `raise_exception`.
    Raised(String),
    /// The template builds or looks at more than it may.
    Work,
    /// One string, or the output, is longer than it may be.
    Length,
}

/// What one rendering shares.
#[derive(Debug)]
pub(crate) struct Scope {
    pub twins: Twins,
    pub now: Option<CivilTime>,
    work: AtomicU64,
    namespaces: AtomicU64,
    output: AtomicU64,
    longest: usize,
    fault: Mutex<Option<Fault>>,
}

impl Scope {
    pub fn new(twins: Twins, now: Option<CivilTime>, work: u64, longest: usize) -> Self {
        let (work, namespaces) = (AtomicU64::new(work), AtomicU64::new(MAX_NAMESPACES));
        let output = AtomicU64::new(longest as u64);
        Self { twins, now, work, namespaces, output, longest, fault: Mutex::new(None) }
    }

    /// Takes `amount` (about bytes or elements) from the budget.
    pub fn charge(&self, amount: usize) -> Result<(), Fail> {
        let take = |left: u64| left.checked_sub(amount as u64);
        match self.work.fetch_update(Memory::Relaxed, Memory::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.stop(Fault::Work, "the template does too much work")),
        }
    }

    /// Takes a string of this length from the budget.
    pub fn charge_string(&self, length: usize) -> Result<(), Fail> {
        if length > self.longest {
            return Err(self.stop(Fault::Length, "a string is too long"));
        }
        self.charge(length)
    }

    /// Takes what is written out from the budget, and from the length of the output.
    pub fn charge_output(&self, length: usize) -> Result<(), Fail> {
        let take = |left: u64| left.checked_sub(length as u64);
        match self.output.fetch_update(Memory::Relaxed, Memory::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.stop(Fault::Length, "the output is too long")),
        }
    }

    pub fn charge_namespace(&self) -> Result<(), Fail> {
        match self.namespaces.fetch_update(Memory::Relaxed, Memory::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.stop(Fault::Work, "the template makes too many namespaces")),
        }
    }

    /// Remembers why the rendering stops.
    pub fn stop(&self, fault: Fault, message: &str) -> Fail {
        *self.fault.lock().expect("no thread panics while it holds this lock") = Some(fault);
        fail(message.to_owned())
    }

    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().expect("no thread panics while it holds this lock").clone()
    }

    /// The text of a string without marks.
    pub fn plain<'a>(&self, value: &'a Value) -> Option<Cow<'a, str>> {
        value.as_str().map(|text| self.twins.plain(text))
    }

    /// Python's `==`, whatever the marks.
    pub fn equal(&self, a: &Value, b: &Value) -> Result<bool, Fail> {
        self.equal_at(a, b, 0)
    }

    fn equal_at(&self, a: &Value, b: &Value, depth: usize) -> Result<bool, Fail> {
        self.charge(1)?;
        if is_generator(a) || is_generator(b) {
            return Ok(false);
        }
        if depth > MAX_DEPTH {
            return Err(fail("values are nested too deeply".into()));
        }
        if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
            self.charge(a.len().min(b.len()))?;
            return Ok(a == b || self.twins.plain(a) == self.twins.plain(b));
        }
        match (a.kind(), b.kind()) {
            (ValueKind::Seq | ValueKind::Iterable, ValueKind::Seq | ValueKind::Iterable) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.try_iter()?.zip(b.try_iter()?) {
                    if !self.equal_at(&a, &b, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (ValueKind::Map, ValueKind::Map) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for key in a.try_iter()? {
                    let (left, right) = (a.get_item(&key)?, b.get_item(&key)?);
                    if right.is_undefined() || !self.equal_at(&left, &right, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (ValueKind::Seq | ValueKind::Iterable | ValueKind::Map, _) => Ok(false),
            (_, ValueKind::Seq | ValueKind::Iterable | ValueKind::Map) => Ok(false),
            // Python counts True as 1 and False as 0.
            (ValueKind::Bool, ValueKind::Number) => Ok(Value::from(i64::from(a.is_true())) == *b),
            (ValueKind::Number, ValueKind::Bool) => Ok(Value::from(i64::from(b.is_true())) == *a),
            _ => Ok(a == b),
        }
    }

    /// Order of two numbers or two strings.
    pub fn order(&self, a: &Value, b: &Value) -> Result<Ordering, Fail> {
        if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
            self.charge(a.len().min(b.len()) + 1)?;
            return Ok(self.twins.plain(a).cmp(&self.twins.plain(b)));
        }
        let is_number = |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
        if !is_number(a) || !is_number(b) {
            return Err(fail(format!("{} and {} have no order", a.kind(), b.kind())));
        }
        self.charge(1)?;
        Ok(a.cmp(b))
    }
}

/// One call of an operation.
pub(crate) struct Call<'a> {
    pub scope: &'a Scope,
    pub state: &'a State<'a, 'a>,
    /// The value that is operated on, then the arguments by position.
    pub args: Vec<Value>,
    kwargs: Option<Kwargs>,
}

impl<'a> Call<'a> {
    pub fn new(
        scope: &'a Scope,
        state: &'a State<'_, '_>,
        Rest(mut args): Rest<Value>,
    ) -> Result<Self, Fail> {
        let kwargs = match args.last().is_some_and(Value::is_kwargs) {
            true => args.pop().map(Kwargs::try_from).transpose()?,
            false => None,
        };
        Ok(Self { scope, state, args, kwargs })
    }

    /// The same call with other arguments.
    pub fn with(&self, args: Vec<Value>) -> Self {
        Self { scope: self.scope, state: self.state, args, kwargs: None }
    }

    /// The value that is operated on.
    pub fn subject(&self) -> Result<&Value, Fail> {
        self.args.first().ok_or_else(|| fail("an argument is missing".into()))
    }

    /// The string that is operated on, with its marks; its length is charged.
    pub fn subject_text(&self) -> Result<&str, Fail> {
        let subject = self.subject()?;
        let text =
            subject.as_str().ok_or_else(|| fail(format!("expected a string, got {}", subject.kind())))?;
        self.scope.charge(text.len())?;
        Ok(text)
    }

    /// Argument 1, 2, … by place or by name.
    pub fn argument(&self, place: usize, name: &str) -> Option<Value> {
        let named = || self.kwargs.as_ref().and_then(|kwargs| kwargs.peek::<Value>(name).ok());
        self.args.get(place).cloned().or_else(named).filter(|value| !value.is_undefined())
    }

    /// An argument as text without marks.
    pub fn text(&self, place: usize, name: &str) -> Result<Option<String>, Fail> {
        let Some(value) = self.argument(place, name).filter(|value| !value.is_none()) else {
            return Ok(None);
        };
        let text = self.scope.plain(&value).ok_or_else(|| fail(format!("{name} is no string")))?;
        Ok(Some(text.into_owned()))
    }

    /// An argument as a whole number.
    pub fn integer(&self, place: usize, name: &str) -> Result<Option<i64>, Fail> {
        let Some(value) = self.argument(place, name).filter(|value| !value.is_none()) else {
            return Ok(None);
        };
        value.as_i64().map(Some).ok_or_else(|| fail(format!("{name} is no whole number")))
    }

    /// Names of the arguments that were given by name.
    pub fn named(&self) -> Vec<(String, Value)> {
        let Some(kwargs) = &self.kwargs else { return Vec::new() };
        kwargs.args().filter_map(|name| Some((name.to_owned(), kwargs.peek::<Value>(name).ok()?))).collect()
    }

    /// The elements of a list, the keys of a map, the letters of a string; charged.
    pub fn items(&self) -> Result<Vec<Value>, Fail> {
        self.scope.items(self.subject()?)
    }
}

impl Scope {
    /// The elements of a list, the keys of a map, the letters of a string; charged.
    pub fn items(&self, value: &Value) -> Result<Vec<Value>, Fail> {
        if let Some(text) = value.as_str() {
            self.charge(text.len())?;
            return Ok(text.chars().map(|letter| Value::from(letter.to_string())).collect());
        }
        if value.is_none() {
            return Err(fail("none has no elements".into()));
        }
        let items = value.try_iter()?;
        let mut all = Vec::new();
        for item in items {
            self.charge(ELEMENT)?;
            all.push(item);
        }
        Ok(all)
    }

    /// Fails if a value that is about to become an element is nested too deeply.
    pub fn check_depth(&self, value: &Value) -> Result<(), Fail> {
        self.depth_below(value, MAX_DEPTH - 1)
    }

    fn depth_below(&self, value: &Value, left: usize) -> Result<(), Fail> {
        let inner = match (value.downcast_object_ref::<Generator>(), value.downcast_object_ref::<Method>()) {
            (Some(generator), _) => Some(generator.left()),
            (None, Some(method)) => Some(vec![method.subject().clone()]),
            (None, None) => None,
        };
        if inner.is_none() && !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
            return Ok(());
        }
        if left == 0 {
            return Err(self.stop(Fault::Work, "values are nested too deeply"));
        }
        if let Some(inner) = inner {
            self.charge(ELEMENT.saturating_mul(inner.len()))?;
            return inner.iter().try_for_each(|item| self.depth_below(item, left - 1));
        }
        for item in self.items(value)? {
            if value.kind() == ValueKind::Map {
                self.depth_below(&value.get_item(&item)?, left - 1)?;
            } else {
                self.depth_below(&item, left - 1)?;
            }
        }
        Ok(())
    }
}

/// An error with a message.
pub(crate) fn fail(message: String) -> Fail {
    Fail::new(ErrorKind::InvalidOperation, message)
}
