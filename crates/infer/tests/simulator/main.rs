//! The scheduler under random arrivals, cancels and shortage of memory: with a model that is a hash of what it is
//! given, and with real models.

mod hashed;
mod real;
mod scenario;
