//! The JSON Schema of inventory files, for editors; generated from the table of keys that also checks them.

use serde_json::{Map, Value, json};

use crate::load::{
    keys::{IN_DOC, ROOT},
    shape::{KeyShape, Section, Shape},
    takes_environments,
};

/// Where a schema of this version is to be found by name.
const ID: &str = "https://json-schema.org/draft/2020-12/schema";

const REFERENCE: &str = r"\$\{";
const NAME: &str = "^[a-z][a-z0-9-]{0,30}$";
const VARIABLE: &str = "^[a-z][a-z0-9_]{0,30}$";
const NUMBER: &str = r"[0-9]+(\.[0-9]{1,3})?";
const ADDRESS: &str = "^(network|host|volume|snapshot|backup|pool|tenant)/[a-z0-9.-]+$";

/// The schema of `pool.yaml`; `*.pool.yaml` files hold the same sections without `version` and `name`.
pub fn json_schema() -> Value {
    let mut schema = section(&ROOT);
    if let Some(map) = schema.as_object_mut() {
        map.insert("$schema".into(), json!(ID));
        map.insert("title".into(), json!("pool inventory"));
        // Only `pool.yaml` must have them.
        map.remove("required");
    }
    for name in ROOT.keys.iter().map(|key| key.name).filter(|name| takes_environments(name)) {
        let entry = schema.pointer_mut(&format!("/properties/{name}/additionalProperties"));
        add_in(entry);
    }
    schema
}

/// Adds the key `in` to the entries of a section, whatever kinds of entries it has.
fn add_in(entry: Option<&mut Value>) {
    let Some(entry) = entry.and_then(Value::as_object_mut) else { return };
    if let Some(kinds) = entry.get_mut("oneOf").and_then(Value::as_array_mut)
        && kinds.iter().all(|kind| kind.get("properties").is_some())
    {
        kinds.iter_mut().for_each(|kind| add_in(Some(kind)));
        return;
    }
    let environments = json!({ "type": "array", "items": { "type": "string" }, "description": IN_DOC });
    let properties = entry.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("in".into(), environments);
    }
}

fn section(section: &Section) -> Value {
    let mut properties = Map::new();
    for key in section.keys {
        let mut value = shape(&key.shape);
        if let Some(map) = value.as_object_mut() {
            map.insert("description".into(), json!(key.doc));
        }
        properties.insert(key.name.into(), value);
    }
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "type": if required.is_empty() { json!(["object", "null"]) } else { json!("object") },
        "description": section.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !section.one_of.is_empty() {
        let ways: Vec<Value> = section.one_of.iter().map(|name| json!({ "required": [name] })).collect();
        schema["oneOf"] = json!(ways);
    }
    schema
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Bool => or_reference(json!({ "type": "boolean" })),
        Shape::Int(low, high) => or_reference(json!({ "type": "integer", "minimum": low, "maximum": high })),
        Shape::Text | Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Name => text(NAME, "web"),
        Shape::Bytes => text(&format!("^{NUMBER} ?(KiB|MiB|GiB|TiB|PiB)$"), "8GiB"),
        Shape::Rate => text(&format!("^{NUMBER} ?(KiB|MiB|GiB|TiB|PiB) ?/s$"), "50MiB/s"),
        Shape::Time => text(&format!("^{NUMBER} ?(ms|s|m|h|d)$"), "30s"),
        Shape::Percent => text(&format!("^{NUMBER}%$"), "20%"),
        Shape::Mode => text("^[0-7]{3,4}$", "0644"),
        Shape::Hourly => text(r"^[0-9]+(\.[0-9]{1,6})?/hour$", "0.05/hour"),
        Shape::Monthly => text(&format!("^{NUMBER}/month$"), "9000/month"),
        Shape::Cidr => text("^[0-9a-fA-F.:]+/[0-9]+$", "10.20.0.0/24"),
        Shape::Ip => text("^[0-9a-fA-F.:]+$", "10.20.0.10"),
        Shape::Path => text("^/", "/srv/data"),
        Shape::Sha256 => json!({ "type": "string", "pattern": format!("^[0-9a-f]{{64}}$|{REFERENCE}") }),
        Shape::Address => text(ADDRESS, "host/web-3"),
        Shape::Word { words, .. } => or_reference(json!({ "enum": words })),
        Shape::Section(inner) => section(inner),
        Shape::Map(keys, value) => json!({
            "type": ["object", "null"],
            "propertyNames": key(*keys),
            "additionalProperties": shape(value),
        }),
        Shape::List(item) => json!({ "type": "array", "items": shape(item) }),
        Shape::Either(scalar, map, range) => json!({ "anyOf": [shape(scalar), section(range), shape(map)] }),
        Shape::Or(scalar, inner) => json!({ "anyOf": [shape(scalar), section(inner)] }),
        Shape::Tagged { sections, .. } => tagged(sections),
    }
}

fn tagged(sections: &[(&str, &Section)]) -> Value {
    let one = |(word, inner): &(&str, &Section)| {
        let mut schema = section(inner);
        schema["properties"]["type"] = json!({ "const": word, "description": inner.doc });
        schema
    };
    let kinds: Vec<Value> = sections.iter().map(one).collect();
    match <[Value; 1]>::try_from(kinds) {
        Ok([only]) => only,
        Err(kinds) => json!({ "oneOf": kinds }),
    }
}

fn text(pattern: &str, example: &str) -> Value {
    json!({ "type": "string", "pattern": format!("{pattern}|{REFERENCE}"), "examples": [example] })
}

fn or_reference(value: Value) -> Value {
    json!({ "anyOf": [value, { "type": "string", "pattern": REFERENCE }] })
}

fn key(of: KeyShape) -> Value {
    match of {
        KeyShape::Name => json!({ "pattern": NAME }),
        KeyShape::Variable => json!({ "pattern": VARIABLE }),
        KeyShape::Path => json!({ "pattern": "^/" }),
        KeyShape::Text => json!({ "minLength": 1 }),
        KeyShape::Address => json!({ "pattern": ADDRESS }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_every_section_stands_in_the_schema_with_its_meaning() {
        let schema = json_schema();
        let pool = &schema["properties"]["pools"]["additionalProperties"];
        assert_eq!(pool["additionalProperties"], false);
        assert_eq!(pool["properties"]["size"]["required"], json!(["vcpus", "memory", "disk"]));
        assert!(pool["properties"]["in"].is_object() && pool["properties"]["scale"].is_null());
        let kinds = schema["properties"]["providers"]["additionalProperties"]["oneOf"].as_array().expect("kinds");
        let words: Vec<&Value> = kinds.iter().map(|kind| &kind["properties"]["type"]["const"]).collect();
        assert_eq!(words, ["local", "ssh", "sim", "openstack"]);
        assert!(kinds.iter().all(|kind| kind["properties"]["in"].is_object()));
    }
}
