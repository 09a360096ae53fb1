//! Hosts that exist: adopted and released, never made.
