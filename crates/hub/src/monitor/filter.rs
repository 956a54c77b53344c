//! Which moves somebody wants.

use i247_model::{Kind, Lane, Party, Reason, Refusal};
use i247_wire::{known, parsed, pb};

use crate::flow::{LinkKey, Move, Tapped};

/// Names in a filter.
const NAMES_MAX: usize = 256;

/// Which moves somebody wants. An empty list is for all.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    parties: Vec<Party>,
    kinds: Vec<Kind>,
    lanes: Vec<Lane>,
}

impl Filter {
    /// # Errors
    /// `MALFORMED` for what is no party, kind or lane; `TOO_LARGE` for too many of them.
    pub(super) fn read(wire: Option<pb::FlowFilter>) -> Result<Self, Refusal> {
        let wire = wire.unwrap_or_default();
        if wire.parties.len() + wire.kinds.len() + wire.lanes.len() > NAMES_MAX {
            return Err(Refusal::of(Reason::TooLarge, "filter"));
        }
        let parties = wire.parties.iter().map(|party| parsed(party, "filter.parties"));
        let kinds = wire.kinds.iter().map(|kind| known::<pb::Kind, Kind>(*kind, "filter.kinds"));
        let lanes = wire.lanes.iter().map(|lane| known::<pb::Lane, Lane>(*lane, "filter.lanes"));
        Ok(Self {
            parties: parties.collect::<Result<_, _>>()?,
            kinds: kinds.collect::<Result<_, _>>()?,
            lanes: lanes.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn fits(&self, key: LinkKey) -> bool {
        self.fits_all(key.from(), key.to().iter(), key.kind(), key.lane())
    }

    /// What was accepted fits also by those whom it is for.
    pub(super) fn fits_tapped(&self, tapped: &Tapped) -> bool {
        let Move { from, to, kind, lane, .. } = tapped.moved;
        self.fits_all(from, to.iter().chain(&tapped.recipients), kind, lane)
    }

    fn fits_all<'a>(
        &self,
        from: Party,
        mut to: impl Iterator<Item = &'a Party>,
        kind: Option<Kind>,
        lane: Option<Lane>,
    ) -> bool {
        let own = self.parties.is_empty() || self.parties.contains(&from);
        (own || to.any(|to| self.parties.contains(to)))
            && one_of(&self.kinds, kind)
            && one_of(&self.lanes, lane)
    }

    /// In words, for the book of look-ups.
    pub(super) fn words(&self) -> String {
        let parties = self.parties.iter().map(ToString::to_string);
        let kinds = self.kinds.iter().map(ToString::to_string);
        let words: Vec<String> =
            parties.chain(kinds).chain(self.lanes.iter().map(ToString::to_string)).collect();
        words.join(",")
    }
}

fn one_of<T: PartialEq>(wanted: &[T], there: Option<T>) -> bool {
    wanted.is_empty() || there.is_some_and(|there| wanted.contains(&there))
}
