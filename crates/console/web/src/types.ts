// What the hub's monitor says, by the names in `proto/`. Enum values are written without their prefix.
export type Lane = "VERY_URGENT" | "URGENT" | "NORMAL" | "BULK" | "UNSPECIFIED";
export const LANES: Lane[] = ["VERY_URGENT", "URGENT", "NORMAL", "BULK"];
export const KINDS = [
  "NOTICE_REQUEST", "REVIEW_DECISION", "NOTICE", "ADDENDUM", "CANCELLATION", "DIFFUSION", "WITHDRAWAL", "REQUEST",
  "REPLY", "PERSON_LOCATED", "ARREST_REPORT", "NATIONAL_DECISION", "FREE_TEXT", "REMINDER", "ESCALATION", "RESTRICTION",
  "VOID", "NEW_EPOCH", "RECORDS", "HIT", "HIT_DECISION", "HIT_ACTION", "GRANT",
] as const;
export type Severity = "UNSPECIFIED" | "NOTICE" | "WARNING" | "CRITICAL";

export interface FlowLink {
  from: string;
  to: string;
  kind: string;
  lane: Lane;
  accepted: number;
  delivered: number;
  refused: number;
}

export interface FlowCountry {
  party: string;
  connected: boolean;
  standing: string;
  queued: number[];
  oldest_accepted_at_ms: number;
  worst: Severity;
}

export interface FlowNumbers {
  accepted_per_second: number;
  delivered_per_second: number;
  refused_per_second: number;
  delivery_p99_ms: number;
  oldest_accepted_at_ms: number;
  behind_log: number;
  links_connected: number;
  links: number;
  links_not_post_quantum: number;
  open_messages: number;
  pending_reviews: number;
  replies_overdue: number;
  alerts: number;
  log_end: number;
  writable: boolean;
}

export interface FlowTick {
  at_ms: number;
  span_ms: number;
  links: FlowLink[];
  accepted_left_out: number;
  delivered_left_out: number;
  refused_left_out: number;
  countries: FlowCountry[];
  numbers?: FlowNumbers;
  ticks_lost: number;
}

export interface TapEvent {
  at_ms: number;
  position: number;
  event: string;
  id: string;
  kind: string;
  lane: Lane;
  from: string;
  to: string;
  recipients: number;
  reason: string;
  after_ms: number;
}

export interface Member {
  code: string;
  name: string;
  city: string;
  region: string;
}

export interface Certificate {
  purpose: string;
  identity: string;
  issuer: string;
  key_id: string;
  not_before_ms: number;
  not_after_ms: number;
  position: number;
}

export interface Alert {
  rule: string;
  severity: Severity;
  text: string;
  party: string;
  message_id: string;
  first_seen_ms: number;
  cleared_at_ms: number;
  next_step: string;
  phrases: AlertPhrase[];
}

/** A phrase of a rule, by its name there, and what stands in it. */
export interface AlertPhrase {
  name: string;
  values: AlertValue[];
}

/** One of these but the name. */
export interface AlertValue {
  name: string;
  count?: number;
  time_ms?: number;
  bytes?: number;
  percent?: number;
  party?: string;
  lane?: Lane;
  purpose?: string;
  verbatim?: string;
}

export interface AlertRule {
  name: string;
  severity: Severity;
  about: string;
  next_step: string;
}

export interface MessageRow {
  id: string;
  position: number;
  accepted_at_ms: number;
  kind: string;
  lane: Lane;
  from: string;
  refers_to: string;
  conversation: string;
  operation: string;
  refused: string;
  closed: boolean;
  to: string[];
  recipients: number;
  queued: number;
  delivered: number;
  opened: number;
  actioned: number;
  ended: number;
  answers_owed: number;
  answers_overdue: number;
  reply_by_ms: number;
}

export interface Trace {
  status?: {
    id: string;
    position: number;
    closed: boolean;
    recipients: { party: string; state: string; answer: string; since_ms: number }[];
  };
  kind: string;
  sender: string;
  refers_to: string;
  operation: string;
  events: { at_ms: number; position: number; party: string; event: string }[];
  recipients?: { party: string; rule: string; mailbox_number: number }[];
  signature?: {
    algorithm: string;
    key_id: string;
    signed_at_ms: number;
    index: number;
    count: number;
    holds: boolean;
    chain: Certificate[];
  };
  place?: {
    log_id: string;
    position: number;
    n: number;
    header_hash: string;
    entry_bytes: number;
    log_end: number;
    body: string;
    holds: boolean;
  };
  trace_id: string;
  conversation: string;
  lane: Lane;
  header?: {
    audience: string[];
    expires_at_ms: number;
    reply_by_ms: number;
    reply_stage: string;
    seat: string;
    service: string;
    attachments: number;
    body_hash: string;
    previous: string;
  };
  refusal?: { reason: string; fields: string[]; next_step: string };
}

export interface Country {
  at_ms: number;
  flow?: FlowCountry;
  name: string;
  region: string;
  lanes: {
    lane: Lane;
    queued: number;
    oldest_accepted_at_ms: number;
    oldest_id: string;
    delivered_per_second: number;
    drain_ms?: number;
    under_way: number;
  }[];
  link?: {
    connected: boolean;
    since_ms: number;
    last_contact_at_ms: number;
    credit: number;
    clock_skew_ms?: number;
    program: string;
    address: string;
    tls_version: string;
    tls_group: string;
    post_quantum: boolean;
  };
  certificates: Certificate[];
  replies?: { answered: number; in_time: number; median_ms: number; p90_ms: number; owed: number; overdue: number };
  overdue: { request_id: string; from: string; to: string; reply_by_ms: number; state: string }[];
  sent_per_minute: number[];
  received_per_minute: number[];
  alerts: Alert[];
  posts: { identity: string; standing: string; since_ms: number; connected: boolean }[];
}

export interface Minute {
  begins_ms: number;
  accepted: number;
  delivered: number;
  refused: number;
  delivery_p99_ms: number;
}

export interface Pair {
  from: string;
  to: string;
  accepted: number;
  delivered: number;
  failed: number;
  delivery_p99_ms: number;
  overdue: number;
}

export interface Statistics {
  at_ms: number;
  since_ms: number;
  numbers?: FlowNumbers;
  pairs: Pair[];
  kinds: { kind: string; accepted: number; refused: number; delivered: number; delivery_p50_ms: number; delivery_p99_ms: number }[];
  refusals: { reason: string; count: number }[];
  minutes: Minute[];
}
