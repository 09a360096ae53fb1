//! Backends that serve tiers of storage.
