//! Who receives: one rule per party, computed in one place for `explain` and for the frozen audience.

use std::collections::BTreeSet;

use i247_model::{
    Audience, AudienceError, CountryCode, Kind, Lane, MessageId, Party, Reason, Refusal, Rule, Sender, member,
};

use crate::directory::Standing;
use crate::notice::NoticeFile;
use crate::{Message, Place, Recipient, State, Submission, TakenBack, UnderWay, reference};

/// Who would receive this?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who sends.
    pub sender: &'a Sender,
    /// What.
    pub kind: Kind,
    /// To whom, in the sender's words.
    pub audience: &'a Audience,
    /// Countries that the form bars.
    pub except: &'a BTreeSet<CountryCode>,
    /// The message that it refers to.
    pub refers_to: Option<&'a MessageId>,
    /// That message, when it is closed and the hub has read it from history.
    pub referred: Option<&'a Message>,
    /// What cannot be taken back any more (withdrawals and cancellations).
    pub under_way: &'a UnderWay,
}

impl<'a> From<&'a Submission> for Question<'a> {
    fn from(submission: &'a Submission) -> Self {
        Self {
            sender: &submission.header.id.sender,
            kind: submission.header.kind,
            audience: &submission.header.audience,
            except: &submission.lifted.except,
            refers_to: submission.header.refers_to.as_ref(),
            referred: submission.referred.as_deref(),
            under_way: &submission.under_way,
        }
    }
}

/// The secretariat and every member country of the table, each with the rule that admits it or not.
///
/// The parties that are admitted are exactly those that [`crate::decide`] would freeze at this state.
///
/// # Errors
/// The refusal that such a message would get for its kind, its reference or its audience.
pub fn explain(state: &State, question: &Question<'_>) -> Result<Vec<(Party, Rule)>, Refusal> {
    let call = Call::new(state, *question)?;
    Ok(state.directory.everyone().map(|(party, standing)| (party, call.rule_in(party, standing))).collect())
}

/// Who came to an audience and who went from it since it was explained.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) come: Vec<Party>,
    pub(crate) gone: Vec<Party>,
}

/// A question whose kind, reference and audience are in order.
pub(crate) struct Call<'a> {
    state: &'a State,
    question: Question<'a>,
    pub(crate) referred: Option<&'a Message>,
    file: Option<&'a NoticeFile>,
    /// Whom the owner of the data bars from all that it owns.
    barred: Option<&'a BTreeSet<CountryCode>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(state: &'a State, question: Question<'a>) -> Result<Self, Refusal> {
        reference::check_kind(question.sender, question.kind)?;
        let referred = reference::find(state, &question)?;
        let file = referred.and_then(|message| state.notices.get(&message.notice_id?));
        let mut call = Self { state, question, referred, file, barred: None };
        call.barred = call.owner().country().and_then(|owner| state.restrictions.get(&owner));
        call.check_form()?;
        call.check_named()?;
        Ok(call)
    }

    /// Whose data it is: that of the requester for what is about a notice.
    pub(crate) fn owner(&self) -> Party {
        match (self.question.kind, self.referred) {
            (Kind::Notice | Kind::Addendum | Kind::Cancellation, Some(message)) => message.owner,
            _ => self.question.sender.party(),
        }
    }

    /// The frozen audience, with mailbox numbers.
    pub(crate) fn places(&self, lane: Lane) -> Result<Vec<Place>, Refusal> {
        let (gate, candidates) = (self.gate(), self.candidates());
        let mut places = Vec::with_capacity(candidates.len());
        for party in candidates {
            if !self.rule(party).admits() {
                continue;
            }
            let owes = self.question.kind == Kind::Request && self.wish(party) != Rule::Copy;
            places.push(self.state.place(party, lane, owes, gate));
        }
        let nobody = match self.question.kind {
            Kind::Request => !places.iter().any(|place| place.owes),
            // They do their work even when there is nobody left to tell.
            Kind::Notice
            | Kind::Addendum
            | Kind::Cancellation
            | Kind::Withdrawal
            | Kind::Void
            | Kind::NewEpoch => false,
            _ => places.is_empty(),
        };
        if nobody { Err(bad("audience")) } else { Ok(places) }
    }

    /// Who came to the audience and who went from it by becoming a member, or ceasing to be one, after this
    /// position.
    pub(crate) fn changes_since(&self, position: u64) -> Changes {
        let mut changes = Changes::default();
        for party in self.candidates() {
            let was_member = self.state.directory.was_member(party, position);
            let rule = self.rule(party);
            let left = matches!(rule, Rule::NotAMember | Rule::Revoked);
            if rule.admits() && !was_member {
                changes.come.push(party);
            } else if left && was_member && self.rule_of_member(party).admits() {
                changes.gone.push(party);
            }
        }
        changes
    }

    /// The deliveries, still queued, that a withdrawal or cancellation takes back.
    pub(crate) fn taken_back(&self) -> Vec<TakenBack> {
        let mut taken = Vec::new();
        for message in self.messages_ended() {
            let parties = message.recipients.iter().filter(|(party, recipient)| {
                !recipient.state.settled() && !self.is_under_way(message, **party)
            });
            taken.extend(parties.map(|(party, _)| TakenBack { message: message.id.clone(), party: *party }));
        }
        taken
    }

    /// The first rule that applies, the strongest first.
    fn rule(&self, party: Party) -> Rule {
        self.rule_in(party, self.state.directory.standing_of(party))
    }

    fn rule_in(&self, party: Party, standing: Option<Standing>) -> Rule {
        if self.question.sender.party() == party {
            return Rule::Sender;
        }
        match standing {
            None => Rule::NotAMember,
            Some(Standing::Revoked) => Rule::Revoked,
            Some(Standing::Active) => self.rule_of_member(party),
            Some(Standing::Suspended) => match self.rule_of_member(party) {
                rule if rule.admits() => Rule::Suspended,
                rule => rule,
            },
        }
    }

    /// The rule for a party that is a member in good standing, or would be one.
    fn rule_of_member(&self, party: Party) -> Rule {
        let wish = self.wish(party);
        if wish == Rule::NotNamed {
            return wish;
        }
        if let Party::Bureau(country) = party {
            if self.is_excluded(country) {
                return Rule::Excluded;
            }
            if self.is_barred(country) {
                return Rule::RestrictedByOwner;
            }
        }
        wish
    }

    /// What the sender's words say about a party, whatever it may be allowed.
    fn wish(&self, party: Party) -> Rule {
        let audience = self.question.audience;
        match named(audience, party) {
            Some(rule) => rule,
            None if audience.as_referred => self.wish_as_referred(party),
            None => Rule::NotNamed,
        }
    }

    /// Whoever had it, or will have had it before this arrives. A cancellation is for everybody
    /// who has part in the notice: also its requester and the secretariat.
    fn wish_as_referred(&self, party: Party) -> Rule {
        let Some(referred) = self.referred else { return Rule::NotNamed };
        let kind = self.question.kind;
        if kind == Kind::Cancellation && party == Party::Secretariat {
            return Rule::Secretariat;
        }
        if kind == Kind::Cancellation && party == referred.owner {
            return Rule::Referred;
        }
        let Some(message) = self.gate() else { return Rule::NotNamed };
        let had = message.recipients.get(&party).is_some_and(|recipient| match kind {
            Kind::Withdrawal | Kind::Cancellation => {
                recipient.state.has_it() || self.is_under_way(message, party)
            }
            _ => recipient.state.has_it() || !recipient.state.settled(),
        });
        if had { Rule::Referred } else { Rule::NotNamed }
    }

    /// The message before which this one must not arrive: for a cancellation the notice itself,
    /// also when it refers to the request.
    fn gate(&self) -> Option<&'a Message> {
        match (self.question.kind, self.referred?) {
            (Kind::Cancellation, referred) => {
                let notice = self.file.and_then(|file| file.message());
                Some(notice.and_then(|id| self.state.message(id)).unwrap_or(referred))
            }
            (_, referred) => Some(referred),
        }
    }

    fn messages_ended(&self) -> Vec<&'a Message> {
        match (self.question.kind, self.referred) {
            (Kind::Withdrawal, Some(referred)) => vec![referred],
            (Kind::Cancellation, Some(referred)) => {
                referred.notice_id.map(|id| self.state.messages_of(id).collect()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// What came back to a recovered log may have reached its recipients before; they say so when it is delivered once
    /// more.
    fn is_under_way(&self, message: &Message, party: Party) -> bool {
        let open = |recipient: &Recipient| message.again && !recipient.state.settled();
        message.recipients.get(&party).is_some_and(open)
            || is_under_way(self.question.under_way, message, party)
    }

    /// The requester of a notice has it already.
    fn is_excluded(&self, country: CountryCode) -> bool {
        let requester = self.question.kind == Kind::Notice && self.owner() == Party::Bureau(country);
        requester || self.question.audience.except.contains(&country)
    }

    fn is_barred(&self, country: CountryCode) -> bool {
        if self.owner() == Party::Bureau(country) {
            return false;
        }
        let about_notice = matches!(self.question.kind, Kind::Notice | Kind::Addendum | Kind::Cancellation);
        self.barred.is_some_and(|barred| barred.contains(&country))
            || self.question.except.contains(&country)
            || (about_notice && self.file.is_some_and(|file| file.except.contains(&country)))
    }

    /// Only these can be admitted; all others are not named, or were never members.
    fn candidates(&self) -> Vec<Party> {
        let audience = self.question.audience;
        if audience.all || audience.as_referred || !audience.regions.is_empty() {
            let bureaus = self.state.directory.bureaus().map(|(country, _)| Party::Bureau(country));
            return std::iter::once(Party::Secretariat).chain(bureaus).collect();
        }
        let mut parties: Vec<Party> = audience.copies.iter().copied().collect();
        parties.extend(audience.countries.iter().map(|country| Party::Bureau(*country)));
        parties.extend(audience.secretariat.then_some(Party::Secretariat));
        parties.sort_unstable();
        parties.dedup();
        parties
    }

    /// What the kind says about the audience.
    fn check_form(&self) -> Result<(), Refusal> {
        let audience = self.question.audience;
        audience.check().map_err(|error| match error {
            AudienceError::Empty => bad("audience"),
            AudienceError::Contradiction(_) => bad("audience.except"),
        })?;
        let owner = self.referred.map(|message| message.owner);
        let right = match self.question.kind {
            Kind::NoticeRequest
            | Kind::Restriction
            | Kind::Void
            | Kind::NewEpoch
            | Kind::Records
            | Kind::Grant => *audience == Audience::secretariat(),
            Kind::ReviewDecision => *audience == Audience::countries(owner.and_then(Party::country)),
            Kind::Notice => *audience == Audience::all().except(audience.except.iter().copied()),
            Kind::Addendum => *audience == Audience::as_referred().except(audience.except.iter().copied()),
            Kind::Cancellation | Kind::Withdrawal | Kind::HitDecision => *audience == Audience::as_referred(),
            Kind::Diffusion | Kind::Request | Kind::FreeText => !audience.as_referred,
            Kind::PersonLocated | Kind::ArrestReport | Kind::NationalDecision | Kind::HitAction => {
                let mut rest = audience.clone();
                rest.secretariat = false;
                rest.copies.remove(&Party::Secretariat);
                rest == Audience::countries(owner.and_then(Party::country))
            }
            Kind::Reply => return self.check_reply(),
            Kind::Reminder | Kind::Escalation | Kind::Hit => false,
        };
        if right { Ok(()) } else { Err(bad("audience")) }
    }

    /// An answer goes to the asker, and to other addressees only where the request allows it.
    fn check_reply(&self) -> Result<(), Refusal> {
        let (audience, Some(request)) = (self.question.audience, self.referred) else { return Ok(()) };
        let asker = request.id.sender.party();
        let part = |party: Party| {
            party == asker || (request.reply_to_all && request.recipients.contains_key(&party))
        };
        let wide = audience.all
            || audience.as_referred
            || !audience.regions.is_empty()
            || !audience.countries.iter().all(|country| part(Party::Bureau(*country)))
            || !audience.copies.iter().all(|party| part(*party))
            || (audience.secretariat && !part(Party::Secretariat));
        if wide {
            return Err(Refusal::of(Reason::ReplyTooWide, "audience"));
        }
        let answers = asker.country().is_some_and(|country| audience.countries.contains(&country));
        if answers { Ok(()) } else { Err(bad("audience.countries")) }
    }

    fn check_named(&self) -> Result<(), Refusal> {
        let audience = self.question.audience;
        let named = audience.countries.iter().map(|country| ("countries", *country));
        let copied = audience.copies.iter().filter_map(|party| Some(("copies", party.country()?)));
        let unknown = named.chain(copied).filter(|(_, country)| !self.state.directory.is_member(*country));
        let fields: Vec<String> =
            unknown.map(|(list, country)| format!("audience.{list}.{country}")).collect();
        if fields.is_empty() { Ok(()) } else { Err(Refusal::of_fields(Reason::UnknownCountry, fields)) }
    }
}

/// Whether a delivery was handed to a stream and not signed for. A suspension that comes in between changes nothing: the
/// recipient may have it.
pub(crate) fn is_under_way(under_way: &UnderWay, message: &Message, party: Party) -> bool {
    let handed = under_way.get(&(party, message.id.lane)).copied().unwrap_or(0);
    message
        .recipients
        .get(&party)
        .is_some_and(|recipient| !recipient.state.settled() && recipient.number <= handed)
}

impl State {
    /// The next place in a mailbox. `gate` is the message before which nothing may arrive there.
    pub(crate) fn place(&self, party: Party, lane: Lane, owes: bool, gate: Option<&Message>) -> Place {
        let after = gate.filter(|gate| gate.id.lane != lane).and_then(|gate| {
            let recipient = gate.recipients.get(&party).filter(|recipient| !recipient.state.settled())?;
            Some((gate.id.lane, recipient.number))
        });
        let number = self.mailbox(party).map_or(0, |mailbox| mailbox.last(lane)) + 1;
        let held = self.directory.standing_of(party) == Some(Standing::Suspended);
        Place { party, number, held, owes, after }
    }
}

/// The rule that admitted a recipient, by the words of the message: whoever is in a frozen audience was not excluded.
pub fn admitted_by(kind: Kind, audience: &Audience, party: Party, held: bool) -> Rule {
    let referred = if (kind, party) == (Kind::Cancellation, Party::Secretariat) {
        Rule::Secretariat
    } else {
        Rule::Referred
    };
    if held { Rule::Suspended } else { named(audience, party).unwrap_or(referred) }
}

/// The words that name a party, the strongest first.
fn named(audience: &Audience, party: Party) -> Option<Rule> {
    Some(match party {
        Party::Secretariat if audience.secretariat => Rule::Secretariat,
        Party::Bureau(country) if audience.countries.contains(&country) => Rule::Named,
        _ if audience.copies.contains(&party) => Rule::Copy,
        Party::Bureau(country) if in_regions(audience, country) => Rule::Region,
        Party::Bureau(_) if audience.all => Rule::All,
        _ => return None,
    })
}

fn in_regions(audience: &Audience, country: CountryCode) -> bool {
    !audience.regions.is_empty()
        && member(country).is_some_and(|member| audience.regions.contains(&member.region))
}

fn bad(field: &str) -> Refusal {
    Refusal::of(Reason::BadAudience, field)
}
