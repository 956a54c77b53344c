//! How much a body may hold, field by field, so that nothing behind it meets the unbounded.

use i247_model::{Kind, Reason, Refusal};
use prost::Message as _;

use crate::pb::body::Form;
use crate::pb::notice_form::Form as NoticeKind;
use crate::{malformed, pb};

/// Largest encoded body, in bytes. With the largest header it stays below the entry's 256 KiB.
pub const MAX_BODY_BYTES: usize = 224 * 1024;

/// Longest free text, in bytes.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Longest single line (a name, a place, a reason), in bytes.
pub const MAX_LINE_BYTES: usize = 1024;

/// Longest subject line, in bytes.
pub const MAX_SUBJECT_BYTES: usize = 200;

/// Longest reference of a sender, in bytes.
pub const MAX_REFERENCE_BYTES: usize = 40;

/// Most entries of a list in a body. More than there are countries.
pub const MAX_LIST: usize = 256;

/// Most handling conditions of one body or finding.
pub const MAX_HANDLING: usize = 16;

/// Whether a body has the form of its kind, and keeps every limit.
///
/// # Errors
/// `MALFORMED` with `body.form` when the form is that of another kind; `TOO_LARGE` with every
/// field that is too long; `MALFORMED` with every text that holds control characters.
pub fn check_body(kind: Kind, body: &pb::Body) -> Result<(), Refusal> {
    if body.form.as_ref().map(kind_of) != Some(kind) {
        return Err(malformed("body.form"));
    }
    if body.encoded_len() > MAX_BODY_BYTES {
        return Err(Refusal::of(Reason::TooLarge, "body"));
    }
    let mut limits = Limits::default();
    limits.envelope(body);
    if let Some(form) = &body.form {
        limits.form(form);
    }
    if !limits.long.is_empty() {
        return Err(Refusal::of_fields(Reason::TooLarge, limits.long));
    }
    if !limits.garbled.is_empty() {
        return Err(Refusal::of_fields(Reason::Malformed, limits.garbled));
    }
    Ok(())
}

fn kind_of(form: &Form) -> Kind {
    match form {
        Form::NoticeRequest(_) => Kind::NoticeRequest,
        Form::ReviewDecision(_) => Kind::ReviewDecision,
        Form::Notice(_) => Kind::Notice,
        Form::Addendum(_) => Kind::Addendum,
        Form::Cancellation(_) => Kind::Cancellation,
        Form::Diffusion(_) => Kind::Diffusion,
        Form::Withdrawal(_) => Kind::Withdrawal,
        Form::Request(_) => Kind::Request,
        Form::Reply(_) => Kind::Reply,
        Form::PersonLocated(_) => Kind::PersonLocated,
        Form::ArrestReport(_) => Kind::ArrestReport,
        Form::NationalDecision(_) => Kind::NationalDecision,
        Form::FreeText(_) => Kind::FreeText,
        Form::Reminder(_) => Kind::Reminder,
        Form::Escalation(_) => Kind::Escalation,
        Form::Restriction(_) => Kind::Restriction,
        Form::Void(_) => Kind::Void,
        Form::NewEpoch(_) => Kind::NewEpoch,
        Form::Grant(_) => Kind::Grant,
        Form::Hit(_) => Kind::Hit,
        Form::HitDecision(_) => Kind::HitDecision,
        Form::HitAction(_) => Kind::HitAction,
    }
}

/// What exceeds a limit, gathered as it is found.
#[derive(Default)]
struct Limits {
    long: Vec<String>,
    garbled: Vec<String>,
}

impl Limits {
    fn bytes(&mut self, path: &str, field: &str, text: &str, limit: usize) {
        if text.len() > limit {
            self.long.push(format!("{path}.{field}"));
        }
    }

    /// One line: no control characters, which would reach an officer's terminal.
    fn short(&mut self, path: &str, field: &str, text: &str, limit: usize) {
        self.bytes(path, field, text, limit);
        if text.chars().any(char::is_control) {
            self.garbled.push(format!("{path}.{field}"));
        }
    }

    fn line(&mut self, path: &str, field: &str, text: &str) {
        self.short(path, field, text, MAX_LINE_BYTES);
    }

    /// Several lines.
    fn text(&mut self, path: &str, field: &str, text: &str) {
        self.bytes(path, field, text, MAX_TEXT_BYTES);
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.garbled.push(format!("{path}.{field}"));
        }
    }

    fn count(&mut self, path: &str, field: &str, count: usize, limit: usize) {
        if count > limit {
            self.long.push(format!("{path}.{field}"));
        }
    }

    fn list(&mut self, path: &str, field: &str, list: &[String]) {
        self.count(path, field, list.len(), MAX_LIST);
        // One report a list is enough.
        if let Some(entry) = list.iter().find(|text| text.len() > MAX_LINE_BYTES) {
            self.bytes(path, field, entry, MAX_LINE_BYTES);
        }
        if list.iter().any(|text| text.chars().any(char::is_control)) {
            self.garbled.push(format!("{path}.{field}"));
        }
    }

    fn envelope(&mut self, body: &pb::Body) {
        self.short("body", "subject", &body.subject, MAX_SUBJECT_BYTES);
        self.short("body", "our_ref", &body.our_ref, MAX_REFERENCE_BYTES);
        self.short("body", "your_ref", &body.your_ref, MAX_REFERENCE_BYTES);
        if !matches!(body.language.as_str(), "" | "EN" | "FR" | "ES" | "AR") {
            self.garbled.push("body.language".into());
        }
        self.count("body", "handling", body.handling.len(), MAX_HANDLING);
        self.list("body", "handling", &body.handling);
        self.count("body", "attachments", body.attachments.len(), crate::MAX_ATTACHMENTS);
        for note in &body.attachments {
            self.short("body.attachments", "name", &note.name, 255);
            self.short("body.attachments", "media_type", &note.media_type, 127);
        }
    }

    fn form(&mut self, form: &Form) {
        match form {
            Form::NoticeRequest(request) => {
                self.notice_form(request.form.as_ref());
                self.list("notice_request", "except", &request.except);
            }
            Form::ReviewDecision(decision) => {
                self.text("review_decision", "remark", &decision.remark);
            }
            Form::Notice(notice) => {
                self.notice_form(notice.form.as_ref());
                self.list("notice", "except", &notice.except);
            }
            Form::Addendum(addendum) => {
                self.text("addendum", "text", &addendum.text);
                self.notice_form(addendum.form.as_ref());
            }
            Form::Cancellation(cancellation) => self.line("cancellation", "reason", &cancellation.reason),
            Form::Diffusion(diffusion) => self.notice_form(diffusion.form.as_ref()),
            Form::Withdrawal(withdrawal) => self.line("withdrawal", "reason", &withdrawal.reason),
            Form::Request(request) => self.request(request),
            Form::Reply(reply) => self.reply(reply),
            Form::PersonLocated(located) => {
                self.line("person_located", "place", &located.place);
                self.line("person_located", "proposed_measure", &located.proposed_measure);
            }
            Form::ArrestReport(report) => {
                self.line("arrest_report", "place", &report.place);
                self.text("arrest_report", "identity_proof", &report.identity_proof);
            }
            Form::NationalDecision(decision) => {
                self.text("national_decision", "objection", &decision.objection);
            }
            Form::FreeText(free) => self.text("free_text", "text", &free.text),
            Form::Reminder(reminder) => self.line("reminder", "request_id", &reminder.request_id),
            Form::Escalation(escalation) => {
                self.line("escalation", "request_id", &escalation.request_id);
                self.list("escalation", "silent", &escalation.silent);
            }
            Form::Restriction(restriction) => self.list("restriction", "except", &restriction.except),
            Form::Void(void) => self.line("void", "reason", &void.reason),
            Form::NewEpoch(epoch) => self.line("new_epoch", "reason", &epoch.reason),
            Form::Grant(grant) => self.count("grant", "databases", grant.databases.len(), MAX_LIST),
            Form::Hit(hit) => {
                self.line("hit", "name", &hit.name);
                self.line("hit", "station", &hit.station);
            }
            Form::HitDecision(decision) => self.text("hit_decision", "remark", &decision.remark),
            Form::HitAction(action) => {
                self.line("hit_action", "place", &action.place);
                self.text("hit_action", "remark", &action.remark);
            }
        }
    }

    fn request(&mut self, request: &pb::Request) {
        self.identity("request.subject", request.subject.as_ref());
        self.count("request", "questions", request.questions.len(), MAX_LIST);
        self.text("request", "reason", &request.reason);
        self.line("request", "crime_area", &request.crime_area);
    }

    fn reply(&mut self, reply: &pb::Reply) {
        self.list("reply", "files_searched", &reply.files_searched);
        self.count("reply", "findings", reply.findings.len(), MAX_LIST);
        for finding in &reply.findings {
            self.text("reply.findings", "text", &finding.text);
            self.count("reply.findings", "handling", finding.handling.len(), MAX_HANDLING);
            self.list("reply.findings", "handling", &finding.handling);
        }
        self.text("reply", "ground", &reply.ground);
    }

    fn notice_form(&mut self, form: Option<&pb::NoticeForm>) {
        let Some(form) = form else { return };
        self.line("form", "legal_basis", &form.legal_basis);
        self.line("form", "purpose", &form.purpose);
        self.line("form", "source_authority", &form.source_authority);
        match &form.form {
            None => {}
            Some(NoticeKind::Red(red)) => self.red(red),
            Some(NoticeKind::Yellow(yellow)) => {
                self.identity("form.yellow.identity", yellow.identity.as_ref());
                self.line("form.yellow", "missing_since", &yellow.missing_since);
                self.line("form.yellow", "last_seen_place", &yellow.last_seen_place);
                self.text("form.yellow", "circumstances", &yellow.circumstances);
            }
            Some(NoticeKind::Blue(blue)) => {
                self.identity("form.blue.identity", blue.identity.as_ref());
                self.text("form.blue", "facts", &blue.facts);
                self.list("form.blue", "sought", &blue.sought);
            }
            Some(NoticeKind::Green(green)) => {
                self.identity("form.green.identity", green.identity.as_ref());
                self.text("form.green", "warning", &green.warning);
                self.text("form.green", "assessment", &green.assessment);
            }
            Some(NoticeKind::Orange(orange)) => {
                self.text("form.orange", "threat", &orange.threat);
                self.line("form.orange", "place", &orange.place);
                self.list("form.orange", "measures", &orange.measures);
            }
            Some(NoticeKind::Purple(purple)) => {
                self.text("form.purple", "modus_operandi", &purple.modus_operandi);
                self.line("form.purple", "crime_area", &purple.crime_area);
                self.list("form.purple", "objects", &purple.objects);
                self.line("form.purple", "origin", &purple.origin);
                self.line("form.purple", "destination", &purple.destination);
            }
            Some(NoticeKind::Black(black)) => {
                self.line("form.black", "place", &black.place);
                self.line("form.black", "discovered_on", &black.discovered_on);
                self.text("form.black", "description", &black.description);
            }
        }
    }

    fn red(&mut self, red: &pb::RedForm) {
        self.identity("form.red.identity", red.identity.as_ref());
        self.text("form.red", "facts", &red.facts);
        self.list("form.red", "charges", &red.charges);
        self.list("form.red", "laws", &red.laws);
        if let Some(warrant) = &red.warrant {
            self.line("form.red.warrant", "authority", &warrant.authority);
            self.line("form.red.warrant", "reference", &warrant.reference);
            self.line("form.red.warrant", "date", &warrant.date);
        }
    }

    fn identity(&mut self, path: &str, identity: Option<&pb::Identity>) {
        let Some(identity) = identity else { return };
        self.line(path, "family_name", &identity.family_name);
        self.line(path, "forename", &identity.forename);
        self.line(path, "date_of_birth", &identity.date_of_birth);
        self.list(path, "nationalities", &identity.nationalities);
        self.list(path, "aliases", &identity.aliases);
        self.text(path, "description", &identity.description);
        self.line(path, "parent_name", &identity.parent_name);
        self.count(path, "documents", identity.documents.len(), MAX_LIST);
        for document in &identity.documents {
            self.line(path, "documents.type", &document.r#type);
            self.line(path, "documents.number", &document.number);
            self.line(path, "documents.country", &document.country);
        }
    }
}
