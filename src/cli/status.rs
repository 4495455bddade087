//! `lienthong status`: what a node does, on one screen of 100 columns; all of it as JSON; the queues as CSV.

use serde_json::{Value, json};

use super::operate::Format;
use super::remote::Remote;
use super::show::{columns, time};
use super::{CliError, Outcome, out};
use crate::domain::document::Urgency;
use crate::wire::pb;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lienthong status --config node/lienthong.toml\n  \
    lienthong status --config node/lienthong.toml --format csv > queues.csv")]
pub struct StatusArgs {
    #[command(flatten)]
    remote: Remote,
    /// How to print; csv has the queues, a line for each peer.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Shows a node's state.
pub async fn run(args: StatusArgs) -> Result<Outcome, CliError> {
    let client = args.remote.connect("admin").await?;
    let status = client.audit().get_status(pb::GetStatusRequest {}).await?.into_inner();
    match args.format {
        Format::Table => out(screen(&status)),
        Format::Json => out(serde_json::to_string_pretty(&as_json(&status)).unwrap_or_default()),
        Format::Csv => out(as_csv(&status).map_err(CliError::failed)?.trim_end()),
    }
    Ok(Outcome::Done)
}

/// Characters of a line.
const WIDTH: usize = 100;
/// Characters of an id that tell deliveries apart.
const ID: usize = 12;

/// What an operator sees.
fn screen(s: &pb::GetStatusResponse) -> String {
    let mut lines = vec![
        format!("node       {}, version {}, running for {}", s.node, s.version, span(s.clock - s.started_at)),
        format!("log        {} events{}", s.log_size, self_check(s)),
        format!(
            "directory  version {}, valid until {}{}",
            s.directory_version,
            moment(s.directory_valid_until),
            if s.directory_expired { ", EXPIRED: have its authority sign a new one" } else { "" }
        ),
        format!("disk       {}", disk(s)),
        format!(
            "memory     {}; connections: {} of clients, {} of peers; held: {}",
            size(s.memory_bytes),
            s.client_connections,
            s.peer_connections,
            s.held
        ),
        format!("clock      {}, {}", moment(s.clock), clock(s)),
    ];
    lines.extend(witnesses(s));
    lines.extend(recovery(s));
    lines.extend(stamps(s));
    for c in &s.certificates {
        lines.push(format!(
            "tls        certificate `{}` valid until {}{}",
            c.name,
            moment(c.not_after),
            ending(c.not_after - s.clock)
        ));
    }
    if s.draining {
        lines.push("STOPPING   nothing new begins; calls under way end".to_owned());
    }
    lines.push(String::new());
    if s.queues.is_empty() && s.clocks.is_empty() {
        lines.push("peers      none was sent to or heard yet".to_owned());
    } else {
        lines.extend(peers(s));
    }
    lines.join("\n")
}

/// What the node found when it checked itself.
fn self_check(s: &pb::GetStatusResponse) -> String {
    let Some(c) = &s.self_check else { return String::new() };
    let first = if c.has_first { format!(", the first at event {}", c.first) } else { String::new() };
    match c.findings {
        0 => format!(", checked {}: nothing is wrong", moment(c.at)),
        n => format!(", checked {}: {n} WRONG{first}: stop it, `lienthong audit check`", moment(c.at)),
    }
}

fn peers(s: &pb::GetStatusResponse) -> Vec<String> {
    let mut names: Vec<&str> =
        s.queues.iter().map(|q| q.peer.as_str()).chain(s.clocks.iter().map(|c| c.peer.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    let none = pb::QueueStatus::default();
    let queue = |name: &str| s.queues.iter().find(|q| q.peer == name).unwrap_or(&none);
    let rows: Vec<Vec<String>> = names
        .iter()
        .map(|name| {
            let q = queue(name);
            let urgencies: Vec<String> = q.waiting_by_urgency.iter().map(u64::to_string).collect();
            let clock = s.clocks.iter().find(|c| c.peer == *name);
            vec![
                shortened(name, 18),
                q.waiting.to_string(),
                urgencies.join("/"),
                q.in_flight.to_string(),
                if q.oldest == 0 { "-".to_owned() } else { span(s.clock - q.oldest) },
                if q.breaker.is_empty() { "-".to_owned() } else { q.breaker.clone() },
                clock.map_or("-".to_owned(), |c| {
                    format!("{}{}", signed_seconds(c.offset_ms), if c.off { " OFF" } else { "" })
                }),
            ]
        })
        .collect();
    let table = columns(&["peer", "waiting", "by urgency", "in flight", "oldest", "breaker", "clock"], &rows);
    let mut lines = Vec::new();
    for (i, line) in table.lines().enumerate() {
        lines.push(line.to_owned());
        if let Some(name) = i.checked_sub(1).and_then(|i| names.get(i)) {
            lines.extend(details(s, queue(name)));
        }
    }
    lines
}

/// Below a peer's line: what waits the longest, and why.
fn details(s: &pb::GetStatusResponse, q: &pb::QueueStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if !q.oldest_delivery.is_empty() {
        let id = hex::encode(&q.oldest_delivery);
        let why = if q.oldest_reason.is_empty() { "" } else { ": " };
        let id = id.get(..ID).unwrap_or(&id);
        lines.push(format!("  oldest: {id} since {}{why}{}", moment(q.oldest), q.oldest_reason));
    }
    if !q.last_error.is_empty() {
        let next = if q.next_probe > 0 { q.next_probe } else { q.next_try };
        let next =
            if next > s.clock { format!("next try in {}; ", span(next - s.clock)) } else { String::new() };
        let failures = if q.failures > 0 { format!("{} failures; ", q.failures) } else { String::new() };
        lines.push(format!("  {failures}{next}{}", q.last_error));
    }
    lines.iter().map(|line| shortened(line, WIDTH)).collect()
}

fn disk(s: &pb::GetStatusResponse) -> String {
    let room = match s.pressure.as_str() {
        "short" => "SHORT: no new documents are taken",
        "critical" => "CRITICAL: nothing new is begun",
        _ => "normal",
    };
    format!(
        "{} free, {room} (reserve {}, critical {}); content {}",
        size(s.free_bytes),
        size(s.reserve_bytes),
        size(s.critical_bytes),
        size(s.content_bytes)
    )
}

fn clock(s: &pb::GetStatusResponse) -> String {
    if s.own_clock_off {
        let side = if s.own_clock_offset_ms > 0 { "ahead" } else { "behind" };
        let by = span(s.own_clock_offset_ms.saturating_abs());
        return format!("OFF: {by} {side}, as most peers say");
    }
    let off: Vec<&str> = s.clocks.iter().filter(|c| c.off).map(|c| c.peer.as_str()).collect();
    let tolerance = seconds(s.clock_tolerance_ms);
    if s.clocks.is_empty() {
        "compared with no peer yet".to_owned()
    } else if off.is_empty() {
        format!("within {tolerance} of {} peers", s.clocks.len())
    } else {
        shortened(&format!("over {tolerance} from that of {}", off.join(", ")), 60)
    }
}

/// Who cosigned this log, and with which logs of others exchange is stopped.
fn witnesses(s: &pb::GetStatusResponse) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(newest) = s.cosigners.iter().max_by_key(|c| (c.size, c.at)) {
        let names: Vec<&str> = s.cosigners.iter().map(|c| c.node.as_str()).collect();
        let (size, at) = (newest.size, moment(newest.at));
        lines.push(format!("witnesses  {size} of the log's events, at {at}, by {}", names.join(", ")));
    }
    if s.unwitnessed_start {
        lines.push(
            "UNWITNESSED no peer could say at the start whether this log is the newest copy".to_owned(),
        );
    }
    for stopped in s.witnessed.iter().filter(|w| !w.stopped.is_empty()) {
        let since = moment(stopped.since);
        lines.push(format!("STOPPED    exchange with {} since {since}: {}", stopped.log, stopped.stopped));
        lines.push(format!("           {}", stopped.why));
    }
    lines.iter().map(|line| shortened(line, WIDTH)).collect()
}

/// What came back of a lost log, and which nodes have not said everything.
fn recovery(s: &pb::GetStatusResponse) -> Option<String> {
    if s.recovery.is_empty() {
        return None;
    }
    let sum = |of: fn(&pb::RecoveryStatus) -> u64| s.recovery.iter().map(of).sum::<u64>();
    let (recovered, again) = (sum(|r| r.recovered), sum(|r| r.sent_again));
    let rest: Vec<&str> = s.recovery.iter().filter(|r| !r.done).map(|r| r.peer.as_str()).collect();
    let waits = if rest.is_empty() { String::new() } else { format!("; waits for {}", rest.join(", ")) };
    let line =
        format!("recovery   {recovered} messages came back, {again} are sent again to this node{waits}");
    Some(shortened(&line, WIDTH))
}

/// How the timestamps of checkpoints go, where an authority is configured.
fn stamps(s: &pb::GetStatusResponse) -> Option<String> {
    let t = s.timestamps.as_ref().filter(|t| !t.authority.is_empty())?;
    let newest = if t.size == 0 {
        "none yet".to_owned()
    } else {
        format!("{} of the log's events, at {}", t.size, moment(t.at))
    };
    let failing = if t.failing_since == 0 {
        String::new()
    } else {
        format!("; NONE since {}: {}", moment(t.failing_since), t.last_error)
    };
    Some(shortened(&format!("timestamp  {newest}{failing}"), WIDTH))
}

/// A time in Vietnam, to the second.
fn moment(ms: i64) -> String {
    time(ms).chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

/// At most so many characters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// How soon something ends, when it is soon.
fn ending(ms: i64) -> String {
    match ms {
        i64::MIN..=0 => ", ENDED".to_owned(),
        1..=2_592_000_000 => format!(", ENDS in {}", span(ms)),
        _ => String::new(),
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn signed_seconds(ms: i64) -> String {
    let sign = if ms < 0 { '-' } else { '+' };
    format!("{sign}{}", seconds(ms.saturating_abs()))
}

/// A time span in its two largest units.
fn span(ms: i64) -> String {
    let s = ms.max(0) / 1000;
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// Bytes in the unit that fits.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{}.{} GiB", bytes >> 30, ((bytes >> 20) % 1_024) * 10 / 1_024),
    }
}

fn as_json(s: &pb::GetStatusResponse) -> Value {
    let queues: Vec<Value> = s
        .queues
        .iter()
        .map(|q| {
            let by_urgency: serde_json::Map<String, Value> = Urgency::ALL
                .iter()
                .zip(&q.waiting_by_urgency)
                .map(|(urgency, count)| (urgency.as_str().to_owned(), json!(count)))
                .collect();
            json!({
                "peer": q.peer, "waiting": q.waiting, "waiting_by_urgency": by_urgency,
                "in_flight": q.in_flight, "bytes_in_flight": q.bytes_in_flight, "oldest": time(q.oldest),
                "oldest_delivery": hex::encode(&q.oldest_delivery), "oldest_reason": q.oldest_reason,
                "breaker": q.breaker, "failures": q.failures, "failing_since": time(q.failing_since),
                "delayed": q.delayed, "calls_in": q.calls_in, "next_probe": time(q.next_probe),
                "last_error": q.last_error, "next_try": time(q.next_try),
                "failing_since": time(q.failing_since), "delayed": q.delayed, "calls_in": q.calls_in,
            })
        })
        .collect();
    let clocks: Vec<Value> = s
        .clocks
        .iter()
        .map(|c| {
            json!({"peer": c.peer, "offset_ms": c.offset_ms, "uncertain_ms": c.uncertain_ms, "at": time(c.at),
                "off": c.off})
        })
        .collect();
    let certificates: Vec<Value> =
        s.certificates.iter().map(|c| json!({"name": c.name, "not_after": time(c.not_after)})).collect();
    json!({
        "node": s.node, "version": s.version, "started_at": time(s.started_at), "clock": time(s.clock),
        "self_check": s.self_check.as_ref().map(|c| json!({
            "at": time(c.at), "took_ms": c.took_ms, "events": c.events, "findings": c.findings,
            "first": c.has_first.then_some(c.first), "content_bytes": c.content_bytes,
        })),
        "draining": s.draining, "log_size": s.log_size, "checkpoint": s.checkpoint,
        "directory_version": s.directory_version, "directory_valid_until": time(s.directory_valid_until),
        "directory_expired": s.directory_expired, "queues": queues, "held": s.held,
        "content_bytes": s.content_bytes, "free_bytes": s.free_bytes, "reserve_bytes": s.reserve_bytes,
        "critical_bytes": s.critical_bytes, "pressure": s.pressure, "memory_bytes": s.memory_bytes,
        "client_connections": s.client_connections, "peer_connections": s.peer_connections,
        "clocks": clocks, "clock_tolerance_ms": s.clock_tolerance_ms,
        "own_clock_offset_ms": s.own_clock_off.then_some(s.own_clock_offset_ms), "certificates": certificates,
        "unwitnessed_start": s.unwitnessed_start,
        "cosigners": s.cosigners.iter().map(|c| json!({"node": c.node, "size": c.size, "at": time(c.at)}))
            .collect::<Vec<_>>(),
        "witnessed": s.witnessed.iter().map(|w| json!({
            "peer": w.peer, "log": w.log, "held_size": w.held_size, "stopped": w.stopped, "why": w.why,
            "since": if w.since == 0 { Value::Null } else { json!(time(w.since)) },
        })).collect::<Vec<_>>(),
        "timestamps": s.timestamps.as_ref().filter(|t| !t.authority.is_empty()).map(|t| json!({
            "authority": t.authority, "size": t.size, "at": time(t.at), "failing_since": time(t.failing_since),
            "last_error": t.last_error,
        })),
        "recovery": s.recovery.iter().map(|r| json!({
            "peer": r.peer, "listed": r.listed, "done": r.done, "recovered": r.recovered, "sent_again": r.sent_again,
        })).collect::<Vec<_>>(),
    })
}

fn as_csv(s: &pb::GetStatusResponse) -> Result<String, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let urgencies = Urgency::ALL.map(Urgency::as_str);
    let head = ["peer", "waiting"].into_iter().chain(urgencies).chain([
        "in_flight",
        "bytes_in_flight",
        "oldest",
        "oldest_delivery",
        "breaker",
        "failures",
        "next_try",
        "last_error",
    ]);
    out.write_record(head)?;
    for q in &s.queues {
        let mut row = vec![q.peer.clone(), q.waiting.to_string()];
        row.extend((0..urgencies.len()).map(|i| q.waiting_by_urgency.get(i).unwrap_or(&0).to_string()));
        row.extend([
            q.in_flight.to_string(),
            q.bytes_in_flight.to_string(),
            time(q.oldest),
            hex::encode(&q.oldest_delivery),
            q.breaker.clone(),
            q.failures.to_string(),
            time(if q.next_probe > 0 { q.next_probe } else { q.next_try }),
            q.last_error.clone(),
        ]);
        out.write_record(row)?;
    }
    let bytes = out.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> pb::GetStatusResponse {
        let clock = 1_470_621_600_000;
        pb::GetStatusResponse {
            node: "thuan-an".into(),
            version: "0.1.0".into(),
            started_at: clock - 183_600_000,
            clock,
            log_size: 48_213,
            directory_version: 7,
            directory_valid_until: clock + 9_000_000_000,
            queues: vec![
                pb::QueueStatus {
                    peer: "binh-duong".into(),
                    waiting: 1_294,
                    in_flight: 0,
                    oldest: clock - 7_260_000,
                    last_error: "peer_unreachable: node `binh-duong`: 10.0.0.7:7401: Connection refused (os error 111), \
                                 and a great deal more that does not fit"
                        .into(),
                    next_try: clock + 41_000,
                    breaker: "open".into(),
                    failures: 23,
                    next_probe: clock + 41_000,
                    waiting_by_urgency: vec![2, 0, 12, 1_280],
                    oldest_delivery: vec![0xab; 32].into(),
                    oldest_reason: "peer_unreachable".into(),
                    ..pb::QueueStatus::default()
                },
                pb::QueueStatus {
                    peer: "di-an".into(),
                    in_flight: 3,
                    waiting: 3,
                    oldest: clock - 400,
                    breaker: "closed".into(),
                    waiting_by_urgency: vec![0, 0, 0, 3],
                    oldest_delivery: vec![0x12; 32].into(),
                    ..pb::QueueStatus::default()
                },
            ],
            content_bytes: 3 << 30,
            free_bytes: 900 << 20,
            certificates: vec![pb::CertificateStatus { name: "node".into(), not_after: clock + 864_000_000 }],
            reserve_bytes: 1 << 30,
            critical_bytes: 256 << 20,
            pressure: "short".into(),
            clocks: vec![pb::ClockStatus {
                peer: "di-an".into(),
                offset_ms: -62_340,
                uncertain_ms: 2,
                at: clock,
                off: true,
            }],
            clock_tolerance_ms: 1_000,
            held: 4,
            client_connections: 5,
            peer_connections: 2,
            memory_bytes: 91 << 20,
            ..pb::GetStatusResponse::default()
        }
    }

    #[test]
    fn the_screen_says_everything_on_lines_of_100_columns() {
        let screen = screen(&sample());
        let expected = "\
node       thuan-an, version 0.1.0, running for 2 d 3 h
log        48213 events
directory  version 7, valid until 2016-11-20 13:00:00
disk       900 MiB free, SHORT: no new documents are taken (reserve 1.0 GiB, critical 256 MiB); content 3.0 GiB
memory     91 MiB; connections: 5 of clients, 2 of peers; held: 4
clock      2016-08-08 09:00:00, over 1.0 s from that of di-an
tls        certificate `node` valid until 2016-08-18 09:00:00, ENDS in 10 d 0 h

peer        waiting  by urgency   in flight  oldest     breaker  clock
binh-duong  1294     2/0/12/1280  0          2 h 1 min  open     -
  oldest: abababababab since 2016-08-08 06:59:00: peer_unreachable
  23 failures; next try in 41 s; peer_unreachable: node `binh-duong`: 10.0.0.7:7401: Connection ref…
di-an       3        0/0/0/3      3          0 s        closed   -62.3 s OFF
  oldest: 121212121212 since 2016-08-08 08:59:59";
        assert_eq!(screen, expected);
        // A name of 63 characters and numbers at their largest.
        let mut s = sample();
        s.queues[0].peer = "x".repeat(63);
        s.queues[0].waiting_by_urgency = vec![99_999; 4];
        s.queues[0].in_flight = 512;
        s.free_bytes = 900 << 40;
        for line in self::screen(&s).lines().filter(|l| !l.starts_with("disk")) {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn an_own_clock_that_is_off_and_a_node_that_stops_are_said() {
        let mut s = sample();
        (s.own_clock_off, s.own_clock_offset_ms, s.draining) = (true, -90_500, true);
        let screen = screen(&s);
        assert!(screen.contains("OFF: 1 min 30 s behind, as most peers say"), "{screen}");
        assert!(screen.contains("STOPPING"), "{screen}");
        let json = as_json(&s);
        assert_eq!((&json["own_clock_offset_ms"], &json["draining"]), (&json!(-90_500), &json!(true)));
        assert_eq!(json["queues"][0]["waiting_by_urgency"]["flash"], 2);
        assert_eq!(as_json(&sample())["own_clock_offset_ms"], Value::Null);
    }

    #[test]
    fn witnesses_are_named_and_logs_that_exchange_is_stopped_with() {
        let mut s = sample();
        let at = s.clock - 3_600_000;
        s.cosigners = vec![
            pb::Cosigner { node: "binh-duong".into(), size: 48_200, at },
            pb::Cosigner { node: "di-an".into(), size: 47_000, at },
        ];
        s.witnessed = vec![pb::WitnessedLog {
            peer: "di-an".into(),
            log: "di-an/log/1".into(),
            held_size: 12,
            stopped: "log_forked".into(),
            why: "its key signed two roots".into(),
            since: at,
        }];
        s.unwitnessed_start = true;
        let screen = screen(&s);
        for line in [
            "witnesses  48200 of the log's events, at 2016-08-08 08:00:00, by binh-duong, di-an",
            "STOPPED    exchange with di-an/log/1 since 2016-08-08 08:00:00: log_forked",
            "           its key signed two roots",
        ] {
            assert!(screen.lines().any(|l| l == line), "{screen}");
        }
        assert!(screen.contains("UNWITNESSED") && !self::screen(&sample()).contains("UNWITNESSED"));
        assert_eq!(as_json(&s)["witnessed"][0]["stopped"], "log_forked");
    }

    #[test]
    fn timestamps_are_shown_where_an_authority_is_configured() {
        let mut s = sample();
        s.timestamps = Some(pb::TimestampStatus::default());
        assert!(!screen(&s).contains("timestamp"));
        let stamps = pb::TimestampStatus {
            authority: "http://tsa.example/".into(),
            size: 48_000,
            at: s.clock - 3_600_000,
            ..Default::default()
        };
        s.timestamps = Some(stamps.clone());
        let good = "timestamp  48000 of the log's events, at 2016-08-08 08:00:00";
        assert!(screen(&s).lines().any(|line| line == good), "{}", screen(&s));
        let (failing_since, last_error) = (s.clock - 60_000, "no connection: refused".into());
        s.timestamps = Some(pb::TimestampStatus { failing_since, last_error, ..stamps });
        let bad = format!("{good}; NONE since 2016-08-08 08:59:00: no c");
        let shown = screen(&s);
        let line = shown.lines().find(|line| line.starts_with(&bad));
        assert!(line.is_some_and(|l| l.ends_with('…') && l.chars().count() == WIDTH), "{shown}");
        assert_eq!(as_json(&s)["timestamps"]["last_error"], "no connection: refused");
    }

    #[test]
    fn a_recovery_says_what_came_back_and_who_has_not_said_everything() {
        let mut s = sample();
        assert!(!screen(&s).contains("recovery"));
        let done = pb::RecoveryStatus {
            peer: "di-an".into(),
            listed: true,
            done: true,
            recovered: 3,
            sent_again: 2,
        };
        let waits = pb::RecoveryStatus { peer: "binh-duong".into(), ..pb::RecoveryStatus::default() };
        s.recovery = vec![done.clone(), waits];
        let line = "recovery   3 messages came back, 2 are sent again to this node; waits for binh-duong";
        assert!(screen(&s).lines().any(|l| l == line), "{}", screen(&s));
        assert_eq!(as_json(&s)["recovery"][1]["listed"], false);
        s.recovery = vec![done];
        let line = "recovery   3 messages came back, 2 are sent again to this node";
        assert!(screen(&s).lines().any(|l| l == line), "{}", screen(&s));
    }

    #[test]
    fn csv_has_a_line_for_each_peer() {
        let text = as_csv(&sample()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("peer,waiting,flash,"), "{}", lines[0]);
        assert!(lines[2].starts_with("di-an,3,0,0,0,3,3,0,"), "{}", lines[2]);
    }
}
