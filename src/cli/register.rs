//! `lienthong paper import` and `complete`: a whole paper register, and an agency's word that it is complete.
//!
//! Each line of a file is entered or not, by itself. Its request id is made of what identifies the entry (sender,
//! recipient, number, notation, year), so a file can be imported again: what stands in the log already is only counted,
//! and a line that says otherwise than the log is told.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Deserialize;

use super::remote::Person;
use super::{CliError, Outcome, note, out};
use crate::domain::document::Urgency;
use crate::domain::ids::{DocumentKey, framed};
use crate::domain::ratio::Month;
use crate::rpc::client::NodeClient;
use crate::time::Date;
use crate::wire::{pb, words};

/// Longest first line that is looked at for what stands between columns, bytes.
const FIRST_LINE: u64 = 64 << 10;

/// What is done with a register.
#[derive(Debug, Subcommand)]
pub(super) enum PaperCommand {
    /// Enters the lines of a CSV file: issued_on, sender, recipient, number, notation, type, urgency, paper_reason; and
    /// where they are known recipient_name, basis, dispatched_on. Of lines with a channel, those with dual or paper.
    Import {
        /// The file, UTF-8, with a header line; columns stand apart by commas or by semicolons.
        file: PathBuf,
        /// Check every line, enter nothing.
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        person: Person,
    },
    /// Declares an agency's paper register of a month complete.
    Complete {
        /// Code of the agency.
        #[arg(long)]
        agency: String,
        /// Month of issue, yyyy-mm.
        #[arg(long)]
        month: Month,
        /// Take the declaration back.
        #[arg(long)]
        withdraw: bool,
        #[command(flatten)]
        person: Person,
    },
}

/// Runs it.
pub(super) async fn run(client: &NodeClient, command: PaperCommand) -> Result<Outcome, CliError> {
    match command {
        PaperCommand::Import { file, check, person } => import(client, &file, check, &person.user).await,
        PaperCommand::Complete { agency, month, withdraw, person } => {
            let request =
                pb::DeclarePaperRequest { agency, month: month.to_string(), withdraw, user: person.user };
            let answer = client.report().declare_paper(request).await?.into_inner();
            let what = if withdraw { "taken back" } else { "declared complete" };
            let before = if answer.already_recorded { " (was so before)" } else { "" };
            out(format!("{what}, event {}{before}", answer.log_index));
            Ok(Outcome::Done)
        }
    }
}

/// A line as it is written. Columns that are not named here say nothing about paper, and are never kept.
#[derive(Debug, Clone, Deserialize)]
struct Line {
    issued_on: String,
    sender: String,
    #[serde(default)]
    recipient: String,
    #[serde(default)]
    recipient_name: String,
    number: String,
    notation: String,
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default)]
    urgency: String,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    paper_reason: String,
    #[serde(default)]
    basis: String,
    #[serde(default)]
    dispatched_on: String,
}

/// What a line asks; nothing where it is about no paper.
fn read(line: &Line) -> Result<Option<pb::RecordPaperRequest>, String> {
    let bad = |column: &str, value: &str, allowed: &str| {
        format!("{column} `{}` is not allowed: {allowed}", crate::domain::ids::shorten(value))
    };
    match line.channel.as_deref() {
        Some("electronic") => return Ok(None),
        None | Some("" | "dual" | "paper") => {}
        Some(other) => return Err(bad("channel", other, "electronic, dual or paper")),
    }
    let day = |column: &str, text: &str| text.parse::<Date>().map_err(|_| bad(column, text, "yyyy-mm-dd"));
    let issued_on = day("issued_on", &line.issued_on)?;
    let dispatched_on =
        if line.dispatched_on.is_empty() { issued_on } else { day("dispatched_on", &line.dispatched_on)? };
    let urgency = match line.urgency.as_str() {
        "" => Urgency::Normal,
        text => text.parse().map_err(|_| bad("urgency", text, "normal, urgent, very_urgent or flash"))?,
    };
    let mandatory = match line.paper_reason.as_str() {
        "mandatory" => true,
        "" | "none" => false,
        other => return Err(bad("paper_reason", other, "mandatory, none, or nothing")),
    };
    if !line.basis.is_empty() && !mandatory {
        return Err(bad("basis", &line.basis, "only with the paper_reason `mandatory`"));
    }
    let key = DocumentKey::new(&line.number, &line.notation, issued_on.year())
        .map_err(|e| format!("{}: {e}", e.field))?;
    let id = framed(&[
        b"lienthong/paper-import/1",
        line.sender.as_bytes(),
        line.recipient.as_bytes(),
        line.recipient_name.as_bytes(),
        key.hash().as_bytes(),
    ]);
    Ok(Some(pb::RecordPaperRequest {
        request_id: format!("import-{}", &id.to_string()[..48]),
        sender: line.sender.clone(),
        recipient: line.recipient.clone(),
        recipient_name: if line.recipient.is_empty() { line.recipient_name.clone() } else { String::new() },
        number: line.number.clone(),
        notation: line.notation.clone(),
        issued_on: issued_on.to_string(),
        type_name: line.type_name.clone(),
        urgency: words::urgency(urgency).into(),
        mandatory,
        basis: line.basis.clone(),
        dispatched_on: dispatched_on.to_string(),
        withdraw: false,
        corrects: None,
        user: String::new(),
    }))
}

#[derive(Debug, Default)]
struct Tally {
    entered: u64,
    before: u64,
    passed: u64,
    wrong: u64,
}

async fn import(client: &NodeClient, file: &Path, check: bool, user: &str) -> Result<Outcome, CliError> {
    let unreadable = |e: &dyn std::fmt::Display| CliError::file("reading", file, &e);
    let delimiter = delimiter(file).map_err(|e| unreadable(&e))?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .delimiter(delimiter)
        .from_path(file)
        .map_err(|e| unreadable(&e))?;
    let headers = reader.headers().map_err(|e| unreadable(&e))?.clone();
    let needed = ["issued_on", "sender", "number", "notation", "type"];
    let missing: Vec<&str> = needed.into_iter().filter(|n| !headers.iter().any(|h| h == *n)).collect();
    if !missing.is_empty() {
        return Err(CliError::failed(format!(
            "{}: no column {}; its first line names {} columns: {}",
            file.display(),
            missing.join(", "),
            headers.len(),
            headers.iter().collect::<Vec<_>>().join(", ")
        )));
    }
    let mut tally = Tally::default();
    let mut record = csv::StringRecord::new();
    let mut service = client.exchange();
    loop {
        let line = reader.position().line();
        let more = match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => record.deserialize::<Line>(Some(&headers)).map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        // A quoted field may have lines of its own: the record begins where the reader says.
        let line = record.position().map_or(line, csv::Position::line);
        match more.and_then(|line| read(&line)) {
            Ok(None) => tally.passed += 1,
            Ok(Some(_)) if check => tally.entered += 1,
            Ok(Some(request)) => {
                match service.record_paper(pb::RecordPaperRequest { user: user.to_owned(), ..request }).await
                {
                    Ok(answer) if answer.get_ref().already_recorded => tally.before += 1,
                    Ok(_) => tally.entered += 1,
                    Err(status) if ends(&status) => {
                        note(summary(&tally, check));
                        return Err(CliError::from(status));
                    }
                    Err(status) => wrong(&mut tally, line, &crate::wire::failure::explain(&status)),
                }
            }
            Err(problem) => wrong(&mut tally, line, &problem),
        }
    }
    out(summary(&tally, check));
    Ok(if tally.wrong > 0 { Outcome::No } else { Outcome::Done })
}

/// What stands between the columns: a comma, or a semicolon, which spreadsheets write where the comma is the decimal sign,
/// as it is in Vietnam. The first line tells.
fn delimiter(file: &Path) -> std::io::Result<u8> {
    use std::io::{BufRead as _, Read as _};
    let mut first = Vec::new();
    let file = std::fs::File::open(file)?;
    std::io::BufReader::new(file).take(FIRST_LINE).read_until(b'\n', &mut first)?;
    Ok(if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' })
}

/// Whether the node cannot take more now: the lines after this one would fare the same.
fn ends(status: &tonic::Status) -> bool {
    use tonic::Code;
    matches!(
        status.code(),
        Code::Unavailable | Code::ResourceExhausted | Code::Internal | Code::Unauthenticated | Code::Unknown
    )
}

fn wrong(tally: &mut Tally, line: u64, problem: &str) {
    tally.wrong += 1;
    out(format!("line {line}: {problem}"));
}

fn summary(tally: &Tally, check: bool) -> String {
    let Tally { entered, before, passed, wrong } = tally;
    let what = if check { "could be entered" } else { "entered" };
    format!("{entered} {what}, {before} were entered before, {passed} are not on paper, {wrong} are wrong")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            issued_on: "2016-03-04".into(),
            sender: "H09".into(),
            recipient: "H09.1".into(),
            recipient_name: String::new(),
            number: "12".into(),
            notation: "CV-H09".into(),
            type_name: "công văn".into(),
            urgency: "urgent".into(),
            channel: Some("dual".into()),
            paper_reason: "mandatory".into(),
            basis: "Danh mục 2".into(),
            dispatched_on: String::new(),
        }
    }

    #[test]
    fn a_line_is_the_same_request_whenever_it_is_read() {
        let request = read(&line()).unwrap().unwrap();
        assert_eq!(read(&line()).unwrap().unwrap(), request);
        assert!(crate::domain::ids::RequestId::from_client(&request.request_id).is_ok());
        assert_eq!((request.dispatched_on.as_str(), request.mandatory), ("2016-03-04", true));
        // What it says may change; which entry it is does not.
        let other = Line { paper_reason: String::new(), basis: String::new(), ..line() };
        assert_eq!(read(&other).unwrap().unwrap().request_id, request.request_id);
        let next = Line { number: "13".into(), ..line() };
        assert_ne!(read(&next).unwrap().unwrap().request_id, request.request_id);
        assert_eq!(read(&Line { channel: Some("electronic".into()), ..line() }).unwrap(), None);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_column() {
        for (wrong, column) in [
            (Line { issued_on: "4.3.2016".into(), ..line() }, "issued_on `4.3.2016`"),
            (Line { dispatched_on: "x".into(), ..line() }, "dispatched_on `x`"),
            (Line { urgency: "soon".into(), ..line() }, "urgency `soon`"),
            (Line { channel: Some("pigeon".into()), ..line() }, "channel `pigeon`"),
            (Line { paper_reason: "habit".into(), ..line() }, "paper_reason `habit`"),
            (Line { paper_reason: String::new(), ..line() }, "basis `Danh mục 2`"),
            (Line { number: String::new(), ..line() }, "number"),
        ] {
            let problem = read(&wrong).unwrap_err();
            assert!(problem.contains(column), "{problem}");
        }
    }
}
