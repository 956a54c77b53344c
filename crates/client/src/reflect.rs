//! Messages by the names in `proto/`: forms come in as TOML or JSON, answers go out as JSON.
//!
//! Field names are those of the proto files. An enum value may leave its prefix out: `WANTED` for
//! `PERSON_STATUS_WANTED`, and is written so. Bytes are hexadecimal. It knows no message by itself.

use std::sync::LazyLock;

use bytes::Bytes;
use i247_model::hexadecimal;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage as _, Value,
};
use serde_json::{Map, Value as Json};

/// All messages of the protocol. The bytes are compiled in; none can be found only if they are broken, and then
/// nothing works.
static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(i247_wire::DESCRIPTOR).unwrap_or_default());

/// The description of a message of package `i247.v1`.
pub fn describe(name: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(&format!("i247.v1.{name}"))
}

/// A message as JSON, with every field that it has.
pub fn to_json(name: &str, message: &impl prost::Message) -> Json {
    let described =
        describe(name).map(|known| DynamicMessage::decode(known, message.encode_to_vec().as_slice()));
    match described {
        Some(Ok(message)) => object(&message),
        Some(Err(_)) | None => Json::Null,
    }
}

fn object(message: &DynamicMessage) -> Json {
    let mut fields = Map::new();
    for field in message.descriptor().fields() {
        // Of alternatives, and of messages within, only what is there.
        if !field.supports_presence() || message.has_field(&field) {
            fields.insert(field.name().to_owned(), json(&message.get_field(&field), &field.kind()));
        }
    }
    Json::Object(fields)
}

fn json(value: &Value, kind: &Kind) -> Json {
    match value {
        Value::Bool(yes) => (*yes).into(),
        Value::I32(number) => (*number).into(),
        Value::I64(number) => (*number).into(),
        Value::U32(number) => (*number).into(),
        Value::U64(number) => (*number).into(),
        Value::F32(number) => (*number).into(),
        Value::F64(number) => (*number).into(),
        Value::String(text) => text.as_str().into(),
        Value::Bytes(bytes) => hexadecimal(bytes).into(),
        Value::EnumNumber(number) => match kind.as_enum() {
            Some(known) => word(known, *number).into(),
            None => (*number).into(),
        },
        Value::Message(message) => object(message),
        Value::List(values) => values.iter().map(|value| json(value, kind)).collect(),
        // The protocol has no maps: their order would not be canonical.
        Value::Map(_) => Json::Null,
    }
}

/// The word for an enum value: its name without the prefix that all of its names share.
fn word(known: &EnumDescriptor, number: i32) -> String {
    let prefix = prefix(known);
    match known.get_value(number) {
        Some(value) => value.name().strip_prefix(&prefix).unwrap_or(value.name()).to_owned(),
        None => number.to_string(),
    }
}

/// `PERSON_STATUS_` of `PersonStatus`, read off its zero value.
fn prefix(known: &EnumDescriptor) -> String {
    known.default_value().name().strip_suffix("UNSPECIFIED").unwrap_or_default().to_owned()
}

/// The words that an enum allows.
pub fn words(known: &EnumDescriptor) -> Vec<String> {
    known.values().filter(|value| value.number() != 0).map(|value| word(known, value.number())).collect()
}

/// A message from JSON (or TOML that became JSON). Every key at fault is named, with what would do.
pub fn from_json(known: MessageDescriptor, json: &Json) -> Result<DynamicMessage, Vec<String>> {
    let mut reader = Reader::default();
    let message = reader.message(known, json, "");
    if reader.faults.is_empty() { Ok(message) } else { Err(reader.faults) }
}

#[derive(Default)]
struct Reader {
    faults: Vec<String>,
}

impl Reader {
    fn message(&mut self, known: MessageDescriptor, json: &Json, path: &str) -> DynamicMessage {
        let mut message = DynamicMessage::new(known.clone());
        let Json::Object(entries) = json else {
            self.fault(path, "a table is expected");
            return message;
        };
        for (key, json) in entries {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let Some(field) = known.get_field_by_name(key) else {
                self.unknown(&known, key, &at);
                continue;
            };
            if let Some(taken) = taken(&message, &field) {
                self.fault(&at, &format!("{taken} is filled in already; one form only"));
            } else if let Some(value) = self.field(&field, json, &at) {
                message.set_field(&field, value);
            }
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, json: &Json, path: &str) -> Option<Value> {
        if !field.is_list() {
            return self.value(&field.kind(), json, path);
        }
        let Json::Array(items) = json else {
            self.fault(path, "a list in square brackets is expected");
            return None;
        };
        let values = items
            .iter()
            .enumerate()
            .map(|(n, item)| self.value(&field.kind(), item, &format!("{path}[{n}]")));
        Some(Value::List(values.collect::<Vec<_>>().into_iter().flatten().collect()))
    }

    fn value(&mut self, kind: &Kind, json: &Json, path: &str) -> Option<Value> {
        let (value, expected) = match kind {
            Kind::Message(known) => return Some(Value::Message(self.message(known.clone(), json, path))),
            Kind::Enum(known) => {
                let named = json.as_str().and_then(|text| enum_value(known, text));
                (named.map(Value::EnumNumber), format!("one of {}", words(known).join(", ")))
            }
            Kind::String => (json.as_str().map(|text| Value::String(text.into())), "text in quotes".into()),
            Kind::Bool => (json.as_bool().map(Value::Bool), "true or false".into()),
            Kind::Uint32 => {
                let number = json.as_u64().and_then(|number| u32::try_from(number).ok());
                (number.map(Value::U32), "a whole number".into())
            }
            Kind::Bytes => {
                let bytes = json.as_str().and_then(bytes);
                (bytes.map(Value::Bytes), "hexadecimal digits in quotes".into())
            }
            Kind::Uint64 => (json.as_u64().map(Value::U64), "a whole number".into()),
            // Forms have nothing else.
            _ => (None, "nothing that can be written here".into()),
        };
        if value.is_none() {
            self.fault(path, &format!("{expected} is expected"));
        }
        value
    }

    fn unknown(&mut self, known: &MessageDescriptor, key: &str, path: &str) {
        let near = known.fields().max_by(|a, b| {
            strsim::jaro_winkler(key, a.name()).total_cmp(&strsim::jaro_winkler(key, b.name()))
        });
        let hint = near.map(|near| format!("; did you mean {:?}?", near.name())).unwrap_or_default();
        self.fault(path, &format!("there is no such key{hint}"));
    }

    fn fault(&mut self, path: &str, problem: &str) {
        let path = if path.is_empty() { "the form" } else { path };
        self.faults.push(format!("{path}: {problem}"));
    }
}

fn bytes(text: &str) -> Option<Bytes> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let digits = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| text.as_bytes().chunks(2).map(byte).collect())?
}

/// The alternative that is filled in already, when this field is another one of the same choice.
fn taken(message: &DynamicMessage, field: &FieldDescriptor) -> Option<String> {
    let choice = field.containing_oneof()?;
    choice.fields().find(|other| message.has_field(other)).map(|other| other.name().to_owned())
}

fn enum_value(known: &EnumDescriptor, text: &str) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let upper = text.to_ascii_uppercase().replace([' ', '-'], "_");
    let full = format!("{}{upper}", prefix(known));
    known.get_value_by_name(&full).or_else(|| known.get_value_by_name(&upper)).map(|value| value.number())
}

#[cfg(test)]
mod tests {
    use crate::pb;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_written_with_the_names_of_the_proto_files() {
        let item = pb::InboxItem {
            id: "FR-1-U-1".into(),
            kind: pb::Kind::Request.into(),
            lane: pb::Lane::Urgent.into(),
            received_at_ms: 5,
            ..Default::default()
        };
        assert_eq!(
            to_json("InboxItem", &item),
            json!({
                "id": "FR-1-U-1", "kind": "REQUEST", "sender": "", "subject": "", "received_at_ms": 5,
                "lane": "URGENT", "opened": false, "actioned": false, "refers_to": "", "operation": "",
                "reply_stage": "UNSPECIFIED", "reply_by_ms": 0, "unreadable": false
            })
        );
    }

    #[test]
    fn bytes_are_hexadecimal_and_only_the_chosen_alternative_is_there() {
        let signed = pb::DirectoryRecord { tls_key: vec![0, 255].into(), ..Default::default() };
        assert_eq!(to_json("DirectoryRecord", &signed)["tls_key"], json!("00ff"));
        let orange = pb::OrangeForm { threat: "a".into(), ..Default::default() };
        let form = pb::NoticeForm { form: Some(pb::notice_form::Form::Orange(orange)), ..Default::default() };
        let written = to_json("NoticeForm", &form);
        assert_eq!(written["orange"]["threat"], json!("a"));
        assert_eq!(written.get("red"), None);
    }

    #[test]
    fn every_key_at_fault_is_named_at_once() {
        let faults = from_json(
            describe("NoticeForm").unwrap(),
            &json!({"person_status": "LOST", "red": {"chargs": [], "facts": 3}, "publish_extract": "yes"}),
        )
        .unwrap_err();
        assert_eq!(
            faults,
            [
                "person_status: one of WANTED, CONVICTED, CHARGED, SUSPECT, WITNESS, VICTIM, MISSING, DECEASED \
                 is expected",
                "red.chargs: there is no such key; did you mean \"charges\"?",
                "red.facts: text in quotes is expected",
                "publish_extract: true or false is expected",
            ]
        );
    }

    #[test]
    fn two_colours_in_one_form_are_refused() {
        let two = json!({"red": {}, "blue": {}});
        let faults = from_json(describe("NoticeForm").unwrap(), &two).unwrap_err();
        assert_eq!(faults, ["blue: red is filled in already; one form only"]);
    }
}
