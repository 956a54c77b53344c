//! What officers, reviewers and fate do: one random act at a time, mostly sensible, sometimes wrong.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use i247_model::{Audience, CountryCode, Hash, Header, Kind, Lane, Lifted, MessageId, Party, Region, Sender};
use i247_router::{DirectoryAction, Input, Previous, Submission};

use crate::sent::Sent;
use crate::world::{World, submission};

impl World {
    pub(crate) fn act(&mut self) {
        let country = *self.dice.pick(&self.countries.clone()).unwrap();
        match self.dice.below(100) {
            0..=27 => self.write(country),
            28..=31 => self.review(),
            32..=58 => self.arrive(),
            59..=63 => self.repeat(),
            64..=68 => self.connect(country),
            69 => self.cut(country),
            70..=84 => {
                for _ in 0..self.dice.below(8) {
                    self.hand(country);
                }
            }
            85..=91 => self.acknowledge(country),
            92..=94 => {
                let by = [1, 40, 600, 90_000][self.dice.below(4) as usize];
                self.tick(Duration::from_secs(by));
            }
            95 => self.burst(country),
            96 | 97 => {
                let action = match self.dice.below(12) {
                    0..=3 => DirectoryAction::Suspend,
                    4..=8 => DirectoryAction::Reinstate,
                    9 | 10 => DirectoryAction::Admit,
                    _ => DirectoryAction::Revoke,
                };
                self.move_standing(country, action);
            }
            98 if self.dice.once_in(4) => self.go_on(),
            98 => self.restart(),
            _ => self.renew(country),
        }
    }

    /// The log goes on under another name, as after a recovery that found nothing lost. Reviewers number anew.
    fn go_on(&mut self) {
        let lena = Sender::Reviewer("lena".parse().unwrap());
        self.outbox.retain(|(of, _), _| *of != lena);
        let previous = Previous { log_id: self.state.log_id().unwrap().to_vec(), end: self.log.len() as u64 };
        let log_id = self.hash().as_bytes().to_vec();
        self.input(Input::Genesis { log_id, previous: Some(previous) }).unwrap();
        *self.record.epochs.entry(lena).or_insert(1) += 1;
        self.record.hold_clocks(self.now.plus(Duration::from_secs(600)));
        self.record.recovered_at = Some(self.now);
        let end = self.log.len() as u64 - 1;
        self.record.shared_end.get_or_insert(end);
        self.see("another name");
        self.restart();
    }

    /// Many very urgent messages, and one that must not starve behind them.
    fn burst(&mut self, country: CountryCode) {
        let to = *self.dice.pick(&self.countries.clone()).unwrap();
        if to == country {
            return;
        }
        let sender = Sender::Bureau(country);
        for n in 0..24 {
            let lane = if n == 0 { Lane::Normal } else { Lane::VeryUrgent };
            let header = self.header(&sender, lane, Kind::FreeText, None, Audience::countries([to]));
            self.seal(header, Lifted::default());
        }
        for _ in 0..60 {
            self.arrive();
        }
    }

    /// The bureau was restored from an older copy and begins a new epoch.
    fn renew(&mut self, country: CountryCode) {
        let sender = Sender::Bureau(country);
        if !self.record.is_active(country.into()) || self.dice.once_in(2) {
            return;
        }
        let epoch = self.record.epochs.get(&sender).copied().unwrap_or(1) + 1;
        self.outbox.retain(|(of, _), _| *of != sender);
        let mut header = self.header(&sender, Lane::Normal, Kind::NewEpoch, None, Audience::secretariat());
        (header.id.epoch, header.id.number, header.previous) = (epoch, 1, None);
        self.seal(header, Lifted { epoch: Some(epoch), ..Lifted::default() });
        while self.record.epochs.get(&sender) != Some(&epoch) {
            self.arrive();
        }
    }

    fn write(&mut self, country: CountryCode) {
        let sender = Sender::Bureau(country);
        let lane = Lane::ALL[self.dice.below(4) as usize];
        let party = Party::Bureau(country);
        let mut lifted = Lifted::default();
        let kind = match self.dice.below(30) {
            0..=4 => Kind::Diffusion,
            5..=8 => Kind::Withdrawal,
            9..=13 => Kind::Request,
            14..=18 => Kind::Reply,
            19..=21 => Kind::NoticeRequest,
            22 => Kind::PersonLocated,
            23 => Kind::Cancellation,
            24 => Kind::Restriction,
            25 => Kind::Void,
            _ => Kind::FreeText,
        };
        let wild = self.dice.once_in(12);
        let refers_to = self.reference(kind, party, wild);
        let secretariat = [Kind::NoticeRequest, Kind::Restriction, Kind::Void].contains(&kind);
        let referred = refers_to.as_ref().and_then(|id| self.record.sent.get(id));
        let audience = match (kind, &referred) {
            _ if secretariat => Audience::secretariat(),
            (Kind::Withdrawal | Kind::Cancellation, _) => Audience::as_referred(),
            (Kind::Reply, Some(request)) if request.reply_to_all => Audience::countries(
                request.copies.keys().chain([&request.from]).filter_map(|party| party.country()),
            ),
            (Kind::Reply, Some(request)) => Audience::countries(request.from.country()),
            (Kind::PersonLocated, Some(notice)) => {
                let file = notice.notice.and_then(|id| self.record.notices.get(&id));
                Audience::countries(file.map(|file| file.owner)).copies([Party::Secretariat])
            }
            _ => self.audience(),
        };
        if [Kind::NoticeRequest, Kind::Restriction].contains(&kind) {
            lifted.except = self.some_countries();
            lifted.except.remove(&country);
        }
        let mut header = self.header(&sender, lane, kind, refers_to, audience);
        if kind == Kind::Request {
            header.reply_by = Some(self.now.plus(Duration::from_secs(1 + self.dice.below(2_000))));
            header.reply_to_all = self.dice.once_in(2);
        }
        header.reply_stage = (kind == Kind::Reply).then(|| self.stage());
        if self.dice.once_in(4) {
            header.explained_at = Some(1 + self.dice.below(self.log.len() as u64));
            header.exactly = self.dice.once_in(3);
        }
        self.spoil(&mut header, &mut lifted);
        self.seal(header, lifted);
    }

    /// A reference that fits the kind, or now and then any message at all.
    fn reference(&mut self, kind: Kind, party: Party, wild: bool) -> Option<MessageId> {
        let fits = |sent: &&Sent| match kind {
            _ if wild => true,
            Kind::Withdrawal => sent.kind == Kind::Diffusion && sent.from == party,
            Kind::Reply => sent.kind == Kind::Request && sent.copies.contains_key(&party),
            Kind::NoticeRequest | Kind::Cancellation => {
                sent.kind == Kind::NoticeRequest && sent.from == party
            }
            Kind::PersonLocated => sent.kind == Kind::Notice && sent.copies.contains_key(&party),
            Kind::FreeText => sent.copies.contains_key(&party),
            _ => false,
        };
        if matches!(kind, Kind::NoticeRequest | Kind::FreeText) && !self.dice.once_in(3) {
            return None;
        }
        let ids: Vec<&MessageId> = self.record.sent.by_id().filter(fits).map(|sent| &sent.id).collect();
        self.dice.pick(&ids).copied().cloned()
    }

    fn review(&mut self) {
        let reviews: Vec<_> = self.state.reviews().cloned().collect();
        let sender = Sender::Reviewer("lena".parse().unwrap());
        let lane = Lane::ALL[self.dice.below(3) as usize];
        if self.dice.once_in(4) {
            let notices: Vec<_> = self
                .state
                .notices()
                .filter_map(|(id, file)| Some((id, file.message()?.clone(), file.edition)))
                .collect();
            let Some((id, notice, edition)) = self.dice.pick(&notices).cloned() else { return };
            let kind = if self.dice.once_in(3) { Kind::Cancellation } else { Kind::Addendum };
            let header = self.header(&sender, lane, kind, Some(notice), Audience::as_referred());
            self.seal(header, Lifted { notice_id: Some(id), edition: edition + 1, ..Lifted::default() });
            return;
        }
        let Some(review) = self.dice.pick(&reviews).cloned() else { return };
        let mut lifted = Lifted {
            notice_id: Some(review.notice_id),
            request_header_hash: Some(review.request_hash),
            ..Lifted::default()
        };
        let file_edition = self.state.notice(review.notice_id).map_or(0, |file| file.edition);
        lifted.edition = file_edition + 1;
        let header = match (&review.addendum_to, review.approved) {
            (_, false) => {
                lifted.approved = Some(!self.dice.once_in(4));
                let to = Audience::countries([review.requester]);
                self.header(&sender, lane, Kind::ReviewDecision, Some(review.request), to)
            }
            (None, true) => self.header(&sender, lane, Kind::Notice, Some(review.request), Audience::all()),
            (Some(notice), true) => {
                self.header(&sender, lane, Kind::Addendum, Some(notice.clone()), Audience::as_referred())
            }
        };
        self.seal(header, lifted);
    }

    fn some_countries(&mut self) -> BTreeSet<CountryCode> {
        let countries = self.countries.clone();
        countries.into_iter().filter(|_| self.dice.once_in(3)).collect()
    }

    fn audience(&mut self) -> Audience {
        let mut audience = match self.dice.below(5) {
            0 => Audience::all(),
            1 => Audience {
                regions: BTreeSet::from([Region::Europe, Region::Americas]),
                ..Audience::default()
            },
            _ => Audience::countries(self.some_countries()),
        };
        if self.dice.once_in(4) {
            audience = audience.except(self.some_countries());
        }
        if self.dice.once_in(4) {
            audience = audience.copies([Party::Secretariat, Party::Bureau(self.countries[0])]);
        }
        audience.secretariat = self.dice.once_in(6);
        audience
    }

    fn spoil(&mut self, header: &mut Header, lifted: &mut Lifted) {
        match self.dice.below(60) {
            0 => header.previous = Some(self.hash()),
            1 => header.signed_at = self.now.plus(Duration::from_secs(400)),
            2 => header.expires_at = Some(self.now),
            3 => lifted.missing.push("form".into()),
            4 => header.audience.countries.extend(["ZW".parse::<CountryCode>().unwrap()]),
            5..=12 => header.expires_at = Some(self.now.plus(Duration::from_secs(1 + self.dice.below(900)))),
            _ => {}
        }
    }

    /// The next header of a sender, who knows its own numbers and nothing of the hub's answers.
    fn header(
        &mut self,
        sender: &Sender,
        lane: Lane,
        kind: Kind,
        refers_to: Option<MessageId>,
        audience: Audience,
    ) -> Header {
        let epoch = self.record.epochs.get(sender).copied().unwrap_or(1);
        let decided = self.record.numbers.get(&(sender.clone(), epoch, lane));
        let waiting = self.outbox.get(&(sender.clone(), lane));
        let number = decided.map_or(0, Vec::len) + waiting.map_or(0, Vec::len) + 1;
        let previous = waiting
            .and_then(|waiting| waiting.last())
            .map(|input| submission(input).header_hash)
            .or_else(|| decided.and_then(|decided| decided.last().copied()));
        Header {
            previous,
            refers_to,
            ..Header::bare(
                MessageId { sender: sender.clone(), epoch, lane, number: number as u64 },
                kind,
                audience,
                Hash([0; 32]),
                self.now,
                (Hash([0; 32]), Hash([0; 32])),
            )
        }
    }

    fn seal(&mut self, header: Header, lifted: Lifted) {
        let header_hash = self.hash();
        let key = (header.id.sender.clone(), header.id.lane);
        let submission = Submission {
            header,
            header_hash,
            lifted,
            referred: None,
            under_way: Default::default(),
            origin: Default::default(),
        };
        let input = Rc::new(Input::Submission(Box::new(submission)));
        self.outbox.entry(key).or_default().push(input);
    }
}
