//! JSON Schema of the two public wire forms, made from their types: what is sent and what comes
//! back. The files in `events/schema` are these; no build that is deployed holds this module.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{event::Direct, report::Report};

/// The direct payload.
#[must_use]
pub fn direct_payload() -> Value {
    let mut schema = schema_of::<Direct>(SchemaSettings::draft2020_12());
    accept_both_spellings(&mut schema);
    schema
}

/// The outcome: response, body of the notice and, flattened, log line.
#[must_use]
pub fn outcome() -> Value {
    let mut schema = schema_of::<Report>(SchemaSettings::draft2020_12().for_serialize());
    never_null(&mut schema);
    schema
}

fn schema_of<T: JsonSchema>(settings: SchemaSettings) -> Value {
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Each field may be spelt with a small letter too, and is given once: "one of the two" for the one
/// that is required, and "not both" for the others.
fn accept_both_spellings(schema: &mut Value) {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let mut both = Map::new();
    let mut rules = Vec::new();
    for (name, property) in properties {
        let small = name[..1].to_lowercase() + &name[1..];
        rules.push(match name.as_str() {
            "CustomKeyStoreId" => json!({ "oneOf": [{ "required": [name] }, { "required": [small] }] }),
            _ => json!({ "not": { "required": [name, small] } }),
        });
        both.insert(name, property.clone());
        both.insert(small, property);
    }
    schema["properties"] = both.into();
    schema["allOf"] = rules.into();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("required");
    }
}

/// What is absent is left out, so `null` is in no report, though `Option` would allow it.
fn never_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
            }
            object.values_mut().for_each(never_null);
        }
        Value::Array(items) => items.iter_mut().for_each(never_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
