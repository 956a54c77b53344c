//! How what has no form of its own for a snapshot is stored: protobuf messages as their bytes, enumerations as numbers.

/// A message, as its bytes.
pub(crate) mod message {
    use prost::Message;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<M: Message, S: Serializer>(message: &M, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&message.encode_to_vec())
    }

    pub(crate) fn deserialize<'de, M: Message + Default, D: Deserializer<'de>>(
        from: D,
    ) -> Result<M, D::Error> {
        M::decode(<&[u8]>::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A message that may be absent.
pub(crate) mod optional {
    use prost::Message;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(crate) fn serialize<M: Message, S: Serializer>(
        message: &Option<M>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        message.as_ref().map(Message::encode_to_vec).serialize(to)
    }

    pub(crate) fn deserialize<'de, M: Message + Default, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<M>, D::Error> {
        let bytes = <Option<&[u8]>>::deserialize(from)?;
        bytes.map(M::decode).transpose().map_err(D::Error::custom)
    }
}

/// An enumeration of the wire, as its number.
pub(crate) mod number {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(crate) fn serialize<E: Copy + Into<i32>, S: Serializer>(value: &E, to: S) -> Result<S::Ok, S::Error> {
        (*value).into().serialize(to)
    }

    pub(crate) fn deserialize<'de, E: TryFrom<i32>, D: Deserializer<'de>>(from: D) -> Result<E, D::Error> {
        let number = i32::deserialize(from)?;
        E::try_from(number).map_err(|_| D::Error::custom("an unknown number of an enumeration"))
    }
}
