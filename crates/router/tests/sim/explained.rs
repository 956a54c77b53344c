//! Who came or went since an explanation, by reading every move of the directory: the naive rule beside the router's.

use std::collections::BTreeSet;

use i247_model::{CountryCode, Party};
use i247_router::{DirectoryAction, Standing, Submission};

use crate::record::Handed;
use crate::world::World;

impl World {
    /// Who of `audience` was no member when it was explained, and who was one and would be in it still.
    pub(crate) fn changes_since_explained(
        &mut self,
        submission: &Submission,
        audience: Option<&BTreeSet<Party>>,
        handed: &Handed,
    ) -> (Vec<Party>, Vec<Party>) {
        let header = &submission.header;
        let explained = header
            .explained_at
            .filter(|position| self.record.is_explained_here(*position, header.signed_at, self.now));
        let (Some(position), Some(audience)) = (explained, audience) else {
            return Default::default();
        };
        let was = |party: &Party| party.country().is_none_or(|country| self.was_member(country, position));
        let come = audience.iter().copied().filter(|party| !was(party)).collect();
        let present = self.record.standing.clone();
        let members: BTreeSet<CountryCode> =
            present.keys().copied().filter(|country| self.was_member(*country, position)).collect();
        for standing in self.record.standing.values_mut().filter(|standing| **standing == Standing::Revoked) {
            *standing = Standing::Active;
        }
        let with_them = self.record.audience(submission, handed);
        self.record.standing = present;
        let left = |party: &Party| party.country().is_some_and(|country| members.contains(&country));
        (come, with_them.difference(audience).copied().filter(left).collect())
    }

    fn was_member(&self, country: CountryCode, position: u64) -> bool {
        let mut member = false;
        for (at, whose, action) in &self.moves {
            if *whose != country || *at > position {
                continue;
            }
            match action {
                DirectoryAction::Admit => member = true,
                DirectoryAction::Revoke => member = false,
                DirectoryAction::Suspend | DirectoryAction::Reinstate => {}
            }
        }
        member
    }
}
