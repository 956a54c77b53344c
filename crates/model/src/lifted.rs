//! What a decision needs of a clear body, and nothing about persons.

use std::collections::BTreeSet;

use crate::{Colour, CountryCode, Hash, HitVerdict, Leave, NoticeId, Refusal};

/// Facts of a clear body that a decision depends on. They stand in the entry; the body may be erased.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lifted {
    /// Countries that the form bars.
    pub except: BTreeSet<CountryCode>,
    /// The notice that the form speaks of.
    pub notice_id: Option<NoticeId>,
    /// The edition of a notice or addendum, from 1; 0 in other forms.
    pub edition: u32,
    /// What a notice, notice request or diffusion is for.
    pub colour: Option<Colour>,
    /// Review decisions: approved or refused.
    pub approved: Option<bool>,
    /// Review decisions: which change of a message of records, from 0; none where a notice is decided about.
    pub item: Option<u16>,
    /// Hash of the country's signed request, as the reviewer examined it.
    pub request_header_hash: Option<Hash>,
    /// Minimum data that is missing, all of it, by path.
    pub missing: Vec<String>,
    /// The epoch that begins (new epochs only), from 1.
    pub epoch: Option<u64>,
    /// What it is void for, where only whoever opens the body can tell (records only).
    pub refused: Option<Refusal>,
    /// Grants: which post is granted what.
    pub leave: Option<Leave>,
    /// Hit decisions: what the owner says.
    pub verdict: Option<HitVerdict>,
}
