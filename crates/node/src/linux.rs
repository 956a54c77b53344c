//! What only Linux has. On another system this file is what has to be written anew.

use std::io;

use rustix::process::{Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal};

/// Asks the kernel to kill this process when its parent dies, even by `kill -9`. `parent` is the process that should
/// be the parent; if it is gone already, that is the error.
///
/// The kernel means the parent's *thread* that started this process: start children from a thread that lives as long
/// as the parent, such as a runtime's own, never from a thread for blocking work.
pub fn die_with_parent(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the kernel was asked.
    let is = getppid().map(Pid::as_raw_pid);
    if is.and_then(|pid| u32::try_from(pid).ok()) == Some(parent) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("process {} was to end with process {parent}, which is gone", getpid().as_raw_pid()),
    ))
}

/// Asks another process to stop, as a service manager does.
pub fn terminate(process: u32) -> io::Result<()> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    Ok(kill_process(pid, Signal::TERM)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_that_is_gone_is_noticed() {
        // No process has this number: it is above the largest that Linux gives.
        assert_eq!(die_with_parent(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
        set_parent_process_death_signal(None).unwrap();
    }
}
