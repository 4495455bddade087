//! `lienthong track`: where a delivery, or all deliveries of a document, stand, in order of time, and why they wait;
//! with `--follow`, line by line as it happens.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::named::Named;
use super::remote::Remote;
use super::send::is_broken;
use super::show::time;
use super::{CliError, Format, Outcome, note, notices, out};
use crate::domain::DeliveryState;
use crate::ledger::{Clock as _, SystemClock};
use crate::rpc::client::NodeClient;
use crate::wire::{pb, words};

/// How often a node is asked what is new.
const LOOK: Duration = Duration::from_secs(1);
/// Characters of an id that tell deliveries apart.
const ID: usize = 12;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lienthong track ID --config node/lienthong.toml\n  \
    lienthong track ID --follow --config node/lienthong.toml\n  \
    lienthong track --sender H09.1 --number 12 --notation CV-VP --year 2016 --config node/lienthong.toml")]
pub struct TrackArgs {
    /// Delivery.
    #[arg(required_unless_present_any = ["delivery", "number"], conflicts_with_all = ["delivery", "number"])]
    id: Option<Named>,
    #[command(flatten)]
    remote: Remote,
    /// Delivery, as an option.
    #[arg(long, value_name = "ID", conflicts_with = "number")]
    delivery: Option<Named>,
    /// Code of the document's sender.
    #[arg(long, requires = "number", default_value = "")]
    sender: String,
    /// Its number.
    #[arg(long, requires_all = ["notation", "year", "sender"])]
    number: Option<String>,
    /// Its notation.
    #[arg(long)]
    notation: Option<String>,
    /// Its year.
    #[arg(long)]
    year: Option<i32>,
    /// Stay and say what is new, until every delivery has come to its end: completed, refused, given up or taken out of
    /// force. Exit status 1 when one was not delivered.
    #[arg(long, conflicts_with = "format")]
    follow: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl TrackArgs {
    async fn request(&self, client: &NodeClient) -> Result<pb::TrackRequest, CliError> {
        let document = self.number.as_ref().map(|number| pb::DocumentRef {
            agency: self.sender.clone(),
            number: number.clone(),
            notation: self.notation.clone().unwrap_or_default(),
            year: self.year.unwrap_or_default(),
        });
        let delivery_id = match self.id.as_ref().or(self.delivery.as_ref()) {
            Some(named) => words::id(&named.find(client).await?),
            None => Bytes::new(),
        };
        Ok(pb::TrackRequest { delivery_id, document })
    }
}

/// Shows where a delivery, or all deliveries of a document, stand.
pub async fn run(args: TrackArgs) -> Result<Outcome, CliError> {
    if args.follow {
        return follow(&args).await;
    }
    let client = args.remote.connect("dms").await?;
    let views = client.exchange().track(args.request(&client).await?).await?.into_inner().deliveries;
    if args.format == Format::Json {
        let list: Vec<_> = views.iter().map(view_json).collect();
        out(serde_json::to_string_pretty(&list).unwrap_or_default());
        return Ok(Outcome::Done);
    }
    for v in &views {
        out(title(v));
        for (at, line) in history(v) {
            out(format!("  {}  {line}", time(at)));
        }
        waits(v).into_iter().for_each(|line| out(format!("  {line}")));
    }
    Ok(Outcome::Done)
}

/// Says what is new until nothing more is to come.
async fn follow(args: &TrackArgs) -> Result<Outcome, CliError> {
    let mut client = args.remote.connect("dms").await?;
    let request = args.request(&client).await?;
    let mut said = HashSet::new();
    loop {
        let views = match client.exchange().track(request.clone()).await {
            Ok(answer) => answer.into_inner().deliveries,
            Err(status) if is_broken(&status) => {
                note(format!("the node does not answer: {}; trying again", status.message()));
                client = loop {
                    tokio::time::sleep(LOOK).await;
                    if let Ok(client) = args.remote.connect("dms").await {
                        break client;
                    }
                };
                continue;
            }
            Err(status) => return Err(status.into()),
        };
        for v in &views {
            let id = hex::encode(&v.delivery_id);
            if said.insert(id.clone()) {
                out(title(v));
            }
            let id = &id[..ID.min(id.len())];
            for (at, line) in history(v) {
                let line = format!("{id}  {}  {line}", time(at));
                if said.insert(line.clone()) {
                    out(line);
                }
            }
            if let Some(line) = waits(v)
                && said.insert(format!("{id}  {}", without_times(&line)))
            {
                out(format!("{id}  {}  {line}", SystemClock.now()));
            }
        }
        if views.iter().all(is_over) {
            let arrived = |v: &pb::DeliveryView| state(v) == Some(DeliveryState::Delivered);
            return Ok(if views.iter().all(arrived) { Outcome::Done } else { Outcome::No });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What is waited for, whenever it is tried again: that alone is nothing new.
fn without_times(line: &str) -> String {
    let ends = ["; next try", "; it is being tried", "; tried until"];
    let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    line[..end].chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Whether nothing more is expected of a delivery.
fn is_over(v: &pb::DeliveryView) -> bool {
    match state(v) {
        Some(DeliveryState::Queued | DeliveryState::Held) | None => false,
        Some(DeliveryState::Delivered) => {
            let last = v.statuses.iter().rev().find(|s| !s.out_of_order).map(|s| s.status());
            let completed = matches!(last, Some(pb::Status::Completed | pb::Status::Refused));
            let notice = words::read_kind(v.kind).is_some_and(|kind| !kind.is_document());
            v.waiting_for.is_empty() && (completed || notice || v.ended.is_some())
        }
        Some(_) => true,
    }
}

fn title(v: &pb::DeliveryView) -> String {
    let id = hex::encode(&v.delivery_id);
    let kind = words::read_kind(v.kind).map_or("?", |k| k.as_str());
    let what = if v.number.is_empty() {
        format!("{kind} message")
    } else {
        format!("{}/{} ({}), attempt {}", v.number, v.notation, v.year, v.attempt)
    };
    format!("{id}  {} → {}  {what}", v.sender, v.recipient)
}

/// What happened, in order of time.
fn history(v: &pb::DeliveryView) -> Vec<(i64, String)> {
    let mut lines = notices::lines(v);
    if v.submitted_at > 0 {
        lines.push((v.submitted_at, v.submitted_index, format!("submitted, event {}", v.submitted_index)));
    }
    if v.settled_at > 0 {
        let reason = if v.reason.is_empty() { String::new() } else { format!(": {}", v.reason) };
        let line = format!("{}{reason}, event {}", state_name(v), v.settled_index);
        lines.push((v.settled_at, v.settled_index, line));
    }
    for s in &v.statuses {
        let flag = if s.out_of_order { " (out of order)" } else { "" };
        lines.push((s.at, s.log_index, format!("status {:02}{flag}, event {}", s.status, s.log_index)));
    }
    // Of the same moment, in the order of the log.
    lines.sort_by_key(|(at, index, _)| (*at, *index));
    lines.into_iter().map(|(at, _, line)| (at, line)).collect()
}

/// What it waits for, if anything.
fn waits(v: &pb::DeliveryView) -> Option<String> {
    let queued = state(v) == Some(DeliveryState::Queued);
    let until = if queued { format!("; tried until {}", time(v.not_after)) } else { String::new() };
    let state = if queued { "queued: " } else { "" };
    (!v.waiting_for.is_empty()).then(|| format!("{state}waits: {}{until}", v.waiting_for))
}

fn state(v: &pb::DeliveryView) -> Option<DeliveryState> {
    words::read_delivery_state(v.state)
}

fn state_name(v: &pb::DeliveryView) -> &'static str {
    state(v).map_or("?", |s| s.as_str())
}

fn view_json(v: &pb::DeliveryView) -> serde_json::Value {
    let statuses: Vec<_> = v
        .statuses
        .iter()
        .map(|s| json!({"status": format!("{:02}", s.status), "at": time(s.at), "out_of_order": s.out_of_order}))
        .collect();
    let (asked, ended) = notices::json(v);
    json!({
        "kind": words::read_kind(v.kind).map_or("?", |k| k.as_str()), "asked": asked, "ended": ended,
        "document_digest": hex::encode(&v.document_digest),
        "delivery_id": hex::encode(&v.delivery_id), "sender": v.sender, "recipient": v.recipient,
        "number": v.number, "notation": v.notation, "year": v.year, "attempt": v.attempt, "state": state_name(v),
        "reason": v.reason, "submitted_at": time(v.submitted_at), "settled_at": time(v.settled_at),
        "not_after": time(v.not_after), "peer": v.peer, "statuses": statuses, "waiting_for": v.waiting_for,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> pb::DeliveryView {
        let status = |status: pb::Status, at, log_index| pb::StatusView {
            status: status.into(),
            at,
            out_of_order: false,
            log_index,
        };
        pb::DeliveryView {
            delivery_id: vec![0xab; 32].into(),
            sender: "H09".into(),
            recipient: "H09.21".into(),
            number: "1".into(),
            notation: "CV".into(),
            year: 2016,
            attempt: 1,
            kind: pb::Kind::New.into(),
            state: pb::DeliveryState::Delivered.into(),
            submitted_at: 1_000,
            submitted_index: 3,
            settled_at: 2_000,
            settled_index: 4,
            statuses: vec![
                status(pb::Status::Arrived, 3_000, 5),
                status(pb::Status::TakeBackAgreed, 6_000, 9),
            ],
            asked: vec![pb::AskView {
                ask: pb::Ask::Revoke.into(),
                delivery_id: vec![0xcd; 32].into(),
                state: pb::AskState::Agreed.into(),
                at: 4_000,
                log_index: 6,
                answer_index: 9,
            }],
            ended: Some(pb::EndView {
                by: pb::EndedBy::Revoked.into(),
                delivery_id: vec![0xcd; 32].into(),
                at: 5_000,
                log_index: 7,
            }),
            ..pb::DeliveryView::default()
        }
    }

    #[test]
    fn everything_that_happened_stands_in_order_of_time() {
        let lines: Vec<String> = history(&view()).into_iter().map(|(_, line)| line).collect();
        let begins =
            ["submitted", "delivered", "status 01", "revoke asked", "NO LONGER IN FORCE", "status 15"];
        assert_eq!(lines.len(), begins.len());
        for (line, begin) in lines.iter().zip(begins) {
            assert!(line.starts_with(begin), "{lines:#?}");
        }
    }

    #[test]
    fn another_try_is_nothing_new() {
        let line = |at: &str, next: &str| {
            format!(
                "queued: waits: node b has not answered since {at}: refused; {next}; tried until 2016-09-01"
            )
        };
        let tried = without_times(&line("2016-08-08T09:00:00.001+07:00", "it is being tried"));
        assert_eq!(tried, without_times(&line("2016-08-08T09:00:00.000+07:00", "next try 09:00:10")));
        assert_ne!(tried, without_times("queued: waits: its turn to go to node b; tried until 2016-09-01"));
    }

    #[test]
    fn a_delivery_is_followed_until_nothing_is_waited_for() {
        assert!(is_over(&view()));
        let waits = pb::DeliveryView { waiting_for: "H09.21 to answer".into(), ..view() };
        assert!(!is_over(&waits));
        let arrived = pb::DeliveryView { ended: None, ..view() };
        assert!(!is_over(&arrived), "not completed yet");
        let refused = pb::DeliveryView { state: pb::DeliveryState::Refused.into(), ..arrived };
        assert!(is_over(&refused));
    }
}
