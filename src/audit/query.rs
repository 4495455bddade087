//! A query as it is asked: every filter checked, and named where it is wrong.

use unicode_normalization::UnicodeNormalization as _;

use super::Query;
use crate::domain::administration::{RefusalCause, SELF_CHECK};
use crate::domain::event::EventKind;
use crate::domain::ids::{self, AgencyId, DeliveryId};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};
use crate::wire::{pb, words};

impl Query {
    /// From a request; who looks agencies up says which they are, and where pages begin and end is the caller's.
    pub fn read(
        r: &pb::ListEventsRequest,
        agency: Option<AgencyId>,
        counterpart: Option<AgencyId>,
    ) -> Result<Query, Rejection> {
        let (since, until) = (words::read_time(r.since), words::read_time(r.until));
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            let what = format!("{since} is after `until`, {until}: nothing can match");
            return Err(Rejection::new(Reason::InvalidDate, "since", what));
        }
        if r.number.is_empty() && (!r.notation.is_empty() || r.year != 0) {
            let what = "notation and year say which document of a number is meant: give its number as well";
            return Err(Rejection::new(Reason::MissingField, "number", what));
        }
        Ok(Query {
            from: None,
            backwards: r.backwards,
            limit: 0,
            agency,
            counterpart,
            delivery: if r.delivery_id.is_empty() {
                None
            } else {
                Some(DeliveryId::from_slice(&r.delivery_id)?)
            },
            kind: kind(&r.kind)?,
            since,
            until,
            number: text("number", &r.number, limits::NUMBER_CHARS)?.map(|t| t.nfc().collect()),
            notation: text("notation", &r.notation, limits::NOTATION_CHARS)?.map(|t| t.nfc().collect()),
            year: (r.year != 0).then_some(r.year),
            client: text("client", &r.client, limits::CLIENT_NAME_CHARS)?,
            user: text("user", &r.user, limits::USER_CHARS)?,
            verdict: verdict(r)?,
            reason: reason(&r.reason)?,
        })
    }

    /// What is asked for, in words: for the event that says what was taken away. At most 1,000 characters.
    pub fn words(r: &pb::ListEventsRequest) -> String {
        let time = |ms: i64| words::read_time(ms).map_or_else(String::new, |t| t.to_string());
        let year = if r.year == 0 { String::new() } else { r.year.to_string() };
        let verdict = words::read_verdict(r.verdict).map_or("", |v| v.as_str());
        let role = words::read_signature_role(r.verdict_role).map_or("", |v| v.as_str());
        let filters = [
            ("agency", r.agency.as_str()),
            ("counterpart", &r.counterpart),
            ("kind", &r.kind),
            ("since", &time(r.since)),
            ("until", &time(r.until)),
            ("delivery", &hex::encode(&r.delivery_id)),
            ("number", &r.number),
            ("notation", &r.notation),
            ("year", &year),
            ("client", &r.client),
            ("user", &r.user),
            ("verdict", verdict),
            ("role", role),
            ("reason", &r.reason),
        ];
        let given = filters.iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }
}

fn text(field: &'static str, text: &str, max: usize) -> Result<Option<String>, Rejection> {
    ids::optional_text(field, text, max)?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn kind(kind: &str) -> Result<Option<String>, Rejection> {
    if kind.is_empty() {
        return Ok(None);
    }
    let unknown = |what| Rejection::new(Reason::InvalidText, "kind", what);
    known_kind(kind).map_err(unknown).map(Some)
}

/// The name of a kind of event; the error names all of them.
pub fn known_kind(kind: &str) -> Result<String, String> {
    if EventKind::NAMES.contains(&kind) {
        return Ok(kind.to_owned());
    }
    Err(format!("`{}` is no kind of event: {}", ids::shorten(kind), EventKind::NAMES.join(", ")))
}

fn reason(code: &str) -> Result<Option<String>, Rejection> {
    if code.is_empty() {
        return Ok(None);
    }
    let unknown = |what| Rejection::new(Reason::InvalidText, "reason", what);
    known_reason(code).map_err(unknown).map(Some)
}

/// A reason that an event may give: of a refusal, a signature, a connection that was turned away, or an alarm; the error
/// names all of them.
pub fn known_reason(code: &str) -> Result<String, String> {
    let plain = Reason::PLAIN.iter().map(|reason| reason.code());
    let of_signatures = crate::signature::Reason::ALL.iter().map(|reason| reason.as_str());
    let of_connections = RefusalCause::ALL.iter().map(|cause| cause.as_str());
    let mut known: Vec<&str> = plain.chain(of_signatures).chain(of_connections).chain([SELF_CHECK]).collect();
    if known.contains(&code) {
        return Ok(code.to_owned());
    }
    known.sort_unstable();
    known.dedup();
    Err(format!("`{}` is no reason that an event gives: {}", ids::shorten(code), known.join(", ")))
}

type OfVerdict = (Option<crate::signature::Role>, crate::signature::Verdict);

fn verdict(r: &pb::ListEventsRequest) -> Result<Option<OfVerdict>, Rejection> {
    let role = match r.verdict_role {
        0 => None,
        role => Some(words::read_signature_role(role).ok_or_else(|| words::unknown("verdict_role", role))?),
    };
    match r.verdict {
        0 if role.is_some() => {
            Err(Rejection::new(Reason::MissingField, "verdict", "say which verdict on the role is meant"))
        }
        0 => Ok(None),
        verdict => {
            let verdict = words::read_verdict(verdict).ok_or_else(|| words::unknown("verdict", verdict))?;
            Ok(Some((role, verdict)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Request = pb::ListEventsRequest;

    #[test]
    fn a_wrong_filter_is_named_with_what_is_allowed() {
        let wrong: [(Request, &str, &str); 11] = [
            (Request { kind: "sent".into(), ..Request::default() }, "kind", "submitted, received"),
            (Request { since: 2, until: 1, ..Request::default() }, "since", "after"),
            (Request { delivery_id: vec![1; 31].into(), ..Request::default() }, "delivery_id", "32"),
            (Request { number: "1".repeat(12), ..Request::default() }, "number", "11"),
            (Request { notation: "CV".into(), ..Request::default() }, "number", "as well"),
            (Request { year: 2016, ..Request::default() }, "number", "as well"),
            (Request { client: "c".repeat(64), ..Request::default() }, "client", "63"),
            (Request { user: "u".repeat(101), ..Request::default() }, "user", "100"),
            (Request { verdict: 77, ..Request::default() }, "verdict", "77"),
            (Request { verdict_role: 1, ..Request::default() }, "verdict", "which verdict"),
            (Request { reason: "foo".into(), ..Request::default() }, "reason", "`foo` is no reason"),
        ];
        for (request, field, said) in wrong {
            let error = Query::read(&request, None, None).unwrap_err();
            assert_eq!(error.field, field, "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn every_reason_that_has_a_page_may_be_asked_for_and_those_of_alarms_and_connections() {
        for code in ["bad_proof", "certificate_revoked", "self_check", "too_many_handshakes", "log_forked"] {
            let request = Request { reason: code.into(), ..Request::default() };
            assert_eq!(Query::read(&request, None, None).unwrap().reason.as_deref(), Some(code));
        }
        let said = known_reason("foo").unwrap_err();
        for code in ["bad_proof", "weak_algorithm", "self_check", "unknown_caller"] {
            assert_eq!(said.matches(code).count(), 1, "{said}");
        }
    }

    #[test]
    fn every_kind_of_event_may_be_asked_for() {
        for name in EventKind::NAMES {
            let request = Request { kind: (*name).to_owned(), ..Request::default() };
            assert_eq!(Query::read(&request, None, None).unwrap().kind.as_deref(), Some(*name));
        }
    }

    #[test]
    fn the_longest_filter_in_words_stays_below_the_limit() {
        let request = Request {
            agency: "a".repeat(35),
            counterpart: "b".repeat(35),
            kind: "connections_refused".into(),
            since: 1,
            until: 2,
            delivery_id: vec![1; 32].into(),
            number: "1".repeat(11),
            notation: "x".repeat(30),
            year: 2016,
            client: "c".repeat(63),
            user: "u".repeat(100),
            verdict: 3,
            verdict_role: 1,
            reason: "r".repeat(100),
            ..Request::default()
        };
        let words = Query::words(&request);
        assert!(words.len() < limits::FILTER_CHARS && words.contains("verdict=indeterminate"), "{words}");
        assert_eq!(Query::words(&Request::default()), "");
    }
}
