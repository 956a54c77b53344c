//! `i247 review`: what waits for the secretariat, and what a reviewer decides. She checks the country's signature and
//! signs her decision on her own machine.

use clap::{Subcommand, ValueEnum};
use i247_client::{Reviewer, pb};
use serde_json::json;

use crate::fail::Fail;
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// List the requests that wait for a decision, the most urgent first
    List,
    /// List the alerts of false documents that wait for their quality check; until then nobody else finds them
    Alerts,
    /// Show a request or an alert, whole, after checking the country's signature
    Show {
        /// The request, or a prefix that only it has; or an alert by owner and reference, such as FR/2026-17
        id: String,
    },
    /// Approve requests and publish their notices; publish alerts
    Approve {
        /// The requests, or prefixes that only they have; alerts by owner and reference
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// List the notices in force, by number
    Notices,
    /// Cancel a notice at everybody who had it
    Cancel {
        /// The notice's number, such as 2010/1
        number: String,
        /// What everybody is told
        #[arg(long)]
        reason: String,
    },
    /// Refuse a request, or return an alert, and tell the country why
    Refuse {
        /// The request, or a prefix that only it has; or an alert by owner and reference
        id: String,
        /// On which ground
        #[arg(long)]
        ground: Ground,
        /// What the country is told
        #[arg(long)]
        remark: String,
    },
}

/// Why a notice may not be published.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Ground {
    /// Constitution, article 2: human rights, fair trial, refugee status
    Article2,
    /// Constitution, article 3: political, military, religious or racial
    Article3,
    /// Anything else, said in the remark
    Other,
}

impl Ground {
    fn wire(self) -> pb::RefusalGround {
        match self {
            Self::Article2 => pb::RefusalGround::Article2,
            Self::Article3 => pb::RefusalGround::Article3,
            Self::Other => pb::RefusalGround::Other,
        }
    }
}

/// Records are named by owner and reference; no message has a stroke in its id.
fn is_alert(id: &str) -> bool {
    id.contains('/')
}

/// What is said below whatever is shown.
const HOLDS: &str = "The country's signature holds. `i247 review approve` or `i247 review refuse` decides.";

pub(crate) async fn run(command: ReviewCommand, session: &Session) -> Result<(), Fail> {
    let mut reviewer = session.reviewer()?;
    match command {
        ReviewCommand::List => {
            let pending = reviewer.pending().await?;
            let json = || pending.iter().map(|one| to_json("PendingNotice", one)).collect();
            let none = "Nothing waits for a decision.";
            out::list(session, &pending, json, none, || render::pending(&pending));
        }
        ReviewCommand::Alerts => {
            let alerts = reviewer.alerts().await?;
            let json = || alerts.iter().map(|one| to_json("PendingAlert", one)).collect();
            let none = "No alert waits for its quality check.";
            out::list(session, &alerts, json, none, || render::forgeries(&alerts));
        }
        ReviewCommand::Notices => {
            let notices = reviewer.notices().await?;
            let json = || notices.iter().map(|one| to_json("NoticeInForce", one)).collect();
            out::list(session, &notices, json, "No notice is in force.", || render::notices(&notices));
        }
        ReviewCommand::Show { id } if is_alert(&id) => show_alert(&reviewer, &id, session).await?,
        ReviewCommand::Show { id } => show_request(&reviewer, &id, session).await?,
        ReviewCommand::Approve { ids } => approve(&mut reviewer, &ids).await?,
        ReviewCommand::Cancel { number, reason } => cancel(&mut reviewer, &number, &reason).await?,
        ReviewCommand::Refuse { id, ground, remark } if is_alert(&id) => {
            let alert = reviewer.examine_alert(&id).await?;
            let decision = reviewer.return_alert(&alert, ground.wire(), &remark).await?;
            out::data(&decision.to_string());
            out::talk(&format!("{id} is returned; {} is told why", alert.signed.country));
        }
        ReviewCommand::Refuse { id, ground, remark } => {
            let examined = reviewer.examine(&id).await?;
            let decision = reviewer.refuse(&examined, ground.wire(), &remark).await?;
            out::data(&decision.to_string());
            out::talk(&format!("{} is refused; {} is told why", examined.header.id, examined.requester));
        }
    }
    Ok(())
}

async fn show_alert(reviewer: &Reviewer, id: &str, session: &Session) -> Result<(), Fail> {
    let alert = reviewer.examine_alert(id).await?;
    if session.global.json {
        let row = i247_records::import::json_row(&alert.record);
        let says: serde_json::Value = serde_json::from_str(&row).unwrap_or_default();
        out::json(&json!({
            "name": id,
            "owner": alert.signed.country.as_str(),
            "message": alert.signed.header.id.to_string(),
            "item": alert.item,
            "record": says,
        }));
    } else {
        out::data(&render::forgery(&alert));
        out::talk(HOLDS);
    }
    Ok(())
}

async fn show_request(reviewer: &Reviewer, id: &str, session: &Session) -> Result<(), Fail> {
    let examined = reviewer.examine(id).await?;
    if session.global.json {
        out::json(&json!({
            "id": examined.header.id.to_string(),
            "requester": examined.requester.as_str(),
            "notice_id": examined.notice_id,
            "edition": examined.edition,
            "body": to_json("Body", &examined.body),
        }));
    } else {
        out::data(&render::examined(&examined));
        out::talk(HOLDS);
    }
    Ok(())
}

/// All of them are read before any is decided.
async fn approve(reviewer: &mut Reviewer, ids: &[String]) -> Result<(), Fail> {
    let (mut examined, mut alerts) = (Vec::new(), Vec::new());
    for id in ids {
        if is_alert(id) {
            alerts.push(reviewer.examine_alert(id).await?);
        } else {
            examined.push(reviewer.examine(id).await?);
        }
    }
    let decisions = reviewer.publish_alerts(&alerts).await?;
    for (alert, decision) in alerts.iter().zip(decisions) {
        out::data(&format!("{} {decision}", alert.record.name()));
        out::talk(&format!("{} is published", alert.record.name()));
    }
    for published in reviewer.approve(&examined).await? {
        out::data(&format!("{} {}", published.notice_id, published.publication));
        out::talk(&format!("{} is approved and published", published.request));
    }
    Ok(())
}

async fn cancel(reviewer: &mut Reviewer, number: &str, reason: &str) -> Result<(), Fail> {
    let notices = reviewer.notices().await?;
    let found = notices.iter().find(|notice| notice.notice_id == number);
    let next = "`i247 review notices` shows those that there are";
    let unknown = || Fail::refused(format!("no notice {number} is in force"), next);
    let notice = found.and_then(|notice| notice.message_id.parse().ok()).ok_or_else(unknown)?;
    let cancellation = reviewer.cancel(notice, number, reason).await?;
    out::data(&cancellation.to_string());
    out::talk(&format!("{number} is cancelled at everybody who had it"));
    Ok(())
}
