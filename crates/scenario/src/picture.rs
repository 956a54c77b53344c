//! A synthetic picture for each case: an abstract figure, mirrored like a face, of nobody.
//!
//! It is a PNG file of 64 × 64 points with two colours. The encoder writes stored (uncompressed)
//! blocks, so the bytes are the same everywhere and for ever.

use crate::draw::Draw;

/// Points on a side.
const SIDE: usize = 64;
/// Points on a side of one cell of the figure.
const CELL: usize = 8;

/// The picture of this case, at most 8 KiB.
pub(crate) fn picture(draw: Draw, case: u32) -> Vec<u8> {
    let figure = draw.hash("picture", case, "figure");
    let colour = draw.hash("picture", case, "colour").to_be_bytes();
    // Eight rows of four cells, mirrored to eight.
    let filled = |x: usize, y: usize| {
        let column = if x < 4 { x } else { 7 - x };
        figure >> (y * 4 + column) & 1 == 1
    };
    let mut rows = Vec::with_capacity(SIDE * (1 + SIDE / 8));
    for y in 0..SIDE {
        rows.push(0); // no filter
        // One bit a point: a cell of eight points is one byte.
        rows.extend((0..SIDE / CELL).map(|x| if filled(x, y / CELL) { 0xff } else { 0 }));
    }
    let side = u32::try_from(SIDE).unwrap_or(0).to_be_bytes();
    let mut header = Vec::from(side);
    header.extend(side);
    header.extend([1, 3, 0, 0, 0]); // one bit deep, palette, deflate, no filter method, not interlaced
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"PLTE", &[240, 240, 240, colour[0] / 2, colour[1] / 2, colour[2] / 2]);
    chunk(&mut png, b"IDAT", &stored(&rows));
    chunk(&mut png, b"IEND", &[]);
    png
}

/// A zlib stream that holds `bytes` as they are: one block of at most 65,535 bytes.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut out = vec![0x78, 0x01, 0x01];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(bytes);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend((b << 16 | a).to_be_bytes());
    out
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend(u32::try_from(data.len()).unwrap_or(0).to_be_bytes());
    let checked_from = png.len();
    png.extend(kind);
    png.extend(data);
    let crc = crc32(&png[checked_from..]);
    png.extend(crc.to_be_bytes());
}

/// The CRC of PNG (ISO 3309), bit by bit: pictures are small.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_png() {
        // The check value of this CRC, and the well-known end of every PNG file.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
    }

    #[test]
    fn a_picture_is_small_always_the_same_and_nobody_elses() {
        let draw = Draw::new(2010);
        let one = picture(draw, 1);
        assert!(one.starts_with(b"\x89PNG\r\n\x1a\n"));
        assert!(one.len() <= 8 * 1024);
        // Signature 8; chunks 12 each around 13, 6, 0 and 11 + 64 × 9 bytes.
        assert_eq!(one.len(), 8 + 4 * 12 + 13 + 6 + (11 + 576));
        assert_eq!(one, picture(draw, 1));
        assert_ne!(one, picture(draw, 2));
    }
}
