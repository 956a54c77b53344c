//! The check digit of ICAO 9303: weights 7, 3, 1 from the left, modulo 10.

/// The digit that belongs to these characters; none when one of them is not A–Z, 0–9 or `<`.
pub fn check_digit(text: &str) -> Option<u8> {
    digit_over(text.bytes())
}

/// The same over several pieces as if they were one.
pub(super) fn digit_over(bytes: impl Iterator<Item = u8>) -> Option<u8> {
    let mut sum = 0;
    for (byte, weight) in bytes.zip([7, 3, 1].into_iter().cycle()) {
        // Each product is at most 245: the sum stays small when it is cut at once.
        sum = (sum + u16::from(value(byte)?) * weight) % 10;
    }
    u8::try_from(sum).ok()
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        b'<' => Some(0),
        _ => None,
    }
}
