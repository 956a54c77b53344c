//! What officers send, and what they get: drafts with good defaults, and readable answers.

use std::collections::BTreeSet;
use std::time::Duration;

use i247_model::{Audience, CountryCode, Lane, MessageId};
use i247_wire::pb;

use crate::bureau::Bureau;
use crate::error::WorldError;
use crate::pki::country;

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Its id, fixed when the desk took it.
    pub id: MessageId,
    /// Who sent it.
    pub from: CountryCode,
}

/// A message that arrived, as the bureau shows it.
#[derive(Clone, Debug)]
pub struct Received(pub pb::ShowResponse);

impl Received {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What an answer found; unspecified for what is no answer.
    pub fn outcome(&self) -> pb::Outcome {
        match self.form() {
            Some(pb::body::Form::Reply(reply)) => reply.outcome(),
            _ => pb::Outcome::Unspecified,
        }
    }

    /// What it says.
    pub fn form(&self) -> Option<&pb::body::Form> {
        self.0.body.as_ref()?.form.as_ref()
    }
}

/// A question that is being put together.
#[derive(Clone, Debug)]
pub struct Ask<'w> {
    bureau: Bureau<'w>,
    draft: pb::Draft,
}

impl<'w> Ask<'w> {
    pub(crate) fn new(bureau: Bureau<'w>, countries: BTreeSet<CountryCode>) -> Self {
        let form = pb::body::Form::Request(pb::Request {
            subject: Some(person("UNKNOWN", "PERSON")),
            questions: vec![pb::Question::Record.into(), pb::Question::EntryExit.into()],
            reason: "Whereabouts of the person are sought".into(),
            ..pb::Request::default()
        });
        let draft = pb::Draft {
            kind: pb::Kind::Request.into(),
            lane: pb::Lane::from(Lane::Normal).into(),
            audience: Some((&Audience::countries(countries)).into()),
            body: Some(pb::Body {
                subject: "Request for information".into(),
                language: "EN".into(),
                form: Some(form),
                ..pb::Body::default()
            }),
            ..pb::Draft::default()
        };
        Self { bureau, draft }
    }

    /// Whom it is about: an invented person, born on 1 January 1970.
    pub fn about(self, family_name: &str, forename: &str) -> Self {
        self.born(family_name, forename, "1970-01-01")
    }

    /// Whom it is about, with a birth date.
    pub fn born(mut self, family_name: &str, forename: &str, date_of_birth: &str) -> Self {
        if let Some(pb::body::Form::Request(request)) =
            self.draft.body.as_mut().and_then(|body| body.form.as_mut())
        {
            let mut subject = person(family_name, forename);
            subject.date_of_birth = date_of_birth.into();
            request.subject = Some(subject);
        }
        self
    }

    /// How urgent.
    pub fn lane(mut self, lane: Lane) -> Self {
        self.draft.lane = pb::Lane::from(lane).into();
        self
    }

    /// When the answer is due, from now.
    pub fn within(mut self, within: Duration, world: &crate::World) -> Self {
        self.draft.reply_by_ms = world.seams().clock.now().plus(within).as_millis();
        self
    }

    /// Replies may go to everyone who is asked.
    pub fn reply_to_all(mut self) -> Self {
        self.draft.reply_to_all = true;
        self
    }

    /// The caller's own key of this question: the same key gets the same message id again.
    pub fn key(mut self, key: &str) -> Self {
        self.draft.idempotency_key = key.into();
        self
    }

    /// The draft as it stands, for changes that have no word here.
    pub fn draft(self) -> pb::Draft {
        self.draft
    }

    /// Hands it to the desk.
    ///
    /// # Errors
    /// The desk's refusal, or when the bureau does not run.
    pub async fn send(self) -> Result<Sent, WorldError> {
        self.bureau.send(self.draft).await
    }
}

/// An invented person, born on 1 January 1970.
pub fn person(family_name: &str, forename: &str) -> pb::Identity {
    pb::Identity {
        family_name: family_name.into(),
        forename: forename.into(),
        sex: pb::Sex::Unknown.into(),
        date_of_birth: "1970-01-01".into(),
        description: "of middle height".into(),
        ..pb::Identity::default()
    }
}

/// A complete Red Notice form for an invented person.
pub fn red_form(family_name: &str, forename: &str) -> pb::NoticeForm {
    let red = pb::RedForm {
        identity: Some(person(family_name, forename)),
        facts: "In March 2029, at a harbour, the person sold forged bills of lading.".into(),
        charges: vec!["Fraud".into()],
        laws: vec!["Penal Code, invented article 901".into()],
        max_penalty_months: 96,
        sentence_months: 0,
        warrant: Some(pb::Warrant {
            authority: "Court of Instruction".into(),
            reference: "INV-77/2030".into(),
            date: "2030-11-02".into(),
            judicial: true,
        }),
        extradition_undertaking: true,
    };
    pb::NoticeForm {
        person_status: pb::PersonStatus::Wanted.into(),
        legal_basis: "RPD art. 82 and 83".into(),
        purpose: "Arrest for extradition".into(),
        source_authority: "Prosecutor's office".into(),
        publish_extract: false,
        form: Some(pb::notice_form::Form::Red(red)),
    }
}

/// A request for this notice, with these countries barred.
pub fn notice_request(form: pb::NoticeForm, except: &[&str]) -> pb::Draft {
    let request = pb::NoticeRequest {
        form: Some(form),
        except: except.iter().map(|code| (*code).to_owned()).collect(),
    };
    pb::Draft {
        kind: pb::Kind::NoticeRequest.into(),
        lane: pb::Lane::Normal.into(),
        audience: Some((&Audience::secretariat()).into()),
        body: Some(body("Notice request", pb::body::Form::NoticeRequest(request))),
        ..pb::Draft::default()
    }
}

/// A diffusion to these countries.
pub fn diffusion(form: pb::NoticeForm, countries: &[&str]) -> pb::Draft {
    pb::Draft {
        kind: pb::Kind::Diffusion.into(),
        lane: pb::Lane::Normal.into(),
        audience: Some((&Audience::countries(countries.iter().map(|code| country(code)))).into()),
        body: Some(body("Diffusion", pb::body::Form::Diffusion(pb::Diffusion { form: Some(form) }))),
        ..pb::Draft::default()
    }
}

/// The end of a diffusion.
pub fn withdrawal(of: &Sent) -> pb::Draft {
    pb::Draft {
        kind: pb::Kind::Withdrawal.into(),
        lane: pb::Lane::Normal.into(),
        audience: Some((&Audience::as_referred()).into()),
        refers_to: of.id.to_string(),
        body: Some(body(
            "Withdrawal",
            pb::body::Form::Withdrawal(pb::Withdrawal { reason: "The purpose is met".into() }),
        )),
        ..pb::Draft::default()
    }
}

/// A reply to a question.
pub fn reply(question: &MessageId, outcome: pb::Outcome, stage: pb::ReplyStage) -> pb::Draft {
    let reply = pb::Reply {
        outcome: outcome.into(),
        files_searched: vec!["CRIMINAL_RECORDS".into()],
        ground: if stage == pb::ReplyStage::Refusal { "national law".into() } else { String::new() },
        ..pb::Reply::default()
    };
    let to = question.sender.party().country().into_iter();
    pb::Draft {
        kind: pb::Kind::Reply.into(),
        lane: pb::Lane::from(question.lane).into(),
        audience: Some((&Audience::countries(to)).into()),
        refers_to: question.to_string(),
        reply_stage: stage.into(),
        body: Some(body("Reply", pb::body::Form::Reply(reply))),
        ..pb::Draft::default()
    }
}

/// Words to these countries.
pub fn free_text(countries: &[&str], text: &str) -> pb::Draft {
    pb::Draft {
        kind: pb::Kind::FreeText.into(),
        lane: pb::Lane::Normal.into(),
        audience: Some((&Audience::countries(countries.iter().map(|code| country(code)))).into()),
        body: Some(body("Message", pb::body::Form::FreeText(pb::FreeText { text: text.into() }))),
        ..pb::Draft::default()
    }
}

fn body(subject: &str, form: pb::body::Form) -> pb::Body {
    pb::Body { subject: subject.into(), language: "EN".into(), form: Some(form), ..pb::Body::default() }
}
