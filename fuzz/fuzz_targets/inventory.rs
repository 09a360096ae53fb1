//! The inventory parser, the formatter and the templates: any text is read or refused with reasons that have places.
#![no_main]

use std::{path::Path, sync::Arc};

use libfuzzer_sys::fuzz_target;
use pool_inventory::{
    load::resolve,
    source::{FileId, SourceFile},
};

fuzz_target!(|text: &str| {
    let file = Arc::new(SourceFile::new("pool.yaml", "pool.yaml", text));
    let variable = |name: &str| (name == "SET").then(|| "5".to_owned());
    if let Err(problems) = resolve(Path::new("/nowhere"), &[file], None, &variable) {
        assert!(!problems.is_empty(), "refused without a reason");
        let _ = (problems.render(false), problems.to_json());
    }
    if let Ok(once) = pool_inventory::fmt::format(text) {
        assert_eq!(pool_inventory::fmt::format(&once).ok(), Some(once), "formatting twice differs");
    }
    let _ = pool_inventory::template::check(FileId(0), text);
});
