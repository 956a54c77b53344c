//! Travel documents in one field: of the many in a frame none is a message of its own. It knows how they are written, and
//! not what a number or a country is.
//!
//! ```text
//!   length   type   issuing country   number
//!     1       1           3            rest      the length counts what follows it; the country is filled up with `<`
//! ```

use bytes::{BufMut as _, Bytes, BytesMut};
use i247_model::{Reason, Refusal};

use crate::{malformed, pb};

/// Longest number as it is written, in bytes.
pub const MAX_WRITTEN_NUMBER_BYTES: usize = 64;

/// What stands before a number, without the length.
const BEFORE_NUMBER: usize = 4;

/// Writes documents one after the other.
///
/// # Errors
/// `WRONG_FIELD` for a country or a type that has no place, `TOO_LARGE` for a number that is too long.
pub fn pack_documents<'a>(
    documents: impl IntoIterator<Item = &'a pb::TravelDocumentKey>,
) -> Result<Bytes, Refusal> {
    let mut packed = BytesMut::new();
    for document in documents {
        let country = document.issuing_country.as_bytes();
        let number = document.number.as_bytes();
        if country.len() > 3 || !country.is_ascii() {
            return Err(Refusal::of(Reason::WrongField, "travel_document.issuing_country"));
        }
        if number.len() > MAX_WRITTEN_NUMBER_BYTES {
            return Err(Refusal::of(Reason::TooLarge, "travel_document.number"));
        }
        let document_type = u8::try_from(document.document_type)
            .map_err(|_| Refusal::of(Reason::WrongField, "travel_document.document_type"))?;
        // At most 68: it fits.
        packed.put_u8((BEFORE_NUMBER + number.len()) as u8);
        packed.put_u8(document_type);
        packed.put_slice(country);
        packed.put_bytes(b'<', 3 - country.len());
        packed.put_slice(number);
    }
    Ok(packed.freeze())
}

/// A document as it was written, anything in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrittenDocument<'a> {
    /// A `TravelDocumentType`, known or not.
    pub document_type: i32,
    /// Without what it is filled up with; empty for none.
    pub issuing_country: &'a str,
    /// The number.
    pub number: &'a str,
}

/// Reads documents that were written one after the other, at most `limit` of them.
///
/// # Errors
/// `MALFORMED` when they end in the middle of one, or are no text; `TOO_LARGE` when there are more. Always the field
/// `documents`.
pub fn unpack_documents(mut packed: &[u8], limit: usize) -> Result<Vec<WrittenDocument<'_>>, Refusal> {
    let garbled = || malformed("documents");
    let mut documents = Vec::with_capacity(limit.min(packed.len() / (1 + BEFORE_NUMBER)));
    while let Some((length, rest)) = packed.split_first() {
        let (document, behind) = rest.split_at_checked(usize::from(*length)).ok_or_else(garbled)?;
        let (before, number) = document.split_at_checked(BEFORE_NUMBER).ok_or_else(garbled)?;
        if number.len() > MAX_WRITTEN_NUMBER_BYTES {
            return Err(garbled());
        }
        if documents.len() == limit {
            return Err(Refusal::of(Reason::TooLarge, "documents"));
        }
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| garbled());
        documents.push(WrittenDocument {
            document_type: i32::from(before[0]),
            issuing_country: text(&before[1..])?.trim_end_matches('<'),
            number: text(number)?,
        });
        packed = behind;
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(issuing_country: &str, document_type: i32, number: &str) -> pb::TravelDocumentKey {
        pb::TravelDocumentKey {
            number: number.into(),
            issuing_country: issuing_country.into(),
            document_type,
        }
    }

    #[test]
    fn documents_are_written_as_the_protocol_says_and_read_again() {
        let documents = [document("FRA", 1, "P1234567"), document("D", 0, "C01"), document("", 3, "")];
        let packed = pack_documents(&documents).unwrap();
        assert_eq!(&packed[..], b"\x0c\x01FRAP1234567\x07\x00D<<C01\x04\x03<<<");
        let read = unpack_documents(&packed, 3).unwrap();
        let fields: Vec<(i32, &str, &str)> =
            read.iter().map(|one| (one.document_type, one.issuing_country, one.number)).collect();
        assert_eq!(fields, [(1, "FRA", "P1234567"), (0, "D", "C01"), (3, "", "")]);
    }

    #[test]
    fn what_cannot_be_written_or_read_is_refused_by_its_field() {
        let refused = |one: pb::TravelDocumentKey| {
            let refusal = pack_documents([&one]).unwrap_err();
            (refusal.reason, refusal.fields.join(" "))
        };
        assert!(pack_documents([&document("FRA", 1, &"9".repeat(64))]).is_ok());
        let long = refused(document("FRA", 1, &"9".repeat(65)));
        assert_eq!(long, (Reason::TooLarge, "travel_document.number".into()));
        let country = (Reason::WrongField, "travel_document.issuing_country".to_owned());
        assert_eq!(refused(document("FRAN", 1, "9")), country);
        assert_eq!(refused(document("é", 1, "9")), country);
        let kind = refused(document("FRA", 256, "9"));
        assert_eq!(kind, (Reason::WrongField, "travel_document.document_type".into()));

        let good = b"\x05\x01FRA9\x05\x01FRA8";
        assert_eq!(unpack_documents(good, 2).unwrap().len(), 2);
        let read = |packed: &[u8], limit| {
            let refusal = unpack_documents(packed, limit).unwrap_err();
            (refusal.reason, refusal.fields.join(" "))
        };
        assert_eq!(read(good, 1), (Reason::TooLarge, "documents".into()));
        let garbled = (Reason::Malformed, "documents".to_owned());
        assert_eq!(read(&good[..11], 2), garbled, "it ends too early");
        assert_eq!(read(b"\x03\x01FR", 2), garbled, "there is no room for a country");
        assert_eq!(read(b"\x05\x01FR\xff9", 2), garbled, "that is no text");
        let long = [&[69, 1][..], b"FRA", &[b'9'; 65]].concat();
        assert_eq!(read(&long, 2), garbled);
    }
}
