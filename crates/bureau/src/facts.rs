//! What views need to know of a body. Nothing personal and no free text may come through here.

use bytes::Bytes;
use i247_wire::pb;
use i247_wire::pb::body::Form;

/// The facts of a clear body.
pub(crate) fn facts(body: &pb::Body) -> pb::JournalFacts {
    let mut facts = pb::JournalFacts { our_ref: body.our_ref.clone(), ..Default::default() };
    let Some(form) = &body.form else { return facts };
    match form {
        Form::NoticeRequest(request) => set_colour(&mut facts, request.form.as_ref()),
        Form::ReviewDecision(decision) => {
            facts.notice_id.clone_from(&decision.notice_id);
            facts.verdict = decision.verdict;
            facts.request_header_hash = Bytes::copy_from_slice(&decision.request_header_hash);
        }
        Form::Notice(notice) => {
            facts.notice_id.clone_from(&notice.notice_id);
            facts.requester.clone_from(&notice.requester);
            facts.request_header_hash = Bytes::copy_from_slice(&notice.request_header_hash);
            set_colour(&mut facts, notice.form.as_ref());
        }
        Form::Addendum(addendum) => facts.notice_id.clone_from(&addendum.notice_id),
        Form::Cancellation(cancellation) => facts.notice_id.clone_from(&cancellation.notice_id),
        Form::Diffusion(diffusion) => set_colour(&mut facts, diffusion.form.as_ref()),
        Form::Request(request) => facts.notice_id.clone_from(&request.notice_id),
        Form::PersonLocated(located) => {
            facts.notice_id.clone_from(&located.notice_id);
            facts.certainty = located.certainty;
        }
        Form::ArrestReport(report) => facts.notice_id.clone_from(&report.notice_id),
        Form::NationalDecision(decision) => facts.notice_id.clone_from(&decision.notice_id),
        Form::Grant(grant) => {
            facts.post.clone_from(&grant.post);
            facts.copies = !grant.offline.is_empty();
        }
        Form::Withdrawal(_)
        | Form::Reply(_)
        | Form::FreeText(_)
        | Form::Reminder(_)
        | Form::Escalation(_)
        | Form::Restriction(_)
        | Form::Void(_)
        | Form::Hit(_)
        | Form::HitDecision(_)
        | Form::HitAction(_)
        | Form::NewEpoch(_) => {}
    }
    facts
}

fn set_colour(facts: &mut pb::JournalFacts, form: Option<&pb::NoticeForm>) {
    use pb::notice_form::Form;
    let colour = match form.and_then(|form| form.form.as_ref()) {
        None => pb::Colour::Unspecified,
        Some(Form::Red(_)) => pb::Colour::Red,
        Some(Form::Yellow(_)) => pb::Colour::Yellow,
        Some(Form::Blue(_)) => pb::Colour::Blue,
        Some(Form::Green(_)) => pb::Colour::Green,
        Some(Form::Orange(_)) => pb::Colour::Orange,
        Some(Form::Purple(_)) => pb::Colour::Purple,
        Some(Form::Black(_)) => pb::Colour::Black,
    };
    facts.set_colour(colour);
}
