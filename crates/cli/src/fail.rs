//! What the command says when something does not work: what, which fields, what to do next; and its exit code.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use i247_client::{ClientError, ContextsError, pb};
use i247_model::Refusal;

/// How the command ends when it does not simply end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// The network refused, or the result fell short.
    Refused = 1,
    /// The command was not called as it must be.
    Usage = 2,
    /// The network cannot be reached.
    Unreachable = 3,
    /// Something on this machine is at fault.
    Local = 4,
}

/// A failure, as it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fail {
    pub(crate) exit: Exit,
    /// What did not work, and why.
    pub(crate) what: String,
    /// The fields at fault.
    pub(crate) fields: Vec<String>,
    /// What to do next. Never empty, but where everything has been said already.
    pub(crate) next: String,
}

impl Fail {
    pub(crate) fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, what: what.into(), fields: Vec::new(), next: next.into() }
    }

    pub(crate) fn local(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: Exit::Local, what: what.into(), fields: Vec::new(), next: next.into() }
    }

    pub(crate) fn refused(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, what: what.into(), fields: Vec::new(), next: next.into() }
    }

    /// A fault of this machine with all its causes.
    pub(crate) fn because(what: impl Into<String>, cause: &dyn Error, next: impl Into<String>) -> Self {
        Self::local(format!("{}: {}", what.into(), causes(cause)), next)
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }

    /// The lines for standard error.
    pub(crate) fn render(&self) -> String {
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let bold = Style::new().bold();
        let mut text = format!("{red}error{red:#}: {}\n", self.what);
        let mut label = "fields";
        for field in &self.fields {
            let _ = writeln!(text, "  {bold}{label:<6}{bold:#} {field}");
            label = "";
        }
        if !self.next.is_empty() {
            let _ = writeln!(text, "  {bold}next{bold:#}   {}", self.next);
        }
        text
    }
}

/// An error and what caused it, one after the other; what says the same again is left out.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text
}

impl From<&Refusal> for Fail {
    fn from(refusal: &Refusal) -> Self {
        let mut next = refusal.next_step.clone();
        if let Some(wait) = refusal.retry_after {
            let _ = write!(next, " (wait {} ms first)", wait.as_millis());
        }
        let fields = refusal.fields.clone();
        Self { exit: Exit::Refused, what: format!("refused: {}", refusal.reason), fields, next }
    }
}

/// A refusal as it came.
impl From<pb::Refusal> for Fail {
    fn from(refusal: pb::Refusal) -> Self {
        match Refusal::try_from(refusal) {
            Ok(refusal) => Self::from(&refusal),
            Err(_) => Self::refused("the hub refused it", "see that both run the same version of i247"),
        }
    }
}

impl From<ClientError> for Fail {
    fn from(error: ClientError) -> Self {
        let unreachable = |what: String, next: &str| Self {
            exit: Exit::Unreachable,
            what,
            fields: Vec::new(),
            next: next.to_owned(),
        };
        match &error {
            ClientError::Refused(refusal) => Self::from(refusal),
            ClientError::NoConnection(cause) => unreachable(
                format!("no connection: {cause}"),
                "see that the service runs and that `i247 context list` shows its address",
            ),
            ClientError::Late(_) | ClientError::Broken(_) => unreachable(
                format!("{}; it may have happened all the same", causes(&error)),
                "look with `i247 status` or `i247 inbox` before you do it again",
            ),
            ClientError::Failed(_) => {
                unreachable(causes(&error), "look into the log of the service; the fault is there")
            }
            ClientError::Unexpected(_) => {
                unreachable(causes(&error), "see that both sides run the same version of i247")
            }
        }
    }
}

impl From<ContextsError> for Fail {
    fn from(error: ContextsError) -> Self {
        let next = match &error {
            ContextsError::NoHome => "export I247_HOME=DIR and try again",
            ContextsError::File { .. } => "see that the file and its directory are yours",
            ContextsError::Unreadable { .. } => "mend the file, or move it away and add the contexts again",
            ContextsError::Unknown { .. } => "choose one of those that there are, or `i247 context add`",
            ContextsError::NoCountry { .. } => {
                "add one: i247 context add NAME --address HOST:PORT --server ncb/CC --credentials DIR"
            }
            ContextsError::NoneChosen => {
                "`i247 context list` shows those that there are; `i247 demo --keep` makes one for each country"
            }
        };
        let mut fail = Self::local(causes(&error), next);
        if !matches!(error, ContextsError::File { .. } | ContextsError::Unreadable { .. }) {
            fail.exit = Exit::Usage;
        }
        fail
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use i247_model::Reason;

    use super::*;

    fn plain(fail: &Fail) -> String {
        anstream::adapter::strip_str(&fail.render()).to_string()
    }

    #[test]
    fn a_refusal_says_what_which_fields_and_what_to_do() {
        let fields = vec!["form.red.charges".to_owned(), "form.red.warrant".to_owned()];
        let fail = Fail::from(&Refusal::of_fields(Reason::MissingData, fields));
        assert_eq!(fail.exit, Exit::Refused);
        assert_eq!(
            plain(&fail),
            "error: refused: MISSING_DATA\n  fields form.red.charges\n         form.red.warrant\n  next   \
             fill in every field that is named\n"
        );
    }

    #[test]
    fn a_wait_is_told() {
        let refusal = Refusal::of(Reason::Busy, "calls").retry_after(Duration::from_millis(250));
        assert!(plain(&Fail::from(&refusal)).contains("(wait 250 ms first)"));
    }

    #[test]
    fn a_lost_answer_says_that_it_may_have_happened() {
        let fail = Fail::from(ClientError::Late(Duration::from_secs(20)));
        assert_eq!(fail.exit, Exit::Unreachable);
        assert!(plain(&fail).contains("it may have happened all the same"));
    }

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("disk on fire");
        let error = ContextsError::File { path: "/x".into(), what: "read", source: inner };
        assert_eq!(causes(&error), "/x: cannot be read: disk on fire");
    }
}
