//! Python values that the engine lacks: generators, methods that are named but not called, and Jinja's joiner.
//!
//! `map`, `select` and their kin give a generator: always true, without a length, no JSON, and empty once it has been
//! read. `value.items` without a call is the method itself, also where the map has such a key, and always true.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{State, Value};

use super::scope::{Fail, Scope, fail};

/// Elements that can be read once.
#[derive(Debug)]
pub(crate) struct Generator(Mutex<Vec<Value>>);

impl Generator {
    /// A generator of these elements; they may not be nested too deeply.
    pub fn value(scope: &Scope, items: Vec<Value>) -> Result<Value, Fail> {
        items.iter().try_for_each(|item| scope.check_depth(item))?;
        Ok(Value::from_object(Self(Mutex::new(items))))
    }

    /// What is left in it.
    pub fn left(&self) -> Vec<Value> {
        self.0.lock().expect("no thread panics while it holds this lock").clone()
    }
}

/// Whether a value is a generator.
pub(crate) fn is_generator(value: &Value) -> bool {
    value.downcast_object_ref::<Generator>().is_some()
}

/// An error where a value is a generator.
pub(crate) fn no_generator(value: &Value, what: &str) -> Result<(), Fail> {
    if is_generator(value) { Err(fail(format!("a generator has no {what}"))) } else { Ok(()) }
}

impl Object for Generator {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let mut items = self.0.lock().expect("no thread panics while it holds this lock");
        Enumerator::Values(std::mem::take(&mut *items))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        None
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

/// A method of a value.
#[derive(Debug)]
pub(crate) struct Method {
    subject: Value,
    name: String,
}

impl Method {
    /// The method of this name, which `subject` has.
    pub fn value(scope: &Scope, subject: &Value, name: &str) -> Result<Value, Fail> {
        scope.check_depth(subject)?;
        Ok(Value::from_object(Self { subject: subject.clone(), name: name.to_owned() }))
    }

    /// The value whose method it is.
    pub fn subject(&self) -> &Value {
        &self.subject
    }
}

impl Object for Method {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &State<'_, '_>, args: &[Value]) -> Result<Value, Fail> {
        let all: Vec<Value> = [self.subject.clone(), self.name.clone().into()]
            .into_iter()
            .chain(args.iter().cloned())
            .collect();
        state.apply_filter("#method", &all)
    }
}

/// `joiner(', ')`: nothing at its first call, the separator at every later one.
#[derive(Debug)]
pub(crate) struct Joiner {
    separator: String,
    is_first: AtomicBool,
}

impl Joiner {
    pub fn new(separator: String) -> Self {
        Self { separator, is_first: AtomicBool::new(true) }
    }
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &State<'_, '_>, _: &[Value]) -> Result<Value, Fail> {
        match self.is_first.swap(false, Ordering::Relaxed) {
            true => Ok(Value::from("")),
            false => Ok(Value::from(self.separator.as_str())),
        }
    }
}
