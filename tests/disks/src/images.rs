//! A file system whose power can be cut: ext4 in an image that lies on XFS, where a copy takes no time and holds what
//! the inner file system has pushed down, no more. It must leave nothing mounted and nothing behind.
//!
//! ```text
//!  outer.img ─ xfs ─► outer/inner.img ─ ext4 ─► inner/     the nodes' data
//!                     outer/cut.img   ─ ext4 ─► cut/       what a power cut leaves of it
//! ```

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// Set in the process that has its mounts for itself.
const APART: &str = "I247_DISKS_APART";
/// What is needed, and the Debian package that has it.
const TOOLS: [(&str, &str); 6] = [
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mount", "mount"),
    ("unshare", "util-linux"),
    ("eatmydata", "eatmydata"),
    ("cp", "coreutils"),
];

/// Goes on in a mount namespace of its own, whose mounts go with its last process, even after a `kill -9`.
///
/// # Errors
/// When it cannot run here: what is missing, and what gets it.
pub(crate) fn apart() -> Result<()> {
    let line: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    ensure!(rustix::process::geteuid().is_root(), "loop mounts need root: sudo {}", line.join(" "));
    let missing: Vec<&str> =
        TOOLS.iter().filter(|(tool, _)| !is_here(tool)).map(|(_, package)| *package).collect();
    ensure!(missing.is_empty(), "missing: apt-get install {}", missing.join(" "));
    if std::env::var_os(APART).is_some() {
        return Ok(());
    }
    let mounts = ["--mount", "--propagation", "private"];
    let can = Command::new("unshare").args(mounts).arg("true").stderr(Stdio::null()).status()?;
    ensure!(
        can.success(),
        "no mounts are allowed here: run it outside of the container, or with --privileged"
    );
    let program = std::env::current_exe()?;
    let arguments = std::env::args_os().skip(1);
    let error = Command::new("unshare").args(mounts).arg(program).args(arguments).env(APART, "1").exec();
    Err(error).context("unshare")
}

fn is_here(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir| dir.join(tool).is_file())
}

/// The images and what is mounted of them. Dropped, nothing of it is left.
#[derive(Debug)]
pub(crate) struct Images {
    dir: PathBuf,
    /// In the order in which it was mounted.
    mounted: Vec<PathBuf>,
}

impl Images {
    /// Makes and mounts both file systems in a new directory.
    pub(crate) async fn build(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut images = Self { dir: dir.to_owned(), mounted: Vec::new() };
        let outer = dir.join("outer.img");
        run("truncate", &[Path::new("-s"), Path::new("4G"), &outer]).await?;
        let reflink = ["-q", "-m", "reflink=1"].map(Path::new);
        run("mkfs.xfs", &[reflink.as_slice(), &[&outer]].concat()).await?;
        images.mount(&outer, &dir.join("outer")).await?;
        let inner = dir.join("outer/inner.img");
        run("truncate", &[Path::new("-s"), Path::new("2G"), &inner]).await?;
        run("mkfs.ext4", &[Path::new("-q"), &inner]).await?;
        images.mount(&inner, &images.inner()).await?;
        Ok(images)
    }

    /// Where the nodes' data belong.
    pub(crate) fn inner(&self) -> PathBuf {
        self.dir.join("inner")
    }

    /// Everything so far goes down to the disk: what was there before the story begins.
    pub(crate) async fn settle(&self) -> Result<()> {
        run("sync", &[Path::new("-f"), &self.inner()]).await
    }

    /// The power goes off: from here on the image is what the disk had.
    pub(crate) async fn cut(&self) -> Result<()> {
        let (from, to) = (self.dir.join("outer/inner.img"), self.dir.join("outer/cut.img"));
        run("cp", &[Path::new("--reflink=always"), &from, &to]).await
    }

    /// The power is back: where the data are, after the file system has looked through its journal.
    pub(crate) async fn mount_cut(&mut self) -> Result<PathBuf> {
        let place = self.dir.join("cut");
        self.mount(&self.dir.join("outer/cut.img"), &place).await?;
        Ok(place)
    }

    /// Throws the cut away.
    pub(crate) async fn forget_cut(&mut self) -> Result<()> {
        let place = self.dir.join("cut");
        run("umount", &[&place]).await?;
        self.mounted.retain(|mounted| *mounted != place);
        Ok(std::fs::remove_file(self.dir.join("outer/cut.img"))?)
    }

    async fn mount(&mut self, image: &Path, place: &Path) -> Result<()> {
        std::fs::create_dir_all(place)?;
        run("mount", &[Path::new("-o"), Path::new("loop"), image, place]).await?;
        self.mounted.push(place.to_owned());
        Ok(())
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        for place in self.mounted.drain(..).rev() {
            // Lazily: a process that was killed a moment ago may still hold a file.
            let done = Command::new("umount").arg("--lazy").arg(&place).status();
            if !done.is_ok_and(|status| status.success()) {
                println!("cannot unmount {}; it goes with this process", place.display());
                return;
            }
        }
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            println!("cannot remove {}: {error}", self.dir.display());
        }
    }
}

async fn run(tool: &str, arguments: &[&Path]) -> Result<()> {
    let ran = tokio::process::Command::new(tool).args(arguments).stdin(Stdio::null()).output().await;
    let ran = ran.with_context(|| tool.to_owned())?;
    if !ran.status.success() {
        bail!("{tool}: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(())
}
