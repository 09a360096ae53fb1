//! The binary `pool`.

fn main() {}
