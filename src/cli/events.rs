//! `lienthong audit list`: events by filter, of a running node or of a stopped node's files, shown or written to a file.

use std::path::PathBuf;
use std::str::FromStr;

use bytes::Bytes;
use clap::builder::NonEmptyStringValueParser;

use super::audit::{AuditArgs, Stopped};
use super::dms::write_new;
use super::named::Named;
use super::show::{EVENT_HEADER, columns, event_json, event_line};
use super::{CliError, Format, Outcome, note, out};
use crate::audit::{Query, known_kind, known_reason, list};
use crate::domain::AgencyId;
use crate::signature::{Role, Verdict};
use crate::time::{Date, Timestamp};
use crate::wire::{leaf, pb, words};

/// Events of one call.
const PAGE: u32 = 1_000;

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Several filters mean all of them. Days are whole days in Vietnam (UTC+7).\n\nExamples:\n  \
    lienthong audit list --config node/lienthong.toml --backwards --limit 20\n  \
    lienthong audit list --config node/lienthong.toml --agency H09.1 --counterpart H09.2 --since 2016-08-01 --until 2016-08-31\n  \
    lienthong audit list --config node/lienthong.toml --number 12 --notation UBND-VX --year 2016\n  \
    lienthong audit list --config node/lienthong.toml --kind refused --reason certificate_revoked --all --output refused.json --format json\n  \
    lienthong audit list --data ./demo/binh-duong --verdict agency=invalid"
)]
pub struct ListArgs {
    /// First index (with --backwards the last).
    #[arg(long, value_name = "INDEX")]
    from: Option<u64>,
    /// Newest first.
    #[arg(long)]
    backwards: bool,
    /// How many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All that match, however many.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Events that concern this agency.
    #[arg(long, value_name = "CODE", value_parser = NonEmptyStringValueParser::new())]
    agency: Option<String>,
    /// Events of messages that this agency sends or receives; with --agency, the other side.
    #[arg(long, value_name = "CODE", value_parser = NonEmptyStringValueParser::new())]
    counterpart: Option<String>,
    /// Events of this kind: submitted, received, refused, settled, …
    #[arg(long, value_parser = known_kind)]
    kind: Option<String>,
    /// Events of this delivery.
    #[arg(long, value_name = "ID")]
    delivery: Option<Named>,
    /// Not before: a time (RFC 3339) or a day.
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Not after: a time (RFC 3339) or a day, which is meant to its end.
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,
    /// Events of documents with this number.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    number: Option<String>,
    /// And this notation.
    #[arg(long, requires = "number", value_parser = NonEmptyStringValueParser::new())]
    notation: Option<String>,
    /// And this year.
    #[arg(long, requires = "number")]
    year: Option<i32>,
    /// Events that this client caused (`node`: the node itself; a node's name: what came from there).
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    by_client: Option<String>,
    /// Events that this user caused, as the client names it.
    #[arg(long, value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
    by_user: Option<String>,
    /// Events with this verdict: valid, invalid, indeterminate or absent; of one role: person=VERDICT, agency=VERDICT.
    #[arg(long, value_name = "[ROLE=]VERDICT")]
    verdict: Option<VerdictOf>,
    /// Events that give this reason.
    #[arg(long, value_name = "CODE", value_parser = known_reason)]
    reason: Option<String>,
    /// Write what is found to this new file instead; a running node records that.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// With --output: who takes it, for the node's log.
    #[arg(long, value_name = "USER", requires = "output", default_value = "")]
    user: String,
}

/// A time or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Time(Timestamp),
    Day(Date),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        let time = text.parse().map(When::Time);
        time.or_else(|_| text.parse().map(When::Day)).map_err(|_| {
            "a time such as 2016-08-06T09:00:00+07:00, or a day such as 2016-08-06, is needed".to_owned()
        })
    }
}

impl When {
    fn begin(self) -> Timestamp {
        match self {
            When::Time(time) => time,
            When::Day(day) => day.midnight(),
        }
    }

    /// The last millisecond.
    fn end(self) -> Timestamp {
        match self {
            When::Time(time) => time,
            When::Day(day) => day.plus_days(1).midnight().plus_millis(-1),
        }
    }
}

/// A verdict, of one role or of either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct VerdictOf(Option<Role>, Verdict);

impl FromStr for VerdictOf {
    type Err = String;

    fn from_str(text: &str) -> Result<VerdictOf, String> {
        let (role, verdict) = match text.split_once('=') {
            None => (None, text),
            Some(("person", verdict)) => (Some(Role::Person), verdict),
            Some(("agency", verdict)) => (Some(Role::Agency), verdict),
            Some((role, _)) => return Err(format!("`{role}` is no role: person or agency")),
        };
        let verdict = verdict.parse().map_err(|_| {
            let known = Verdict::ALL.map(Verdict::as_str).join(", ");
            format!("`{verdict}` is no verdict: {known}")
        })?;
        Ok(VerdictOf(role, verdict))
    }
}

impl ListArgs {
    fn request(&self) -> pb::ListEventsRequest {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        pb::ListEventsRequest {
            from_index: self.from,
            backwards: self.backwards,
            page: None,
            agency: text(&self.agency),
            counterpart: text(&self.counterpart),
            kind: text(&self.kind),
            since: self.since.map_or(0, |when| when.begin().millis()),
            until: self.until.map_or(0, |when| when.end().millis()),
            // Found where it is asked for.
            delivery_id: Bytes::new(),
            number: text(&self.number),
            notation: text(&self.notation),
            year: self.year.unwrap_or(0),
            client: text(&self.by_client),
            user: text(&self.by_user),
            verdict: self.verdict.map_or(0, |v| words::verdict(v.1).into()),
            verdict_role: self.verdict.and_then(|v| v.0).map_or(0, |role| words::signature_role(role).into()),
            reason: text(&self.reason),
            export: self.output.is_some(),
            asking_user: self.user.clone(),
        }
    }
}

/// Events, and where the next page begins.
type Found = (Vec<(u64, Bytes)>, Option<String>);

/// Lists.
pub(super) async fn run(args: &AuditArgs, list_args: &ListArgs) -> Result<Outcome, CliError> {
    let request = list_args.request();
    let wanted = if list_args.all { usize::MAX } else { list_args.limit as usize };
    if list_args.output.as_ref().is_some_and(|file| file.exists()) {
        let file = list_args.output.as_ref().map_or_else(String::new, |f| f.display().to_string());
        return Err(CliError::failed(format!("{file} is there already: name a new file")));
    }
    let (events, next) = match args.data() {
        Some(dir) => {
            let stopped = Stopped::open(dir, args.log_key())?;
            offline(&stopped, request, list_args, wanted)?
        }
        None => running(args, request, list_args, wanted).await?,
    };
    let decoded = events
        .iter()
        .map(|(i, bytes)| leaf::decode(bytes).map(|e| (*i, bytes, e)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(CliError::failed)?;
    let text = match args.format() {
        Format::Json => {
            let list: Vec<_> = decoded.iter().map(|(i, bytes, e)| event_json(*i, bytes, e)).collect();
            serde_json::to_string_pretty(&list).unwrap_or_default()
        }
        Format::Table => {
            let rows: Vec<_> = decoded.iter().map(|(i, _, e)| event_line(*i, e)).collect();
            columns(&EVENT_HEADER, &rows)
        }
    };
    match &list_args.output {
        Some(file) => {
            write_new(file, format!("{text}\n").as_bytes())?;
            note(format!("{} events written to {}", decoded.len(), file.display()));
        }
        None => out(text),
    }
    if let Some(next) = next {
        let backwards = if list_args.backwards { " --backwards" } else { "" };
        note(format!("more: --from {next}{backwards}"));
    }
    Ok(Outcome::Done)
}

/// Pages of a running node, until there are enough.
async fn running(
    args: &AuditArgs,
    mut request: pb::ListEventsRequest,
    list_args: &ListArgs,
    wanted: usize,
) -> Result<Found, CliError> {
    let client = args.remote().connect("admin").await?;
    if let Some(named) = &list_args.delivery {
        request.delivery_id = words::id(&named.find(&client).await?);
    }
    let mut events = Vec::new();
    let mut token = String::new();
    loop {
        let size = u32::try_from(wanted - events.len()).map_or(PAGE, |left| left.min(PAGE));
        request.page = Some(pb::Page { size, token });
        let answer = client.audit().list_events(request.clone()).await?.into_inner();
        events.extend(answer.events.into_iter().map(|e| (e.index, e.leaf)));
        token = answer.next_token;
        if token.is_empty() || events.len() >= wanted {
            // A token is the next index, marked.
            let next = token.strip_prefix('c').map(str::to_owned);
            return Ok((events, next));
        }
    }
}

/// The same of a stopped node's files. Agencies are given by their permanent ids.
fn offline(
    stopped: &Stopped,
    mut request: pb::ListEventsRequest,
    list_args: &ListArgs,
    wanted: usize,
) -> Result<Found, CliError> {
    let index = stopped.offline.index().map_err(CliError::failed)?;
    if let Some(named) = &list_args.delivery {
        request.delivery_id = words::id(&named.find_in(index)?);
    }
    let agency = |code: &str| if code.is_empty() { Ok(None) } else { AgencyId::new(code).map(Some) };
    let query = Query::read(&request, agency(&request.agency)?, agency(&request.counterpart)?)?;
    let mut query = Query { from: list_args.from, ..query };
    let size = stopped.offline.size().map_err(CliError::failed)?;
    let mut events = Vec::new();
    loop {
        query.limit = (wanted - events.len()).min(PAGE as usize);
        let (page, next) = list(index, size, &query).map_err(CliError::failed)?;
        events.extend(page.into_iter().map(|(i, leaf, _)| (i, leaf)));
        if next.is_none() || events.len() >= wanted {
            return Ok((events, next.map(|n| n.to_string())));
        }
        query.from = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_meant_from_its_first_to_its_last_millisecond_in_vietnam() {
        let day: When = "2016-08-06".parse().unwrap();
        assert_eq!(day.begin().to_string(), "2016-08-06T00:00:00.000+07:00");
        assert_eq!(day.end().to_string(), "2016-08-06T23:59:59.999+07:00");
        let time: When = "2016-08-06T02:00:00Z".parse().unwrap();
        assert_eq!(time.begin(), time.end());
        assert_eq!(time.begin().to_string(), "2016-08-06T09:00:00.000+07:00");
        for wrong in ["", "yesterday", "2016-13-01", "06.08.2016"] {
            assert!(wrong.parse::<When>().unwrap_err().contains("2016-08-06"), "{wrong}");
        }
    }

    #[test]
    fn a_verdict_may_name_its_role() {
        assert_eq!("invalid".parse(), Ok(VerdictOf(None, Verdict::Invalid)));
        assert_eq!("person=absent".parse(), Ok(VerdictOf(Some(Role::Person), Verdict::Absent)));
        assert!("boss=valid".parse::<VerdictOf>().unwrap_err().contains("person or agency"));
        assert!("agency=good".parse::<VerdictOf>().unwrap_err().contains("indeterminate"));
    }
}
