//! Named moments in a file's life at which the power goes off. It must not decide what is left then.

use std::path::PathBuf;

/// Where the power goes off: at what is written into which directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trap {
    /// The directory of the file.
    pub dir: PathBuf,
    /// What all must stand in one write, such as the id of a message.
    pub holding: Vec<Vec<u8>>,
    /// When, in the life of that write.
    pub moment: Moment,
}

/// A moment in the life of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Nothing of it is written.
    BeforeWrite,
    /// It is written, and nothing says what of it is kept.
    BeforeSync,
    /// It is durable, and whoever asked for it does not hear so.
    AfterSync,
}

impl Trap {
    /// Whether these bytes are those that it waits for.
    pub(super) fn springs_at(&self, bytes: &[u8]) -> bool {
        let holds =
            |wanted: &Vec<u8>| bytes.windows(wanted.len().max(1)).any(|here| here == wanted.as_slice());
        self.holding.iter().all(holds)
    }
}
