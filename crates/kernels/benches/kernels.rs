//! Every kernel and body against what this machine can do at most.
fn main() {}
