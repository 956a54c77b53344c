//! What lies in a list is sealed, what a crash left is dropped, and what somebody changed is refused.

use i247_ledger::disk::OsDisk;

use super::*;

/// A seal that a test can read: the place's hash in front, and every byte changed.
#[derive(Debug)]
struct Plain(u8);

impl Seal for Plain {
    fn seal(&self, place: &[u8], plain: &[u8]) -> Vec<u8> {
        let changed = plain.iter().map(|byte| byte ^ self.0);
        let body: Vec<u8> = changed.collect();
        [sha256(&[&[self.0], place, &body]).0.as_slice(), &body].concat()
    }

    fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (tag, body) = sealed.split_first_chunk::<32>()?;
        let same = *tag == sha256(&[&[self.0], place, body]).0;
        same.then(|| body.iter().map(|byte| byte ^ self.0).collect())
    }
}

fn open(dir: &Path, key: u8) -> Result<AskedList, ListError> {
    AskedList::open(Arc::new(OsDisk), Arc::new(Plain(key)), dir, [5; 16])
}

fn search(officer: &str) -> pb::OfflineSearch {
    pb::OfflineSearch { officer: officer.into(), ..pb::OfflineSearch::default() }
}

/// A list with three searches, and its file.
fn of_three(dir: &Path) -> (PathBuf, Vec<u8>) {
    let mut list = open(dir, 9).unwrap();
    for (number, officer) in (1..).zip(["MARLOWE", "NIGHTSEAT", "DAWNSEAT"]) {
        assert_eq!(list.note(&search(officer)).unwrap(), number);
    }
    let path = dir.join(NAME);
    (path.clone(), std::fs::read(path).unwrap())
}

fn officers(list: &AskedList) -> Vec<String> {
    list.waiting().iter().map(|search| pb::OfflineSearch::decode(&search[..]).unwrap().officer).collect()
}

#[test]
fn what_lies_there_cannot_be_read_without_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let (_, bytes) = of_three(dir.path());
    assert!(!bytes.windows(7).any(|part| part == b"MARLOWE"));
    assert_eq!(officers(&open(dir.path(), 9).unwrap()), ["MARLOWE", "NIGHTSEAT", "DAWNSEAT"]);
    let other = open(dir.path(), 8).unwrap_err();
    assert!(other.to_string().contains("was changed at byte 68, or sealed with another key"), "{other}");
}

#[test]
fn what_was_changed_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = of_three(dir.path());
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= 0x40;
        std::fs::write(&path, &bent).unwrap();
        let opened = open(dir.path(), 9);
        // A length that reaches behind the end is what a crash leaves too: the last search is dropped then.
        let short = bytes.len() - (8 + 32 + search("DAWNSEAT").encoded_len());
        let as_torn = (short..short + 4).contains(&at);
        match opened {
            Err(ListError::Damaged { .. } | ListError::Sealed { .. }) => {}
            Ok(list) if as_torn => assert_eq!(officers(&list), ["MARLOWE", "NIGHTSEAT"]),
            other => panic!("byte {at}: {other:?}"),
        }
    }
    // Two searches that have changed places, each whole.
    let first = HEAD_BYTES + 8 + 32;
    let second = first + 8 + 32 + search("MARLOWE").encoded_len();
    let third = second + 8 + 32 + search("NIGHTSEAT").encoded_len();
    let exchanged = [&bytes[..first], &bytes[second..third], &bytes[first..second], &bytes[third..]];
    std::fs::write(&path, exchanged.concat()).unwrap();
    let refused = open(dir.path(), 9).unwrap_err();
    assert!(matches!(refused, ListError::Sealed { at, .. } if at == first as u64), "{refused}");
}

#[test]
fn what_a_crash_tore_is_dropped_and_the_list_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = of_three(dir.path());
    let last = 8 + 32 + search("DAWNSEAT").encoded_len();
    let holes = |from: usize| [&bytes[..from], &vec![0; bytes.len() - from]].concat();
    for torn in
        [bytes[..bytes.len() - 1].to_vec(), bytes[..bytes.len() - last + 3].to_vec(), holes(bytes.len() - 9)]
    {
        std::fs::write(&path, torn).unwrap();
        let mut list = open(dir.path(), 9).unwrap();
        assert_eq!(officers(&list), ["MARLOWE", "NIGHTSEAT"]);
        assert_eq!(list.note(&search("AGAIN")).unwrap(), 3);
        drop(list);
        assert_eq!(officers(&open(dir.path(), 9).unwrap()), ["MARLOWE", "NIGHTSEAT", "AGAIN"]);
    }
}
