//! HTTP/2 frames and header blocks by hand: what a well-behaved library would not write.
//!
//! Written is whatever is asked for, right or wrong. Read is what a server sends to somebody who has set the size of
//! the header table to 0: static names, and literals with or without Huffman's code.

/// Types of frames.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Codes of errors.
pub(crate) mod code {
    pub(crate) const PROTOCOL_ERROR: u32 = 1;
    pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
    pub(crate) const STREAM_CLOSED: u32 = 5;
    pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
    pub(crate) const COMPRESSION_ERROR: u32 = 9;
    pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
}

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// What a client begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
pub(crate) const HEAD_BYTES: usize = 9;

/// A frame, as it was read.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Takes the first frame off the bytes, when it is there whole.
    pub(crate) fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let [a, b, c, kind, flags, d, e, f, g, ..] = bytes[..] else { return None };
        let end = HEAD_BYTES + u32::from_be_bytes([0, a, b, c]) as usize;
        if bytes.len() < end {
            return None;
        }
        let payload = bytes[HEAD_BYTES..end].to_vec();
        bytes.drain(..end);
        Some(Self { kind, flags, stream: u32::from_be_bytes([d, e, f, g]), payload })
    }

    /// The number at this place of the payload.
    pub(crate) fn number(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().ok()?))
    }
}

/// A frame to be sent.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    const CANCEL: u32 = 8;
    frame(kind::RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

pub(crate) fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// A setting: its number and its value.
pub(crate) fn setting(number: u16, value: u32) -> Vec<u8> {
    let payload = [&number.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(kind::SETTINGS, 0, 0, &payload)
}

/// A message of gRPC: the flag for compression, the length, the bytes.
pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], &length[..], bytes].concat()
}

/// A header block of literals, none of which enters a table.
pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

fn text(block: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).unwrap());
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        block.push(u8::try_from(length).unwrap());
    }
    block.extend(text.as_bytes());
}

/// Reads a header block. What it cannot read ends it.
pub(crate) fn headers(block: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = block;
    while let Some((&first, _)) = rest.split_first() {
        let pair = match first {
            0x80.. => number(&mut rest, 7).map(indexed),
            // A new size of the table, which has none.
            0x20..0x40 => match number(&mut rest, 5) {
                Some(_) => continue,
                None => None,
            },
            0x40..0x80 => literal(&mut rest, 6),
            _ => literal(&mut rest, 4),
        };
        match pair {
            Some(pair) => found.push(pair),
            None => break,
        }
    }
    found
}

fn indexed(index: usize) -> (String, String) {
    const STATUSES: [&str; 7] = ["200", "204", "206", "304", "400", "404", "500"];
    let value = index.checked_sub(8).and_then(|at| STATUSES.get(at)).copied().unwrap_or_default();
    (name_of(index), value.into())
}

/// Names of the static table that answers use.
fn name_of(index: usize) -> String {
    let name = match index {
        8..=14 => ":status",
        22 => "allow",
        28 => "content-length",
        31 => "content-type",
        _ => "another",
    };
    name.into()
}

fn literal(rest: &mut &[u8], prefix: u32) -> Option<(String, String)> {
    let name = match number(rest, prefix)? {
        0 => string(rest)?,
        index => name_of(index),
    };
    Some((name, string(rest)?))
}

fn number(rest: &mut &[u8], prefix: u32) -> Option<usize> {
    let (&first, mut after) = rest.split_first()?;
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(first) & mask;
    if value == mask {
        for shift in (0..28).step_by(7) {
            let (&byte, more) = after.split_first()?;
            after = more;
            value += (usize::from(byte) & 127) << shift;
            if byte < 128 {
                break;
            }
        }
    }
    *rest = after;
    Some(value)
}

fn string(rest: &mut &[u8]) -> Option<String> {
    let coded = *rest.first()? >= 128;
    let length = number(rest, 7)?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    if coded { decoded(bytes) } else { String::from_utf8(bytes.to_vec()).ok() }
}

/// Huffman's code of RFC 7541, which is canonical: per length of code the characters in their order.
fn decoded(bytes: &[u8]) -> Option<String> {
    const BY_LENGTH: [(u32, &str); 10] = [
        (5, "012aceiost"),
        (6, " %-./3456789=A_bdfghlmnpru"),
        (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
        (8, "&*,;XZ"),
        (10, "!\"()?"),
        (11, "'+|"),
        (12, "#>"),
        (13, "\0$@[]~"),
        (14, "^}"),
        (15, "<`{"),
    ];
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)));
    let mut text = String::new();
    'characters: loop {
        let (mut code, mut length, mut first) = (0, 0, 0);
        for (longer, characters) in BY_LENGTH {
            first <<= longer - length;
            while length < longer {
                // What is left is padding.
                let Some(bit) = bits.next() else { return Some(text) };
                code = code << 1 | bit;
                length += 1;
            }
            let count = u32::try_from(characters.len()).unwrap();
            if code < first + count {
                text.push(characters.as_bytes()[(code - first) as usize].into());
                continue 'characters;
            }
            first += count;
        }
        return None;
    }
}

#[test]
fn huffmans_code_is_read_as_the_rfc_gives_it() {
    // RFC 7541, C.4.1 and C.6.1.
    let examples: [(&[u8], &str); 3] = [
        (&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff], "www.example.com"),
        (&[0x64, 0x02], "302"),
        (&[0xae, 0xc3, 0x77, 0x1a, 0x4b], "private"),
    ];
    for (bytes, text) in examples {
        assert_eq!(decoded(bytes).unwrap(), text);
    }
}
