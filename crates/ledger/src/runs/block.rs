//! A block of a run: rows in order, each key without what it shares with the one before. It must not trust lengths.
//!
//! A row holds `shared | rest | value length | rest of the key | value`, the numbers as LEB128.

use bytes::Bytes;

/// Rows that are being put together.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    bytes: Vec<u8>,
    key: Vec<u8>,
}

impl BlockWriter {
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        let shared = key.iter().zip(&self.key).take_while(|(a, b)| a == b).count();
        put(&mut self.bytes, shared);
        put(&mut self.bytes, key.len() - shared);
        put(&mut self.bytes, value.len());
        self.bytes.extend_from_slice(&key[shared..]);
        self.bytes.extend_from_slice(value);
        self.key.truncate(shared);
        self.key.extend_from_slice(&key[shared..]);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.key.clear();
    }
}

/// Reads the rows of a block, one after the other.
#[derive(Clone, Debug)]
pub(super) struct BlockReader {
    bytes: Bytes,
    at: usize,
    key: Vec<u8>,
    value: (usize, usize),
}

/// The block matches its checksum, and is not a block all the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotABlock;

impl BlockReader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0, key: Vec::new(), value: (0, 0) }
    }

    /// Goes to the next row; `false` behind the last.
    pub(super) fn advance(&mut self) -> Result<bool, NotABlock> {
        if self.at == self.bytes.len() {
            return Ok(false);
        }
        let (shared, rest, length) = (self.number()?, self.number()?, self.number()?);
        let key_end = self.at.checked_add(rest).ok_or(NotABlock)?;
        let value_end = key_end.checked_add(length).ok_or(NotABlock)?;
        let rest = self.bytes.get(self.at..key_end).ok_or(NotABlock)?;
        if shared > self.key.len() || value_end > self.bytes.len() {
            return Err(NotABlock);
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        self.value = (key_end, value_end);
        self.at = value_end;
        Ok(true)
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn value(&self) -> Bytes {
        self.bytes.slice(self.value.0..self.value.1)
    }

    fn number(&mut self) -> Result<usize, NotABlock> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.bytes.get(self.at).ok_or(NotABlock)?;
            self.at += 1;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(NotABlock)
    }
}

/// At most five bytes: keys and values have limits below 2^35.
fn put(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in() {
        let long = vec![7; 70_000];
        let rows: [(&[u8], &[u8]); 4] = [(b"", b"empty"), (b"ab", b""), (b"abc", &long), (b"b", b"last")];
        let mut writer = BlockWriter::default();
        for (key, value) in rows {
            writer.push(key, value);
        }
        let mut reader = BlockReader::new(Bytes::copy_from_slice(writer.bytes()));
        for (key, value) in rows {
            assert!(reader.advance().unwrap());
            assert_eq!((reader.key(), &reader.value()[..]), (key, value));
        }
        assert!(!reader.advance().unwrap());
    }

    #[test]
    fn what_is_no_block_is_named_and_nothing_is_read_behind_it() {
        for bytes in [&[0xff; 20][..], &[1, 1, 0, 7], &[0, 5, 0, 1], &[0, 1, 9, 1, 2], &[0x80]] {
            let mut reader = BlockReader::new(Bytes::copy_from_slice(bytes));
            assert!(reader.advance().is_err(), "{bytes:?}");
        }
    }
}
