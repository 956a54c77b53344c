//! Files of records: unpacked as they are read, named by what is in them. It understands no row.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use i247_model::{CountryCode, Hash};

use super::Format;
use super::deed::FileOf;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;

/// The name of the load of a file: the same bytes for the same database and country are the same load, unless something
/// else is done with them.
///
/// # Errors
/// What the disk says.
pub(super) fn name(of: &FileOf, country: CountryCode) -> io::Result<Hash> {
    let mut file = File::open(&of.file)?;
    let (database, mark) = (of.database.as_str(), of.deed.mark());
    let mut digest = i247_trust::sha256(&[b"i247 load", database.as_bytes(), country.as_str().as_bytes()]);
    if !mark.is_empty() || of.again.is_some() {
        let again = of.again.unwrap_or_default();
        digest = i247_trust::sha256(&[b"i247 deed", digest.as_bytes(), mark.as_bytes(), &again]);
    }
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let count = read_whole(&mut file, &mut chunk)?;
        if count == 0 {
            return Ok(digest);
        }
        digest = i247_trust::sha256(&[digest.as_bytes(), &chunk[..count]]);
    }
}

/// Fills the chunk, unless the file ends: the name must not depend on how much a read gives.
fn read_whole(file: &mut File, chunk: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < chunk.len() {
        match file.read(&mut chunk[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Opens a file, and unpacks it if it is packed: its first bytes say so, whatever it is called.
///
/// # Errors
/// What the disk says, or that it is not packed as it claims to be.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(READ_BYTES, File::open(path)?);
    let head = file.fill_buf()?;
    if head.starts_with(&[0x1f, 0x8b]) {
        let unpacked = flate2::bufread::MultiGzDecoder::new(file);
        return Ok(Box::new(BufReader::with_capacity(READ_BYTES, unpacked)));
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let unpacked = ruzstd::decoding::StreamingDecoder::new(file).map_err(io::Error::other)?;
        return Ok(Box::new(BufReader::with_capacity(READ_BYTES, unpacked)));
    }
    Ok(Box::new(file))
}

/// How a file is written, by its name: what is not `.json`, `.jsonl` or `.ndjson` is CSV. What was set aside from a file
/// is written as that was.
pub(crate) fn format(path: &Path) -> Format {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let mut name = name.as_str();
    while let Some(of) = name.strip_suffix(".bad") {
        name = of;
    }
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(name);
    let json = [".json", ".jsonl", ".ndjson"].iter().any(|ending| name.ends_with(ending));
    if json { Format::Json } else { Format::Csv }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use i247_records::Database;

    use super::super::deed::Deed;
    use super::*;

    fn read(path: &Path) -> String {
        let mut text = String::new();
        open(path).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_file_is_unpacked_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("plain"), "number\nP1\n").unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"number\nP1\n").unwrap();
        std::fs::write(path("gzip"), gzip.finish().unwrap()).unwrap();
        // What `printf 'number\nP1\n' | zstd` writes: a raw block, no checksum.
        let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 10, 81, 0, 0][..], b"number\nP1\n"].concat();
        std::fs::write(path("zstd"), zstd).unwrap();
        for name in ["plain", "gzip", "zstd"] {
            assert_eq!(read(&path(name)), "number\nP1\n", "{name}");
        }
    }

    #[test]
    fn the_name_of_a_load_is_that_of_its_bytes_database_and_country() {
        let dir = tempfile::tempdir().unwrap();
        let (one, same, other) = (dir.path().join("1"), dir.path().join("2"), dir.path().join("3"));
        std::fs::write(&one, "a".repeat(600_000)).unwrap();
        std::fs::write(&same, "a".repeat(600_000)).unwrap();
        std::fs::write(&other, "a".repeat(600_001)).unwrap();
        let for_deed = |path: &Path, database, country: &str, deed, again| {
            let of = FileOf { database, file: path.to_owned(), format: None, no_wait: false, deed, again };
            name(&of, country.parse().unwrap()).unwrap()
        };
        let of = |path: &Path, database, country: &str| for_deed(path, database, country, Deed::Add, None);
        let first = of(&one, Database::Sltd, "FR");
        assert_eq!(of(&same, Database::Sltd, "FR"), first);
        assert_ne!(of(&other, Database::Sltd, "FR"), first);
        assert_ne!(of(&one, Database::Sad, "FR"), first);
        assert_ne!(of(&one, Database::Sltd, "BR"), first);
        let with = |deed| for_deed(&one, Database::Sltd, "FR", deed, None);
        let brazil = || vec!["BR".parse().unwrap()];
        let all = [
            first,
            with(Deed::Change),
            with(Deed::Withdraw),
            with(Deed::Restrict(Vec::new())),
            with(Deed::Restrict(brazil())),
            for_deed(&one, Database::Sltd, "FR", Deed::Withdraw, Some([1; 16])),
        ];
        assert_eq!(all.into_iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(with(Deed::Restrict(brazil())), all[4]);
    }

    #[test]
    fn a_format_is_known_by_the_name() {
        for (name, expected) in [
            ("a.csv", Format::Csv),
            ("a.csv.gz", Format::Csv),
            ("a", Format::Csv),
            ("a.JSONL", Format::Json),
            ("a.ndjson.zst", Format::Json),
            ("a.jsonl.gz.bad", Format::Json),
            ("a.csv.bad.bad", Format::Csv),
        ] {
            assert_eq!(format(Path::new(name)), expected, "{name}");
        }
    }
}
