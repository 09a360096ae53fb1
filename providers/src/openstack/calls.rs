//! How many requests were made, by what they were for.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::error::{Asked, is_id};

#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<BTreeMap<String, u64>>);

impl Calls {
    /// Counts one; ids and names in its path are left out.
    pub fn count(&self, asked: Asked) {
        let mut what = format!("{} {} ", asked.service, asked.method);
        for (at, segment) in asked.path.iter().enumerate() {
            let named = at > 0 && matches!(asked.path[at - 1], "tags" | "metadata");
            what.push_str(if at > 0 { "/" } else { "" });
            what.push_str(if named || is_id(segment) { "{id}" } else { segment });
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    pub fn all(&self) -> Vec<(String, u64)> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|(what, count)| (what.clone(), *count)).collect()
    }
}
