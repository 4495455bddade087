//! Every limit against abuse in one place, each with its reason. What an operator may need to change is in the
//! configuration and starts from these values.

/// Characters of a document number (Decree 30/2020/NĐ-CP's register; QCVN 102:2016).
pub const NUMBER_CHARS: usize = 11;
/// Characters of a notation.
pub const NOTATION_CHARS: usize = 30;
/// Characters of a subject.
pub const SUBJECT_CHARS: usize = 500;
/// Characters of a summary: about a page.
pub const SUMMARY_CHARS: usize = 2_000;
/// Characters of a document type's name.
pub const TYPE_NAME_CHARS: usize = 100;
/// Characters of a document type's code.
pub const TYPE_CODE_CHARS: usize = 20;
/// Characters of a place, a position, an authority.
pub const POSITION_CHARS: usize = 100;
/// Characters of a person's full name.
pub const FULL_NAME_CHARS: usize = 50;
/// Characters of an agency's name.
pub const AGENCY_NAME_CHARS: usize = 200;
/// Characters of an agency code (Decision 20/2020/QĐ-TTg).
pub const AGENCY_CODE_CHARS: usize = 35;
/// Characters of a reason that a person writes.
pub const REASON_CHARS: usize = 500;
/// Characters of a client's idempotency key: room for a UUID and a prefix.
pub const REQUEST_ID_CHARS: usize = 64;
/// Characters of an opaque user id.
pub const USER_CHARS: usize = 100;
/// Characters of a client's name, as in the configuration.
pub const CLIENT_NAME_CHARS: usize = 63;
/// Characters of a reason code that is searched for: the longest has 30.
pub const REASON_CODE_CHARS: usize = 100;
/// Characters of a filter in words: all of them at their longest stay below.
pub const FILTER_CHARS: usize = 1_000;
/// Codes of a client's agencies in an event: with the others' number and digest the event stays below a leaf's limit.
pub const LISTED_AGENCIES: usize = 500;
/// Settings in an event: some 50 there are.
pub const SETTINGS: usize = 200;
/// Origins of refused connections that are counted one by one, for each cause: an attacker has any number.
pub const REFUSED_ORIGINS: usize = 8;
/// Characters of such an origin.
pub const ORIGIN_CHARS: usize = 200;
/// How often refused connections are recorded at first, in milliseconds (a minute).
pub const REFUSED_EVERY_MS: u64 = 60_000;
/// And at most, while it goes on (an hour): a flood of a day makes some thirty events.
pub const REFUSED_MOST_MS: u64 = 3_600_000;
/// Characters of a file name.
pub const FILE_NAME_CHARS: usize = 200;
/// Characters of a media type.
pub const MEDIA_TYPE_CHARS: usize = 100;
/// Places received of one document.
pub const PLACES: usize = 100;
/// Documents that one document answers.
pub const RESPONSES: usize = 50;
/// Recipients of one send: all agencies of a large province in a few calls.
pub const RECIPIENTS: usize = 1_000;
/// Parts of one document.
pub const PARTS: usize = 100;
/// Detached signatures of one part.
pub const SIGNATURES_PER_PART: usize = 16;
/// Detached signatures of one document: their bytes travel in one message.
pub const SIGNATURES: usize = 64;
/// Fields of a document's header, all parts and metadata counted: far more than any other limit allows; decoding them
/// takes up to two hundred bytes each.
pub const HEADER_FIELDS: usize = 100_000;
/// Bytes of one detached signature: a long chain with revocation data fits.
pub const SIGNATURE_BYTES: usize = 64 * 1024;
/// Bytes of a file that commands read as a detached signature: one with the lists of a national authority inside can be
/// judged by hand, though no node takes it.
pub const SIGNATURE_FILE_BYTES: u64 = 10 * 1024 * 1024;
/// Bytes of all parts of one document, by default.
pub const CONTENT_BYTES: u64 = 10 * 1024 * 1024 * 1024;
/// Bytes of content that travel inside a `Deliver` message; more is pulled on a stream of its own.
pub const INLINE_BYTES: u64 = 256 * 1024;
/// Bytes of content in one message of a `Send` stream.
pub const DATA_BYTES: usize = 1024 * 1024;
/// Bytes of content in one `SendMany` message.
pub const BULK_BYTES: usize = 1024 * 1024;
/// Bytes of one chunk that this node writes to a stream.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes of a large upload or pull that one call keeps in memory before it writes them.
pub const BATCH_BYTES: usize = 512 * 1024;
/// Bytes of a large upload or pull after which what came is made durable: at most so many come again after a break.
pub const MARK_BYTES: u64 = 8 * 1024 * 1024;
/// Threads that hash and write large content at once, and as many that read it: more only wait for the same disk, and
/// each keeps some memory.
pub const TRANSFER_THREADS: usize = 4;
/// Large uploads of one client, or pulls from one peer, that are under way or may be gone on with.
pub const PARTIALS: usize = 32;
/// Bytes that those may have in all, by default: ten of the largest documents.
pub const PARTIAL_BYTES: u64 = 10 * CONTENT_BYTES;
/// How long an upload or pull that broke off may be gone on with, by default (24 hours).
pub const PARTIAL_MS: i64 = 24 * 3600 * 1000;
/// How long room is kept on the disk for the rest of one that broke off (10 minutes): a line that comes back, a system
/// that is started again. Longer, what nobody goes on with would keep others out.
pub const PLEDGED_MS: i64 = 10 * 60 * 1000;
/// How long a call that has begun may bring nothing, by default: a place is not kept for who has gone.
pub const IDLE: std::time::Duration = std::time::Duration::from_secs(60);
/// Pulls of large content under way from all peers.
pub const PULLS: usize = 8;
/// Streams of large content served to all peers: each may have about 1 MiB in memory.
pub const SERVES: usize = 32;
/// Fetches of large content of one client at once.
pub const CLIENT_FETCHES: usize = 32;
/// Fetches of large content of all clients at once: each may have about 1 MiB in memory.
pub const FETCHES: usize = 64;
/// Bytes of a PDF from which it is judged alone: it may need 100 MiB for that.
pub const JUDGED_ALONE_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of an envelope: metadata at its longest and a thousand signature digests stay below.
pub const ENVELOPE_BYTES: usize = 256 * 1024;
/// Bytes of a log leaf: the most that a bundle of entries can hold of one (C2SP tlog-tiles).
pub const LEAF_BYTES: usize = 65_535;
/// Bytes of one gRPC message: a `Deliver` with inline content, envelope and signatures at their largest.
pub const MESSAGE_BYTES: usize = 8 * 1024 * 1024;
/// Entries of one page.
pub const PAGE_ENTRIES: u32 = 1_000;
/// Figures of one report: with all ratios of each, they fit into one message.
pub const REPORT_ROWS: usize = 10_000;
/// Dimensions by which the figures of a report stand apart: more give a list of deliveries.
pub const REPORT_DIMENSIONS: usize = 4;
/// Agencies without a declaration that a report names.
pub const REPORT_MISSING: usize = 1_000;
/// Holidays, and as many workdays at weekends, of a calendar: some decades, and an event stays below its limit.
pub const CALENDAR_DAYS: usize = 1_000;
/// How often the figures of a period are read again while they change under the reading.
pub const CLOSE_TRIES: u32 = 10;
/// Deliveries in one node's statement of a period, sent and received: a year of a whole province, in some 300 MiB of memory
/// at the node that collects.
pub const STATEMENT_ROWS: usize = 2_000_000;
/// Bytes of a statement's text: so many deliveries at their usual length.
pub const STATEMENT_BYTES: u64 = 512 << 20;
/// Statements that are made at once at one node: each reads every delivery of its period.
pub const STATEMENTS_AT_ONCE: usize = 1;
/// How often a statement is begun again when a newer one is made while it is pulled.
pub const STATEMENT_TRIES: u32 = 3;
/// Nodes that are asked for their statements at once.
pub const COLLECTED_AT_ONCE: usize = 4;
/// Differences that a report of the network lists; all are counted.
pub const DIFFERENCES_LISTED: usize = 10_000;
/// Deliveries of which the documents are asked for at once.
pub const NAMED_AT_ONCE: usize = 100;
/// Nodes in the event of a report of the network: with 300 bytes each it stays under [`LEAF_BYTES`].
pub const STATED_NODES: usize = 200;
/// How far a document's day of issue may lie ahead of this node's clock: time zones and clocks that differ.
pub const FUTURE_MS: i64 = 10 * 60 * 1000;
/// How long delivery is tried, by default (5 days).
pub const DELIVERY_MS: i64 = 5 * 24 * 3600 * 1000;
/// The longest that a client may ask to try (30 days).
pub const DELIVERY_MAX_MS: i64 = 30 * 24 * 3600 * 1000;
/// How long a fetch keeps a delivery from other clients (5 minutes).
pub const LEASE_MS: i64 = 5 * 60 * 1000;
/// Leases at once: memory only, so bounded.
pub const LEASES: usize = 100_000;
/// Events of one commit: bounds memory and the time that a waiter waits.
pub const COMMIT_EVENTS: usize = 2_048;
/// Commands of one commit from which the next waits for more: a sync and a signature cost the same for all.
pub const GATHER_FROM: usize = 4;
/// How long it waits.
pub const GATHER: std::time::Duration = std::time::Duration::from_millis(5);
/// Commands waiting for the writer; a client beyond it waits in its own stream.
pub const COMMANDS_WAITING: usize = 4_096;
/// Messages in flight to one peer.
pub const PEER_IN_FLIGHT: usize = 512;
/// Messages with large content in flight to one peer, beside the others: they take long, and each holds a connection's
/// bandwidth.
pub const LARGE_IN_FLIGHT: usize = 4;
/// Bytes of messages in flight to one peer: many small ones, or two of the largest.
pub const PEER_OUT_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes in flight to one peer whatever the others take: a message with inline content and its usual signatures fits.
pub const PEER_OUT_OWN_BYTES: u64 = 1024 * 1024;
/// Bytes of messages in flight to all peers together, beside what each has of its own.
pub const BYTES_OUT: u64 = 64 * 1024 * 1024;
/// Documents of one client's bulk stream in flight.
pub const STREAM_IN_FLIGHT: usize = 512;
/// Files judged for signatures inside them at once; each may take a second and 128 MiB.
pub const JUDGED_AT_ONCE: usize = 2;
/// Exports of evidence at once: each reads a whole document from the disk that the log is written to.
pub const EXPORTS_AT_ONCE: usize = 2;
/// Milliseconds in which the same person looking at a delivery again on the pages makes no further event: reloading
/// cannot fill the log.
pub const VIEW_AGAIN_MS: i64 = 3_600_000;
/// Views that are remembered for that; of more the oldest are forgotten, and would be recorded again.
pub const VIEWS: usize = 16_384;
/// Bytes of evidence that the pages hand out: it is packed in a temporary file first. More is for the command.
pub const WEB_EVIDENCE_BYTES: u64 = 256 << 20;
/// Attempts of one document to one recipient: more is a loop.
pub const ATTEMPTS: u32 = 1_000;
/// Events of a running node's own check in a second, by default: a tenth of what a core does.
pub const CHECK_EVENTS: u64 = 5_000;
/// Megabytes (10⁶ bytes) of content that it reads in a second, by default: any disk has that to spare.
pub const CHECK_MEGABYTES: u64 = 20;
/// Legal holds on one thing.
pub const HOLDS: usize = 32;
/// Legal holds in one answer: all that are in force are listed.
pub const HOLDS_LISTED: usize = 10_000;
/// Digests, and messages, in one event of a purge: with 32 bytes each it stays under [`LEAF_BYTES`].
pub const PURGED_DIGESTS: usize = 800;
/// Notices about one delivery from one side.
pub const NOTICES: u32 = 1_000;
/// Free bytes under which no new documents are taken, by default: room for what is under way to complete.
pub const RESERVE_BYTES: u64 = 1 << 30;
/// Free bytes under which nothing is begun, by default: receipts and statuses of some hundred thousand documents.
pub const CRITICAL_BYTES: u64 = 256 << 20;
/// How often free space is measured: a disk that takes 1 GB/s has lost 2 GB by then.
pub const DISK_LOOK: std::time::Duration = std::time::Duration::from_secs(2);
/// How far another node's clock may be off before it is told, by default.
pub const CLOCK_TOLERANCE_MS: i64 = 1_000;
/// How often the clocks of two connected nodes are compared, by default: each costs a small call.
pub const COMPARE: std::time::Duration = std::time::Duration::from_secs(60);
/// Time for calls under way to end when the node stops, by default, in seconds.
pub const DRAIN_SECONDS: u64 = 10;
/// Connections of one client at once: a pool for each of a few programs.
pub const CLIENT_CONNECTIONS: usize = 64;
/// Calls of one client under way over all its connections, each `Watch` counted.
pub const CLIENT_STREAMS: usize = 512;
/// Documents of one client that are being taken, over all its streams: a few bulk streams at full speed.
pub const CLIENT_DOCUMENTS: usize = 2_048;
/// Bytes of one client's messages in memory: 20 large transfers, or a few bulk streams at full speed.
pub const CLIENT_BYTES: usize = 64 << 20;
/// Connections of one peer: the one that it sends on, one for content, those that it makes anew.
pub const PEER_CONNECTIONS: usize = 16;
/// Calls of one peer under way.
pub const PEER_STREAMS: usize = 256;
/// Bytes of one peer's messages in memory: a whole window of ordinary documents, a few of the largest.
pub const PEER_BYTES: usize = 32 << 20;
/// Bytes of all clients' or all peers' messages in memory.
pub const ALL_BYTES: usize = 256 << 20;
/// Handshakes of one address at once: agencies may share an address, an attacker has no other.
pub const HANDSHAKES_PER_ADDRESS: usize = 128;
/// gRPC streams open on one connection.
pub const STREAMS_PER_CONNECTION: u32 = 1_024;
/// Connections open on one listener.
pub const CONNECTIONS: usize = 4_096;
/// Time for a TLS handshake, in milliseconds: an idle socket must not hold a place.
pub const HANDSHAKE_MS: u64 = 10_000;
/// How often a peer's growing log is asked about, by default: a consistency proof and a cosignature cost both sides a few
/// signatures and a sync, and a checkpoint that is cosigned ten seconds later proves no less.
pub const WITNESS_EVERY: std::time::Duration = std::time::Duration::from_secs(10);
/// Sizes that one question about a log's growth connects: the checkpoints that came since the last one, and the one held.
pub const WITNESS_SIZES: usize = 257;
/// Checkpoints of one log that wait to be connected, and as many that were: a few hundred bytes each. When more come
/// within one interval, those that are looked at are drawn by lot.
pub const WITNESS_CHECKPOINTS: usize = 256;
/// Leaves that a witness asks for, to prove what it found: one proves it.
pub const WITNESS_PREFIXES: usize = 8;
/// Time for one answer between witnesses: they are small, and the next question comes soon.
pub const WITNESS_ANSWER: std::time::Duration = std::time::Duration::from_secs(10);
/// Earlier generations that a node asks about which lost its log: more were never opened in good faith.
pub const LOST_LOGS: usize = 64;
/// Deliveries in one answer about a lost log.
pub const LOST_DELIVERIES: usize = 256;
/// Bytes of such an answer from which the next delivery waits for the next one: it stays far below a message's limit.
pub const LOST_BYTES: usize = 1 << 20;
/// Events that are looked through for one answer about a lost log: a few milliseconds.
pub const LOST_EVENTS: u64 = 4_096;
/// Cosignatures of this log by one key that are kept of a day: the last of each hour, about 350 bytes each with the
/// checkpoint, so 8 KiB a day and 3 MiB a year for each witness.
pub const COSIGNATURES_A_DAY: usize = 24;
/// Bytes of a file of what others cosigned on a day, or of what is held of a log: thousands of witnesses stay below.
pub const WITNESS_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Questions to peers under way at once.
pub const WITNESS_AT_ONCE: usize = 8;
/// How long a node asks its peers at its start which checkpoint of its own log they hold, by default.
pub const START_ASK: std::time::Duration = std::time::Duration::from_secs(10);
/// Bytes of a proof of a fork: two checkpoints, a path and a whole directory version.
pub const FORK_PROOF_BYTES: u64 = 512 * 1024 * 1024 + 1024 * 1024;

/// Digits of a delivery's id that must be given to find it: with a hundred million deliveries, two share the first eight
/// only now and then, and nobody learns ids by trying.
pub const ID_DIGITS: usize = 8;
/// Deliveries looked at whose ids begin alike: there are far fewer.
pub const IDS_LOOKED_AT: usize = 1_000;
