//! Which files lead from what somebody holds to the newest version. It reads none of them.

use i247_wire::pb;

use super::chain::File;

/// A file that is sent, from a byte on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) file: File,
    pub(super) from: u64,
}

/// The files that lead to `newest`: deltas where they are less than a snapshot, else a snapshot; one that was begun is
/// gone on with. Nothing when the newest is held.
pub(super) fn leading(files: &[File], newest: u64, held: &pb::PartHeld) -> Vec<Sent> {
    let snapshot = |version| files.iter().find(|file| !file.delta && file.version == version);
    let deltas = |from: u64| -> Option<Vec<Sent>> {
        let delta = |version| files.iter().find(|file| file.delta && file.version == version);
        // No more than there are files, whatever somebody says that it holds.
        if newest.checked_sub(from)? > files.len() as u64 {
            return None;
        }
        (from + 1..=newest).map(|version| Some(Sent { file: delta(version)?.clone(), from: 0 })).collect()
    };
    let bytes = |sent: &[Sent]| sent.iter().map(|sent| sent.file.bytes).sum::<u64>();
    let whole = snapshot(newest);
    if held.version > 0
        && let Some(sent) = deltas(held.version)
        && whole.is_none_or(|whole| bytes(&sent) <= whole.bytes)
    {
        return sent;
    }
    if held.begun_version > 0
        && let Some(begun) = snapshot(held.begun_version).filter(|begun| held.begun_bytes <= begun.bytes)
        && let Some(behind) = deltas(held.begun_version)
    {
        let begun = Sent { file: begun.clone(), from: held.begun_bytes };
        return std::iter::once(begun).chain(behind).collect();
    }
    whole.map(|whole| Sent { file: whole.clone(), from: 0 }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u64, delta: bool, bytes: u64) -> File {
        File { version, delta, path: format!("{version}").into(), bytes }
    }

    /// Versions 10 to 14, of which the last two have snapshots of 100 bytes.
    fn files() -> Vec<File> {
        let deltas = (11..=14).map(|version| file(version, true, 40));
        deltas.chain([file(13, false, 100), file(14, false, 100)]).collect()
    }

    fn told(held: pb::PartHeld) -> Vec<(u64, bool, u64)> {
        let sent = leading(&files(), 14, &held);
        sent.iter().map(|sent| (sent.file.version, sent.file.delta, sent.from)).collect()
    }

    fn holds(version: u64) -> pb::PartHeld {
        pb::PartHeld { version, ..pb::PartHeld::default() }
    }

    #[test]
    fn deltas_lead_to_the_newest_while_they_are_less_than_a_snapshot() {
        assert_eq!(told(holds(14)), []);
        assert_eq!(told(holds(12)), [(13, true, 0), (14, true, 0)]);
        assert_eq!(told(holds(11)), [(14, false, 0)], "120 bytes of deltas");
    }

    #[test]
    fn who_has_nothing_or_what_nobody_published_gets_a_snapshot() {
        for version in [0, 1, 9, 15, u64::MAX] {
            assert_eq!(told(holds(version)), [(14, false, 0)], "{version}");
        }
    }

    #[test]
    fn a_snapshot_that_was_begun_is_gone_on_with_and_brought_to_the_newest() {
        let begun = |begun_version, begun_bytes| pb::PartHeld { version: 0, begun_version, begun_bytes };
        assert_eq!(told(begun(13, 60)), [(13, false, 60), (14, true, 0)]);
        assert_eq!(told(begun(14, 100)), [(14, false, 100)]);
        assert_eq!(told(begun(13, 101)), [(14, false, 0)], "it never had so many bytes");
        assert_eq!(told(begun(12, 60)), [(14, false, 0)], "it is not kept any more");
    }
}
