//! What every provider must pass.
