//! `i247 hits` and `i247 hit`: where hits stand, what the owner of a record says of one, and what the asker did.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use i247_client::{ClientError, pb};

use crate::fail::Fail;
use crate::officer::hand_in;
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::{Checks, Session};

/// How long nothing may change before the watch looks whether the bureau is still there.
const LOOK: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct HitsArgs {
    /// Only those on which somebody has something left to do
    #[arg(long)]
    open: bool,
    /// Go on with whatever changes, until interrupted
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HitCommand {
    /// The record holds: whoever found it may act
    Confirm(Decided),
    /// It is another document, person or thing, or it was found again
    Deny(Decided),
    /// The record is out of date and goes
    Stale(Decided),
    /// Report what was done about a hit, once its owner has decided
    Act {
        /// The hit, such as IPSG-881-U-1
        id: String,
        /// What was done
        #[arg(long)]
        measure: Measure,
        /// Where
        #[arg(long)]
        place: String,
        /// Anything else that the owner should know
        #[arg(long, default_value = "")]
        remark: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Decided {
    /// The hit, such as IPSG-881-U-1
    id: String,
    /// Anything else that the asker should know
    #[arg(long, default_value = "")]
    remark: String,
}

/// What was done about a hit.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Measure {
    None,
    DocumentSeized,
    EntryRefused,
    Arrested,
    VehicleSeized,
    Watched,
    Released,
}

/// Lists the hits of the bureau, or those that the post's own searches made, and what changes.
pub(crate) async fn hits(args: &HitsArgs, session: &Session) -> Result<(), Fail> {
    let checks = session.checks()?;
    let wanted = |hit: &pb::HitStatus| !args.open || hit.state() != pb::HitState::ActionReported;
    let hits: Vec<pb::HitStatus> = all(&checks).await?.into_iter().filter(wanted).collect();
    out::list(
        session,
        &hits,
        || hits.iter().map(|hit| to_json("HitStatus", hit)).collect(),
        "There are no hits.",
        || render::hits(&hits),
    );
    if !args.watch {
        return Ok(());
    }
    let mut after = hits.iter().map(|hit| hit.changed_position).max().unwrap_or_default();
    loop {
        let mut changes = checks.watch_hits(after, true).await?;
        loop {
            match changes.next(LOOK).await {
                Ok(Some(hit)) => {
                    after = after.max(hit.changed_position);
                    let row = || render::hits(std::slice::from_ref(&hit));
                    out::answer(session, || to_json("HitStatus", &hit), row);
                }
                Err(ClientError::Late(_)) => {}
                Ok(None) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Decides on a hit, or reports what was done.
pub(crate) async fn hit(command: &HitCommand, session: &Session) -> Result<(), Fail> {
    let desk = session.desk()?;
    let mut draft = match command {
        HitCommand::Confirm(decided) => decision(decided, pb::HitVerdict::Confirmed),
        HitCommand::Deny(decided) => decision(decided, pb::HitVerdict::Denied),
        HitCommand::Stale(decided) => decision(decided, pb::HitVerdict::Stale),
        HitCommand::Act { id, measure, place, remark } => {
            let hit = all(&Checks::Desk(desk.clone())).await?.into_iter().find(|hit| hit.id == *id);
            let decision_id = hit.map(|hit| hit.decision_id).unwrap_or_default();
            if decision_id.is_empty() {
                let what = format!("the owner of the record has not decided on {id}");
                return Err(Fail::refused(
                    what,
                    "wait for the owner: `i247 hits --watch` shows what it says",
                ));
            }
            let form = pb::HitAction {
                measure: measure.wire().into(),
                done_at_ms: session.seams.clock.now().as_millis(),
                place: place.clone(),
                remark: remark.clone(),
            };
            let body = pb::Body {
                subject: format!("Done about {id}"),
                language: "EN".into(),
                form: Some(pb::body::Form::HitAction(form)),
                ..pb::Body::default()
            };
            draft(pb::Kind::HitAction, decision_id, body)
        }
    };
    draft.idempotency_key = session.key();
    let id = hand_in(&desk, draft).await?;
    out::sent(session, &id, "It is in the bureau's outbox. `i247 hits` shows where the hit stands.");
    Ok(())
}

/// All hits of whoever asks, the oldest change first.
async fn all(checks: &Checks) -> Result<Vec<pb::HitStatus>, Fail> {
    let mut stream = checks.watch_hits(0, false).await?;
    let mut hits = Vec::new();
    while let Some(hit) = stream.next(LOOK).await? {
        hits.push(hit);
    }
    Ok(hits)
}

fn decision(decided: &Decided, verdict: pb::HitVerdict) -> pb::Draft {
    let form = pb::HitDecision { verdict: verdict.into(), remark: decided.remark.clone() };
    let body = pb::Body {
        subject: format!("{} on {}", render::verdict(verdict), decided.id),
        language: "EN".into(),
        form: Some(pb::body::Form::HitDecision(form)),
        ..pb::Body::default()
    };
    draft(pb::Kind::HitDecision, decided.id.clone(), body)
}

fn draft(kind: pb::Kind, refers_to: String, body: pb::Body) -> pb::Draft {
    pb::Draft { kind: kind.into(), refers_to, body: Some(body), ..pb::Draft::default() }
}

impl Measure {
    fn wire(self) -> pb::HitMeasure {
        match self {
            Self::None => pb::HitMeasure::None,
            Self::DocumentSeized => pb::HitMeasure::DocumentSeized,
            Self::EntryRefused => pb::HitMeasure::EntryRefused,
            Self::Arrested => pb::HitMeasure::Arrested,
            Self::VehicleSeized => pb::HitMeasure::VehicleSeized,
            Self::Watched => pb::HitMeasure::Watched,
            Self::Released => pb::HitMeasure::Released,
        }
    }
}
