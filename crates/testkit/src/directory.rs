//! Who is on the network, as the authorities say it: admission, suspension, revocation, reinstatement; and new keys.

use i247_client::Directory;
use i247_model::{Hash, Identity};
use i247_trust::Credentials;
use i247_wire::pb;
use tokio::sync::Mutex;

use crate::error::WorldError;
use crate::nodes::{Placed, save};
use crate::running::node_dir;
use crate::world::World;

impl World {
    /// Keys and certificates of anybody: a bureau's own, else made when first asked for. Members, reviewers and
    /// operators are admitted to the directory; officers are their bureau's business.
    ///
    /// # Errors
    /// When they cannot be made or entered.
    pub async fn credentials(&self, identity: &Identity) -> Result<Credentials, WorldError> {
        if let Identity::Bureau(code) = identity
            && let Some(placed) = self.bureaus.get(code)
        {
            return Ok(placed.credentials.clone());
        }
        if let Some(known) = self.people.lock().await.get(identity) {
            return Ok(known.clone());
        }
        let made = self.pki.lock().await.enrol(identity)?;
        if !matches!(identity, Identity::Officer(..)) {
            self.admit(&made).await?;
        }
        self.people.lock().await.insert(identity.clone(), made.clone());
        Ok(made)
    }

    /// Admits whom these credentials name, with their keys: officers at their bureau, everybody else at the hub.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn admit(&self, credentials: &Credentials) -> Result<(), WorldError> {
        self.change(pb::DirectoryAction::Admit, &credentials.identity, Some(credentials)).await
    }

    /// Suspends an identity, by a signed change of the directory.
    ///
    /// # Errors
    /// When the hub refuses it.
    pub async fn suspend(&self, identity: &Identity) -> Result<(), WorldError> {
        self.change(pb::DirectoryAction::Suspend, identity, None).await
    }

    /// Ends a suspension.
    ///
    /// # Errors
    /// When the hub refuses it.
    pub async fn reinstate(&self, identity: &Identity) -> Result<(), WorldError> {
        self.change(pb::DirectoryAction::Reinstate, identity, None).await
    }

    /// Revokes an identity: its keys are void for good.
    ///
    /// # Errors
    /// When the hub refuses it.
    pub async fn revoke(&self, identity: &Identity) -> Result<(), WorldError> {
        self.change(pb::DirectoryAction::Revoke, identity, None).await
    }

    /// Enters a change about an identity where it belongs, and waits until it is durable.
    async fn change(
        &self,
        action: pb::DirectoryAction,
        identity: &Identity,
        keys: Option<&Credentials>,
    ) -> Result<(), WorldError> {
        let known = self.people.lock().await.get(identity).cloned();
        let mut sequences = self.sequences.lock().await;
        let next = sequences.get(identity).copied().unwrap_or_default() + 1;
        let (change, authority) = {
            let mut pki = self.pki.lock().await;
            let change = pki.change(action, identity, next, self.seams.clock.now());
            // Posts submit through the hub, which must know them.
            let authority = match identity {
                Identity::Officer(..) => pki.authority_of(identity)?,
                _ => pki.authority(),
            };
            (change, authority.credentials().clone())
        };
        let of_country = matches!(authority.identity, Identity::NationalAuthority(_));
        let change = match (keys, known) {
            (Some(keys), _) => change.keys(keys),
            // A bureau does not know the keys of those who only showed a certificate.
            (None, Some(known)) if of_country && action == pb::DirectoryAction::Revoke => {
                change.tls_key(&known)
            }
            (None, _) => change,
        };
        let signed = change.signed_by(&authority);
        if !of_country {
            self.record().changes.push(signed.clone());
        }
        self.directory(&authority).await?.change(signed).await?;
        sequences.insert(identity.clone(), next);
        Ok(())
    }

    /// The directory that an authority rules: the hub's, or that of its country's desk.
    async fn directory(&self, authority: &Credentials) -> Result<Directory, WorldError> {
        let Identity::NationalAuthority(country) = authority.identity else {
            return Ok(Directory::new(self.hub_channel(authority).await?));
        };
        let channel = self.desk_channel(country, authority).await?;
        Ok(Directory::new(channel).introducing(authority.signing_chain.clone()))
    }

    /// A new signing key for a bureau or the hub (`hub`), certified, admitted, and put among the files of the node,
    /// which runs on. Everything else stays as it is. Returns the new key's id.
    ///
    /// # Errors
    /// When it cannot be certified, admitted or written.
    pub async fn new_signing_key(&self, node: &str) -> Result<Hash, WorldError> {
        let dir = node_dir(&self.dir, &node.to_lowercase())?;
        let loaded = Credentials::load(&dir).map_err(|error| WorldError::node("credentials", &error))?;
        let made = self.pki.lock().await.enrol(&loaded.identity)?;
        let mut renewed = loaded;
        (renewed.signing_key, renewed.signing_chain) = (made.signing_key, made.signing_chain);
        if matches!(renewed.identity, Identity::Bureau(_)) {
            self.admit(&renewed).await?;
        }
        save(&renewed, &dir)?;
        Ok(renewed.signing_key.key_id())
    }

    /// Certificates for every bureau, entered over one connection.
    pub(crate) async fn enter_members(&mut self) -> Result<(), WorldError> {
        let authority = self.pki.get_mut().authority().credentials().clone();
        let directory = Directory::new(self.hub_channel(&authority).await?);
        let now = self.seams.clock.now();
        for code in self.builder.countries.clone() {
            let identity = Identity::Bureau(code);
            let pki = self.pki.get_mut();
            let credentials = pki.enrol(&identity)?;
            let change = pki.change(pb::DirectoryAction::Admit, &identity, 1, now).keys(&credentials);
            let signed = pki.sign(change);
            self.record().changes.push(signed.clone());
            directory.change(signed).await?;
            self.sequences.get_mut().insert(identity, 1);
            save(&credentials, &node_dir(&self.dir, &code.to_lowercase())?)?;
            let placed = Placed {
                credentials,
                line: None,
                cut: false.into(),
                disk: std::sync::Mutex::default(),
                running: Mutex::default(),
                desk: Mutex::default(),
            };
            self.bureaus.insert(code, placed);
        }
        Ok(())
    }
}
