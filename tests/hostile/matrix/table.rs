//! The table, written by hand.
//!
//! `ok`: answered. `none`: answered, with nothing in it. `door`: no connection. `role`: refused because of who calls,
//! before a body came. Everything else is the reason that the caller is given.

use super::story::{self, Story};

/// Who calls: the columns. `XX` is the country of those who belong to one: France at the hub, which has no bureau in
/// this story; Brazil at Brazil's desk. Of the two posts both have granted the first something.
pub(super) const CALLERS: [&str; 11] = [
    "ncb/XX",
    "ncb/XX/authority",
    "ncb/XX/officer/duty",
    "ncb/XX/post/airport",
    "ncb/XX/post/ungranted",
    "gs/reviewer/lena",
    "operator/ops",
    "entity/icc",
    "gs/hub/paris",
    "gs/authority",
    "nobody",
];

/// Whose the object of a call is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Object {
    /// The caller's country's, or the call has none.
    Own,
    /// Somebody else's.
    Foreign,
}

/// One call on one object by everybody.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) call: &'static str,
    pub(super) object: Object,
    /// The messages of the request.
    pub(super) request: fn(&Story) -> Vec<Vec<u8>>,
    /// How many messages of the answer are waited for.
    pub(super) answers: usize,
    cells: &'static str,
}

impl Row {
    pub(super) fn cells(&self) -> Vec<&'static str> {
        self.cells.split_whitespace().collect()
    }
}

const fn row(
    call: &'static str,
    object: Object,
    request: fn(&Story) -> Vec<Vec<u8>>,
    cells: &'static str,
) -> Row {
    Row { call, object, request, answers: 1, cells }
}

use Object::{Foreign, Own};

#[rustfmt::skip]
pub(super) const HUB: &[Row] = &[
    //                                                                                bureau national officer post ungranted reviewer operator entity hub authority nobody
    row("/i247.v1.ExchangeService/Connect", Own, story::hello,                        "ok           role role role door role role role role role door"),
    Row { answers: 2,
    ..row("/i247.v1.ExchangeService/Connect", Foreign, story::hello_and_anothers,     "wrong_sender role role role door role role role role role door") },
    row("/i247.v1.ExchangeService/Submit", Foreign, story::anothers_envelope,         "wrong_sender role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/Submit", Own, story::own_envelope,                  "ok           role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/Explain", Own, story::own_audience,                 "ok           role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/Explain", Foreign, story::anothers_audience,        "unknown_reference role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/Statuses", Own, story::own_id,                      "ok           role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/Statuses", Foreign, story::anothers_id,             "none         role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/FindAttachment", Own, story::own_commitment,        "ok           role role role door role role role role role door"),
    // Whoever can name it has it: the name is a hash over a random salt.
    row("/i247.v1.ExchangeService/FindAttachment", Foreign, story::anothers_commitment, "ok         role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/PutAttachment", Own, story::own_attachment,         "ok           role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/FetchAttachment", Own, story::own_attachment_of,    "ok           role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/FetchAttachment", Foreign, story::anothers_attachment_of, "unknown_reference role role role door role role role role role door"),
    // A message of one's own does not lend its attachments to another's.
    row("/i247.v1.ExchangeService/FetchAttachment", Foreign, story::anothers_attachment_of_own, "unknown_reference role role role door role role role role role door"),
    row("/i247.v1.ExchangeService/ListPosts", Own, story::nothing,                    "ok           role role role door role role role role role door"),

    row("/i247.v1.DirectoryService/Change", Own, story::change,                       "role         role role role door role role role role ok   door"),
    row("/i247.v1.DirectoryService/Change", Foreign, story::change_by_another,        "role         role role role door role role role role unknown_key door"),
    row("/i247.v1.DirectoryService/List", Own, story::nothing,                        "role         role role role door role ok   role role ok   door"),

    row("/i247.v1.ReviewService/ListPending", Own, story::nothing,                    "role         role role role door ok   role role role role door"),
    row("/i247.v1.ReviewService/ShowPending", Own, story::pending_id,                 "role         role role role door ok   role role role role door"),
    row("/i247.v1.ReviewService/ShowPending", Foreign, story::anothers_id,            "role         role role role door unknown_reference role role role role door"),
    row("/i247.v1.ReviewService/ListNotices", Own, story::nothing,                    "role         role role role door none role role role role door"),
    row("/i247.v1.ReviewService/ListAlerts", Own, story::nothing,                     "role         role role role door none role role role role door"),
    row("/i247.v1.ReviewService/ShowAlert", Own, story::nothing,                      "role         role role role door unknown_reference role role role role door"),
    row("/i247.v1.ReviewService/ShowAlert", Foreign, story::record_as_alert,          "role         role role role door unknown_reference role role role role door"),
    row("/i247.v1.ReviewService/Resume", Own, story::nothing,                         "role         role role role door ok   role role role role door"),
    row("/i247.v1.ReviewService/Decide", Own, story::nothing,                         "role         role role role door none role role role role door"),
    row("/i247.v1.ReviewService/Decide", Foreign, story::anothers_envelope,           "role         role role role door wrong_sender role role role role door"),

    row("/i247.v1.MonitorService/Summary", Own, story::nothing,                       "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/OperationTally", Own, story::nothing,                "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Trace", Own, story::anothers_id,                     "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Trace", Foreign, story::nobodys_id,                  "role         role role role door role unknown_reference role role role door"),
    row("/i247.v1.MonitorService/Watch", Own, story::nothing,                         "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Tap", Own, story::no_party,                          "role         role role role door role malformed role role role door"),
    row("/i247.v1.MonitorService/Replay", Own, story::nothing,                        "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Statistics", Own, story::nothing,                    "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Country", Own, story::own_country,                   "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Country", Foreign, story::nothing,                   "role         role role role door role malformed role role role door"),
    row("/i247.v1.MonitorService/FindMessages", Own, story::nothing,                  "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Notices", Own, story::nothing,                       "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Databases", Own, story::nothing,                     "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Identities", Own, story::nothing,                    "role         role role role door role ok   role role role door"),
    row("/i247.v1.MonitorService/Alerts", Own, story::nothing,                        "role         role role role door role ok   role role role door"),
    // Nobody has asked yet.
    row("/i247.v1.MonitorService/SearchTally", Own, story::nothing,                   "role         role role role door role none role role role door"),

    row("/i247.v1.SearchService/Search", Own, story::search,                          "ok           role role ok   door role role role role role door"),
    row("/i247.v1.SearchService/SearchStream", Own, story::frame_of_keys,             "ok           role role ok   door role role role role role door"),
    row("/i247.v1.SearchService/HandInRollUp", Own, story::nothing,                   "role         role role malformed door role role role role role door"),
    row("/i247.v1.SearchService/WatchHits", Own, story::nothing,                      "none         role role none door role role role role role door"),

    // No message of records is in this story: of one's own and of others' alike there is nothing to tell.
    row("/i247.v1.RecordsService/Verdicts", Own, story::own_id,                       "none         role role role door role role role role role door"),
    row("/i247.v1.RecordsService/Verdicts", Foreign, story::anothers_id,              "none         role role role door role role role role role door"),
    row("/i247.v1.RecordsService/FindRecord", Own, story::record_name,                "unknown_record role role role door role role role role role door"),
    row("/i247.v1.RecordsService/FindRecord", Own, story::seen_record_name,           "ok           role role role door role role role role role door"),
    // Who is kept from a record is told the same as of one that nobody has.
    row("/i247.v1.RecordsService/FindRecord", Foreign, story::unseen_record_name,     "unknown_record role role role door role role role role role door"),

    row("/i247.v1.CopyService/FetchCopy", Own, story::copy,                           "ok           role role ok   door role role role role role door"),
    // A bureau fetches in the name of its post what the post is granted; nobody else speaks for anybody.
    row("/i247.v1.CopyService/FetchCopy", Own, story::copy_for_a_post,                "ok           role role wrong_field door role role role role role door"),
    row("/i247.v1.CopyService/FetchCopy", Foreign, story::copy_for_an_ungranted_post, "not_granted  role role wrong_field door role role role role role door"),
    row("/i247.v1.CopyService/HandInSearches", Own, story::offline_searches,          "ok           role role ok   door role role role role role door"),
    // Where somebody else was is said by nobody but a bureau, which asks under any station.
    row("/i247.v1.CopyService/HandInSearches", Foreign, story::offline_searches_elsewhere, "ok      role role wrong_field door role role role role role door"),

    row("/grpc.health.v1.Health/Check", Own, story::nothing,                          "ok           ok   ok   ok door   ok   ok   ok   ok   ok   door"),
    row("/grpc.health.v1.Health/Watch", Own, story::nothing,                          "ok           ok   ok   ok door   ok   ok   ok   ok   ok   door"),
    row("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Own, story::services, "ok      ok   ok   ok door   ok   ok   ok   ok   ok   door"),
];

#[rustfmt::skip]
pub(super) const DESK: &[Row] = &[
    //                                                                       bureau national officer post ungranted reviewer operator entity hub authority nobody
    row("/i247.v1.DeskService/Send", Own, story::draft,                      "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/Send", Foreign, story::draft_about_anothers,   "unknown_reference role unknown_reference role door door door door door door door"),
    row("/i247.v1.DeskService/Explain", Own, story::draft,                   "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/Explain", Foreign, story::draft_about_anothers, "unknown_reference role unknown_reference role door door door door door door door"),
    row("/i247.v1.DeskService/ListInbox", Own, story::nothing,               "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/ListOutbox", Own, story::nothing,              "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/Show", Own, story::received_id,                "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/Show", Foreign, story::unseen_id,              "unknown_reference role unknown_reference role door door door door door door door"),
    row("/i247.v1.DeskService/MarkActioned", Own, story::received_id,        "none role none role door door door door door door door"),
    row("/i247.v1.DeskService/MarkActioned", Foreign, story::unseen_id,      "unknown_reference role unknown_reference role door door door door door door door"),
    row("/i247.v1.DeskService/Status", Own, story::sent_id,                  "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/Status", Foreign, story::unseen_id,            "unknown_reference role unknown_reference role door door door door door door door"),
    row("/i247.v1.DeskService/Watch", Own, story::nothing,                   "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/ListCases", Own, story::nothing,               "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/AddAttachment", Own, story::file,              "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/OpenAttachment", Own, story::received_id,      "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/OpenAttachment", Foreign, story::unseen_id,    "unknown_reference role unknown_reference role door door door door door door door"),
    row("/i247.v1.DeskService/LoadRecords", Own, story::load,                "none role none role door door door door door door door"),
    Row { answers: 2,
    ..row("/i247.v1.DeskService/LoadRecords", Foreign, story::load_of_anothers, "not_owner role not_owner role door door door door door door door") },
    row("/i247.v1.DeskService/LoadStatus", Own, story::nothing,              "unknown_reference role unknown_reference role door door door door door door door"),
    row("/i247.v1.DeskService/LoadStatus", Foreign, story::japans_load,      "unknown_reference role unknown_reference role door door door door door door door"),
    row("/i247.v1.DeskService/ShowRecord", Own, story::record_name,          "unknown_record role unknown_record role door door door door door door door"),
    row("/i247.v1.DeskService/ShowRecord", Own, story::seen_record_name,     "ok   role ok   role door door door door door door door"),
    // Who is kept from a record is told the same as of one that nobody has.
    row("/i247.v1.DeskService/ShowRecord", Foreign, story::unseen_record_name, "unknown_record role unknown_record role door door door door door door door"),
    row("/i247.v1.DeskService/Report", Own, story::nothing,                  "ok   role ok   role door door door door door door door"),
    // Refused, since nothing was lost: a new epoch would change the story.
    row("/i247.v1.DeskService/Recover", Own, story::nothing,                 "wrong_reference role wrong_reference role door door door door door door door"),
    row("/i247.v1.DeskService/ListPosts", Own, story::nothing,               "ok   role ok   role door door door door door door door"),
    row("/i247.v1.DeskService/WatchHits", Own, story::nothing,               "none role none role door door door door door door door"),
    row("/i247.v1.DeskService/Check", Own, story::check,                     "ok   role ok   role door door door door door door door"),

    row("/i247.v1.DirectoryService/Change", Own, story::national_change,     "role ok   role role door door door door door door door"),
    row("/i247.v1.DirectoryService/Change", Foreign, story::change,          "role malformed role role door door door door door door door"),
    row("/i247.v1.DirectoryService/List", Own, story::nothing,               "role ok   role role door door door door door door door"),

    row("/i247.v1.CopyService/FetchCopy", Own, story::copy,                  "role role role ok   door door door door door door door"),
    row("/i247.v1.CopyService/FetchCopy", Foreign, story::copy_for_an_ungranted_post, "role role role wrong_field door door door door door door door"),
    row("/i247.v1.CopyService/HandInSearches", Own, story::offline_searches, "role role role ok   door door door door door door door"),
    // A post says of nobody else where that was.
    row("/i247.v1.CopyService/HandInSearches", Foreign, story::offline_searches_elsewhere, "role role role wrong_field door door door door door door door"),

    row("/grpc.health.v1.Health/Check", Own, story::nothing,                 "ok   ok   ok   ok   door door door door door door door"),
    row("/grpc.health.v1.Health/Watch", Own, story::nothing,                 "ok   ok   ok   ok   door door door door door door door"),
    row("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Own, story::services, "ok ok ok ok   door door door door door door door"),
];
