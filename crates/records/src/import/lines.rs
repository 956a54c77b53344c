//! Lines of a stream, none of which can be longer than its limit.

use std::io::{self, BufRead};

use super::MAX_LINE_BYTES;

/// A line without its end.
pub(super) enum Line {
    Bytes(Vec<u8>),
    /// It was skipped.
    TooLong,
}

/// Reads line by line and counts. Lines that were put back come again.
pub(super) struct Lines<R> {
    reader: R,
    /// How many lines were handed out and not put back.
    count: u64,
    /// The next one last.
    back: Vec<Line>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, count: 0, back: Vec::new() }
    }

    /// The next line and its number, from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line)>> {
        let line = match self.back.pop() {
            Some(line) => Some(line),
            None => self.read()?,
        };
        self.count += u64::from(line.is_some());
        Ok(line.map(|line| (self.count, line)))
    }

    pub(super) fn put_back(&mut self, line: Line) {
        self.count -= 1;
        self.back.push(line);
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let mut seen = false;
        let mut fits = true;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
            let ended = end.is_some() || buffer.is_empty();
            seen |= !buffer.is_empty();
            fits &= bytes.len() + part.len() <= MAX_LINE_BYTES;
            if fits {
                bytes.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if ended {
                break;
            }
        }
        if !fits {
            return Ok(Some(Line::TooLong));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Ok(seen.then_some(Line::Bytes(bytes)))
    }
}
