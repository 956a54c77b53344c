//! Who may call what at a hub. An RPC without a row here is refused.

use i247_node::{DescriptorError, Role, Rule, Rules};

/// The services of a hub, by their full names.
pub const SERVICES: [&str; 7] = [
    "i247.v1.ExchangeService",
    "i247.v1.DirectoryService",
    "i247.v1.ReviewService",
    "i247.v1.MonitorService",
    "i247.v1.SearchService",
    "i247.v1.RecordsService",
    "i247.v1.CopyService",
];

/// The one among them that writes nothing.
pub(crate) const READS_ONLY: &str = "i247.v1.MonitorService";

/// Those that answer from the databases.
pub(crate) const FROM_DATABASES: [&str; 3] =
    ["i247.v1.SearchService", "i247.v1.RecordsService", "i247.v1.CopyService"];

const BUREAUS: Rule = Rule::Roles(&[Role::Bureau]);
/// Who asks the databases. A post besides needs a grant.
const ASKERS: Rule = Rule::Roles(&[Role::Bureau, Role::Post]);
const POSTS: Rule = Rule::Roles(&[Role::Post]);
const REVIEWERS: Rule = Rule::Roles(&[Role::Reviewer]);
const OPERATORS: Rule = Rule::Roles(&[Role::Operator]);
const AUTHORITY: Rule = Rule::Roles(&[Role::Authority]);

/// The table.
///
/// # Errors
/// When the compiled-in descriptor cannot be read.
pub fn rules() -> Result<Rules, DescriptorError> {
    Rules::new(
        i247_wire::DESCRIPTOR,
        &SERVICES,
        [
            ("/i247.v1.ExchangeService/Connect", BUREAUS),
            ("/i247.v1.ExchangeService/Submit", BUREAUS),
            ("/i247.v1.ExchangeService/Explain", BUREAUS),
            ("/i247.v1.ExchangeService/Statuses", BUREAUS),
            ("/i247.v1.ExchangeService/FindAttachment", BUREAUS),
            ("/i247.v1.ExchangeService/PutAttachment", BUREAUS),
            ("/i247.v1.ExchangeService/FetchAttachment", BUREAUS),
            ("/i247.v1.ExchangeService/ListPosts", BUREAUS),
            ("/i247.v1.DirectoryService/Change", AUTHORITY),
            ("/i247.v1.DirectoryService/List", Rule::Roles(&[Role::Authority, Role::Operator])),
            ("/i247.v1.ReviewService/ListPending", REVIEWERS),
            ("/i247.v1.ReviewService/ShowPending", REVIEWERS),
            ("/i247.v1.ReviewService/ListNotices", REVIEWERS),
            ("/i247.v1.ReviewService/ListAlerts", REVIEWERS),
            ("/i247.v1.ReviewService/ShowAlert", REVIEWERS),
            ("/i247.v1.ReviewService/Resume", REVIEWERS),
            ("/i247.v1.ReviewService/Decide", REVIEWERS),
            ("/i247.v1.MonitorService/Summary", OPERATORS),
            ("/i247.v1.MonitorService/OperationTally", OPERATORS),
            ("/i247.v1.MonitorService/Trace", OPERATORS),
            ("/i247.v1.MonitorService/Watch", OPERATORS),
            ("/i247.v1.MonitorService/Tap", OPERATORS),
            ("/i247.v1.MonitorService/Replay", OPERATORS),
            ("/i247.v1.MonitorService/Statistics", OPERATORS),
            ("/i247.v1.MonitorService/Country", OPERATORS),
            ("/i247.v1.MonitorService/FindMessages", OPERATORS),
            ("/i247.v1.MonitorService/Notices", OPERATORS),
            ("/i247.v1.MonitorService/Databases", OPERATORS),
            ("/i247.v1.MonitorService/Identities", OPERATORS),
            ("/i247.v1.MonitorService/Alerts", OPERATORS),
            ("/i247.v1.MonitorService/SearchTally", OPERATORS),
            ("/i247.v1.SearchService/Search", ASKERS),
            ("/i247.v1.SearchService/SearchStream", ASKERS),
            ("/i247.v1.SearchService/HandInRollUp", POSTS),
            ("/i247.v1.SearchService/WatchHits", ASKERS),
            ("/i247.v1.RecordsService/Verdicts", BUREAUS),
            ("/i247.v1.RecordsService/FindRecord", BUREAUS),
            ("/i247.v1.CopyService/FetchCopy", ASKERS),
            ("/i247.v1.CopyService/HandInSearches", ASKERS),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_rule_and_every_rule_a_call() {
        assert_eq!(rules().unwrap().uncovered(), Vec::<String>::new());
    }
}
