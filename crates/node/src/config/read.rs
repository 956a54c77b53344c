//! Reads a typed struct out of the layers: knows every key's path and origin, and the names that there are.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::{Table, Value};

use super::{ConfigError, Layers, Origin};

/// Reads the whole.
pub(super) fn read<T: DeserializeOwned>(layers: &Layers) -> Result<T, ConfigError> {
    let root = Value::Table(layers.values.clone());
    let reader = Reader { layers, path: Vec::new(), value: &root };
    T::deserialize(reader.clone()).map_err(|error| match reader.place(error) {
        Failure::Placed(error) => *error,
        Failure::Bare(problem) => reader.wrong(problem),
    })
}

/// An error on its way up; the first reader that it passes says where it was.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Bare(String),
    #[error(transparent)]
    Placed(Box<ConfigError>),
}

impl de::Error for Failure {
    fn custom<T: Display>(problem: T) -> Self {
        Self::Bare(problem.to_string())
    }
}

/// One value and its place.
#[derive(Clone)]
struct Reader<'a> {
    layers: &'a Layers,
    path: Vec<String>,
    value: &'a Value,
}

impl<'a> Reader<'a> {
    fn wrong(&self, problem: String) -> ConfigError {
        ConfigError::Value { origin: self.layers.origin(&self.path), key: self.path.join("."), problem }
    }

    /// Gives an error its place, unless it has one from further in.
    fn place(&self, error: Failure) -> Failure {
        match error {
            Failure::Bare(problem) => Failure::Placed(Box::new(self.wrong(problem))),
            placed @ Failure::Placed(_) => placed,
        }
    }

    fn below(&self, key: &str, value: &'a Value) -> Self {
        let path = self.path.iter().cloned().chain([key.to_owned()]).collect();
        Self { layers: self.layers, path, value }
    }

    /// The text of a variable or a flag, which is read as whatever its field asks for.
    fn loose(&self) -> Option<&'a str> {
        match self.layers.origin(&self.path) {
            Origin::Variable(_) | Origin::Flag(_) => self.value.as_str(),
            Origin::Default | Origin::File(_) => None,
        }
    }

    fn parse<T: FromStr<Err: Display>>(&self, text: &str) -> Result<T, Failure> {
        text.trim().parse().map_err(|error| Failure::Bare(format!("{text:?}: {error}")))
    }

    fn refuse_unknown(&self, table: &Table, fields: &[&str]) -> Result<(), Failure> {
        let Some((key, value)) = table.iter().find(|(key, _)| !fields.contains(&key.as_str())) else {
            return Ok(());
        };
        let near = fields
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
        let named = |key: &str| self.below(key, value).path.join(".");
        let origin = self.layers.origin(&self.below(key, value).path);
        let nearest = near.map(|near| named(near));
        Err(Failure::Placed(Box::new(ConfigError::UnknownKey { origin, key: named(key), nearest })))
    }

    fn visit_table<V: Visitor<'a>>(&self, table: &'a Table, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(Entries { table: self, rest: table.iter(), next: None })
    }
}

/// The entries of a table. Not serde's own, since errors that a field's type raises must get the field's place.
struct Entries<'r, 'a> {
    table: &'r Reader<'a>,
    rest: toml::map::Iter<'a, String, Value>,
    next: Option<Reader<'a>>,
}

impl<'a> MapAccess<'a> for Entries<'_, 'a> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.next = Some(self.table.below(key, value));
        seed.deserialize(StrDeserializer::<Failure>::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let value = self.next.take().ok_or_else(|| Failure::Bare("a value without a key".into()))?;
        seed.deserialize(value.clone()).map_err(|error| value.place(error))
    }
}

impl<'a> IntoDeserializer<'a, Failure> for Reader<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match self.loose() {
                Some(text) => visitor.$visit(self.parse::<$type>(text).map_err(|error| self.place(error))?),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let result = match self.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(yes) => visitor.visit_bool(*yes),
            Value::Datetime(moment) => visitor.visit_string(moment.to_string()),
            Value::Array(values) => visitor
                .visit_seq(SeqDeserializer::new(values.iter().map(|value| Self { value, ..self.clone() }))),
            Value::Table(table) => self.visit_table(table, visitor),
        };
        result.map_err(|error| self.place(error))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if let Value::Table(table) = self.value {
            self.refuse_unknown(table, fields)?;
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // What is not set is not there at all; an empty variable or flag takes a value back.
        if self.loose() == Some("") {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let Some(text) = self.loose() else { return self.deserialize_any(visitor) };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let result = visitor.visit_seq(SeqDeserializer::<_, Failure>::new(parts));
        result.map_err(|error| self.place(error))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let result = match self.value {
            Value::String(text) => visitor.visit_enum(StrDeserializer::<Failure>::new(text)),
            other => other
                .clone()
                .deserialize_enum(name, variants, visitor)
                .map_err(|error| Failure::Bare(error.message().to_owned())),
        };
        result.map_err(|error| self.place(error))
    }

    numbers! {
        deserialize_bool visit_bool bool;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}
