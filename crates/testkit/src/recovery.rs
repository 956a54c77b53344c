//! A hub that was restored from an older copy: taking its log up again, and giving its directory what it lost.

use bytes::Bytes;
use i247_client::Directory;
use i247_hub::TakenUp;
use i247_trust::{Credentials, sign};
use i247_wire::{payload, pb};
use prost::Message as _;

use crate::error::WorldError;
use crate::running::node_dir;
use crate::world::World;

impl World {
    /// What `i247 hub recover` does to the data of the hub, which does not run.
    ///
    /// # Errors
    /// When the log cannot be taken up again.
    pub async fn recover_hub(&self) -> Result<TakenUp, WorldError> {
        self.recover_hub_from(&[]).await
    }

    /// The same from a copy that was made before earlier recoveries, which had given the log these names.
    ///
    /// # Errors
    /// When the log cannot be taken up again.
    pub async fn recover_hub_from(&self, lost: &[Bytes]) -> Result<TakenUp, WorldError> {
        let dir = node_dir(&self.dir, "hub")?;
        let credentials = Credentials::load(&dir).map_err(|error| WorldError::node("credentials", &error))?;
        let (config, seams) = (self.hub_config(&dir), self.hub_seams());
        let taken_up = i247_hub::take_up(&config, &credentials, &seams, lost).await;
        let taken_up = taken_up.map_err(|error| WorldError::node("hub", &error))?;
        self.record().hub_recovered();
        Ok(taken_up)
    }

    /// What `i247 authority resend` does: enters every change again that the hub's directory does not have. Says how
    /// many there were.
    ///
    /// # Errors
    /// When the hub refuses one.
    pub async fn resend(&self) -> Result<usize, WorldError> {
        let authority = self.pki.lock().await.authority().credentials().clone();
        let directory = Directory::new(self.hub_channel(&authority).await?);
        let known = directory.list().await?.records;
        let mut entered = 0;
        let kept = self.record().changes.clone();
        for signed in kept {
            let change = pb::DirectoryChange::decode(signed.payload.clone());
            let change = change.map_err(|error| WorldError::Connect(error.to_string()))?;
            let record = known.iter().find(|record| record.identity == change.identity);
            if record.map_or(0, |record| record.sequence) < change.sequence {
                directory.change(signed).await?;
                entered += 1;
            }
        }
        Ok(entered)
    }

    /// Sends the last change of the hub's directory once more, or another under its number; its position.
    ///
    /// # Errors
    /// When the hub refuses it.
    ///
    /// # Panics
    /// When nothing was ever changed: a world has members.
    pub async fn repeat_last_change(&self, altered: bool) -> Result<u64, WorldError> {
        let authority = self.pki.lock().await.authority().credentials().clone();
        let mut signed = self.record().changes.last().cloned().expect("a change");
        if altered {
            let change = pb::DirectoryChange::decode(signed.payload.clone());
            let mut change = change.map_err(|error| WorldError::Connect(error.to_string()))?;
            change.reason.push_str(", and more");
            signed = sign(&authority.signing_key, payload::DIRECTORY_CHANGE, change.encode_to_vec());
        }
        Ok(Directory::new(self.hub_channel(&authority).await?).change(signed).await?)
    }
}
