//! DirectoryService: the country's authority enters changes that it has signed. The signature counts, not the
//! connection.

use std::sync::Arc;

use i247_model::{CountryCode, Identity, Reason, Refusal};
use i247_node::{Clock, Live, Role, Rule};
use i247_trust::{Admission, Root, introduce, verify};
use i247_wire::pb;
use i247_wire::pb::directory_service_server::DirectoryService;
use i247_wire::pb::journal_entry::Event;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::copies;
use crate::desk::{DeskError, malformed, status};
use crate::journal::Journal;
use crate::people::Change;

/// The full name of the service.
pub(crate) const DIRECTORY_SERVICE: &str = "i247.v1.DirectoryService";

/// Who may call it: the country's authority.
pub(crate) fn rules(country: CountryCode) -> [(&'static str, Rule); 2] {
    let authority = Rule::OfCountry(country, &[Role::NationalAuthority]);
    [("/i247.v1.DirectoryService/Change", authority.clone()), ("/i247.v1.DirectoryService/List", authority)]
}

/// The service.
pub(crate) struct Directory {
    pub(crate) me: CountryCode,
    pub(crate) root: Arc<Root>,
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn change(
        &self,
        request: Request<pb::ChangeRequest>,
    ) -> Result<Response<pb::ChangeResponse>, Status> {
        let pb::ChangeRequest { change, certificates } = request.into_inner();
        let signed = change.ok_or_else(|| malformed("change"))?;
        let directory = pb::JournalDirectory { change: Some(signed), certificates };
        let position = self.enter(directory).await.map_err(|error| status(&error))?;
        Ok(Response::new(pb::ChangeResponse { position }))
    }

    async fn list(&self, _: Request<pb::ListRequest>) -> Result<Response<pb::ListResponse>, Status> {
        Ok(Response::new(self.journal.views().people.list()))
    }
}

impl Directory {
    /// Journals a change and returns its place.
    async fn enter(&self, directory: pb::JournalDirectory) -> Result<u64, DeskError> {
        let signed = directory.change.clone().unwrap_or_default();
        let signer =
            introduce(&directory.certificates, &self.root, self.clock.now()).map_err(Refusal::from)?;
        let authority = Identity::NationalAuthority(self.me);
        if signer.identity != authority {
            return Err(Refusal::of(Reason::WrongSender, "certificates").into());
        }
        let payload = verify(&signed, i247_wire::payload::DIRECTORY_CHANGE, &signer.key)?;
        let change = Change::read(&payload)?;
        if change.identity.issuer() != authority {
            let mut refusal = Refusal::of(Reason::NotAuthorised, "identity");
            refusal.next_step = "name somebody whom this country's authority certifies".into();
            return Err(refusal.into());
        }
        self.journal.write(vec![Event::Directory(directory).into()]).await?;
        tracing::info!(identity = %change.identity, "the country's authority changed who may use the desk");
        Ok(self.journal.views().people.position())
    }
}

/// Who comes to the desk: the country's own people, as long as its authority lets them, that authority itself, and posts
/// that the bureau has granted offline copies.
#[derive(Clone)]
pub(crate) struct OwnPeople {
    pub(crate) me: CountryCode,
    pub(crate) journal: Journal,
}

impl std::fmt::Debug for OwnPeople {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnPeople").field("me", &self.me).finish_non_exhaustive()
    }
}

impl Admission for OwnPeople {
    fn admit(&self, identity: &Identity, tls_key: &i247_model::Hash) -> Result<(), Refusal> {
        match identity {
            Identity::Officer(country, _)
            | Identity::Bureau(country)
            | Identity::NationalAuthority(country)
                if *country == self.me =>
            {
                self.journal.views().people.admit(identity, tls_key)
            }
            Identity::Post(country, post) if *country == self.me => {
                copies::admit(&self.journal.views(), (identity, post), tls_key)
            }
            _ => Err(Refusal::of(Reason::NotAuthorised, "certificate")),
        }
    }
}

/// Whose connections are to be ended: everybody whom a change was about that came after the first look, and posts that
/// may not come any more.
pub(crate) struct Changed {
    journal: Journal,
    seen: u64,
    /// Where the newest word on posts stood.
    posts: u64,
}

impl Changed {
    /// Looks for the first time. It must be before anybody can connect: whoever connects behind it, and is changed
    /// behind it, is cut.
    pub(crate) fn from_now(journal: Journal) -> Self {
        let (seen, posts) = {
            let views = journal.views();
            (views.people.position(), views.posts.position())
        };
        Self { journal, seen, posts }
    }

    fn next(&mut self) -> Vec<Identity> {
        let views = self.journal.views();
        let changed = views.people.changed_after(self.seen);
        self.seen = views.people.position();
        changed
    }

    /// Ends the connections of posts that may not come any more, when there is a new word on one.
    fn cut_posts(&mut self, live: &Live) {
        let views = self.journal.views();
        if views.posts.position() == self.posts {
            return;
        }
        self.posts = views.posts.position();
        let out =
            |identity: &Identity| matches!(identity, Identity::Post(_, post) if !views.posts.may_come(post));
        live.cut_where(out);
    }
}

/// Ends the connections of everybody whom a change was about, as soon as it is durable; who may still come connects
/// anew. The admission refuses the others already, since the views have the change.
pub(crate) async fn cut_changed(mut changed: Changed, live: Live, stop: CancellationToken) {
    let mut applied = changed.journal.applied();
    loop {
        for identity in changed.next() {
            let connections = live.cut(&identity);
            tracing::info!(%identity, connections, "may come anew, if at all");
        }
        changed.cut_posts(&live);
        // Both are only wake-ups.
        tokio::select! {
            () = stop.cancelled() => return,
            changed = applied.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use i247_ledger::Memory;

    use super::*;
    use crate::journal::tests::opened;
    use crate::story::admitted;

    #[tokio::test]
    async fn a_change_between_the_first_look_and_the_first_cut_is_not_missed() {
        let (journal, writer) = opened(&Arc::new(Memory::new())).await;
        let stop = CancellationToken::new();
        let writing = tokio::spawn(writer.run(stop.clone()));
        let duty = "spiffe://i247.test/ncb/fr/officer/duty";
        let mut changed = Changed::from_now(journal.clone());
        journal.write(vec![admitted(duty).event.unwrap().into()]).await.unwrap();
        assert_eq!(changed.next(), [duty.parse().unwrap()]);
        assert!(changed.next().is_empty());
        // What was there before anybody could connect is the admission's business.
        assert!(Changed::from_now(journal).next().is_empty());
        stop.cancel();
        writing.await.unwrap();
    }
}
