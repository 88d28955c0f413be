//! Jobs from one end to the other: what goes in, what comes out, and what is said when something is wrong.

mod bad;
mod checkpoint;
mod good;
mod home;
mod stories;
