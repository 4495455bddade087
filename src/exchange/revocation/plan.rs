//! What is asked of whom, and when: data and a time in, the next request out. No network and no clock.
//!
//! A *source* is a list at a URL, or the response of a responder about one certificate. It becomes due
//!
//! - when a certificate is missed that it speaks of, and nothing of it is at hand;
//! - to be renewed: when three quarters of its validity have passed, then after a quarter of what is left, in any case
//!   after a day ([`renewal`]). Lists are renewed for as long as they come; responses for a day after their certificate
//!   was last missed, and only where the certificate names no list;
//! - after a failure: after 1, 2, 4 … 60 minutes. A URL that cannot be reached waits for all its sources; an answer
//!   that is useless makes its own source wait.
//!
//! At most a few requests are under way, and one for each host.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::limits::{
    AT_ONCE, BACKOFF_MAX_MS, BACKOFF_MS, FORGET_MS, REFRESH_MAX_MS, REFRESH_MIN_MS, RESPONSE_INTEREST_MS,
    SOURCES,
};
use crate::exchange::http::Target;
use crate::merkle::sha256;
use crate::signature::{Missed, Span};
use crate::time::Timestamp;

/// What is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    List,
    Response,
}

/// Where something is to be had.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub kind: Kind,
    pub target: Target,
    /// A certificate that it speaks of.
    pub about: Missed,
    /// Whether a response is renewed.
    pub renewed: bool,
}

/// SHA-256 of the URL, for a response with its certificate's: also the name of its file.
pub(super) type Key = [u8; 32];

impl Source {
    /// Its key.
    pub fn key(&self) -> Key {
        let mut name = self.target.url().as_bytes().to_vec();
        if self.kind == Kind::Response {
            name.push(b' ');
            name.extend_from_slice(&self.about.sha256());
        }
        sha256(&name).0
    }

    /// All that a certificate names.
    pub fn of(missed: &Missed) -> Vec<Source> {
        let lists = missed.crl_urls();
        let renewed = lists.is_empty();
        let lists = lists.into_iter().map(|url| (Kind::List, url));
        let responders = missed.ocsp_urls().into_iter().map(|url| (Kind::Response, url));
        let source = |(kind, url): (Kind, String)| {
            let target = Target::parse(&url).ok()?;
            Some(Source { kind, target, about: missed.clone(), renewed })
        };
        lists.chain(responders).filter_map(source).collect()
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It brought this.
    Fetched(Span),
    /// Nothing came from the URL.
    Unreachable,
    /// What came is of no use.
    Useless,
}

#[derive(Debug)]
struct Entry {
    source: Arc<Source>,
    /// When it is asked for next; none: when somebody misses it.
    due: Option<Timestamp>,
    wanted_at: Timestamp,
    failures: u32,
    at_hand: Option<Span>,
    running: bool,
}

impl Entry {
    /// When it may be asked for because somebody misses it: at once, or when what is at hand is to be renewed.
    fn missed(&self, now: Timestamp) -> Timestamp {
        self.at_hand.filter(|span| span.until > now).map_or(now, |span| renewal(span, now))
    }

    /// Whether nobody needs it any more.
    fn is_forgotten(&self, now: Timestamp) -> bool {
        let last = self.at_hand.map_or(self.wanted_at, |span| span.until.max(self.wanted_at));
        let after = match self.source.kind {
            Kind::List => FORGET_MS,
            Kind::Response => RESPONSE_INTEREST_MS,
        };
        !self.running && now.since(last) > after
    }
}

/// All sources.
#[derive(Debug, Default)]
pub(super) struct Plan {
    entries: HashMap<Key, Entry>,
    /// URLs that could not be reached: how often, and until when they are left alone.
    away: HashMap<String, (u32, Timestamp)>,
    hosts: HashSet<String>,
}

impl Plan {
    /// Somebody misses what this source may say. Returns what had to be forgotten for it.
    pub fn want(&mut self, source: Source, now: Timestamp) -> Option<Key> {
        let key = source.key();
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.wanted_at = now;
            entry.due = entry.due.or(Some(entry.missed(now)));
            return None;
        }
        self.add(key, Entry::new(source, now, Some(now), None))
    }

    /// A source of which something is at hand from an earlier run. Returns what had to be forgotten for it.
    pub fn know(&mut self, source: Source, span: Span, now: Timestamp) -> Option<Key> {
        let due = Some(renewal(span, now));
        let due = if source.kind == Kind::List { due } else { None };
        self.add(source.key(), Entry::new(source, now, due, Some(span)))
    }

    fn add(&mut self, key: Key, entry: Entry) -> Option<Key> {
        let full = self.entries.len() >= SOURCES;
        let idle = self.entries.iter().filter(|(_, e)| full && !e.running);
        let oldest = idle.min_by_key(|(_, e)| e.wanted_at).map(|(key, _)| *key);
        if let Some(oldest) = &oldest {
            self.entries.remove(oldest);
        }
        self.entries.insert(key, entry);
        oldest
    }

    /// Takes the next source to ask, if one may be asked now.
    pub fn next(&mut self, now: Timestamp) -> Option<(Key, Arc<Source>)> {
        if self.hosts.len() >= AT_ONCE {
            return None;
        }
        let free = self.entries.iter().filter(|(_, e)| self.start(e).is_some_and(|at| at <= now));
        let key = *free.min_by_key(|(_, e)| e.due)?.0;
        let entry = self.entries.get_mut(&key)?;
        entry.running = true;
        self.hosts.insert(entry.source.target.host().to_owned());
        Some((key, entry.source.clone()))
    }

    /// When an entry can be asked for, by all but the number of requests at once.
    fn start(&self, entry: &Entry) -> Option<Timestamp> {
        let target = &entry.source.target;
        if entry.running || self.hosts.contains(target.host()) {
            return None;
        }
        let away = self.away.get(target.url()).map(|(_, until)| *until);
        entry.due.map(|due| away.map_or(due, |until| due.max(until)))
    }

    /// Milliseconds until something can be asked for, if nothing else happens.
    pub fn wait(&self, now: Timestamp) -> Option<i64> {
        if self.hosts.len() >= AT_ONCE {
            return None;
        }
        self.entries.values().filter_map(|e| self.start(e)).min().map(|at| at.since(now).max(0))
    }

    /// A request ended. Returns how many milliseconds its source waits after a failure.
    pub fn done(&mut self, key: &Key, outcome: Outcome, now: Timestamp) -> Option<i64> {
        let entry = self.entries.get_mut(key)?;
        entry.running = false;
        let target = &entry.source.target;
        self.hosts.remove(target.host());
        if outcome == Outcome::Unreachable {
            let (failures, until) = self.away.entry(target.url().to_owned()).or_insert((0, now));
            *failures += 1;
            *until = now.plus_millis(backoff(*failures));
            return Some(backoff(*failures));
        }
        self.away.remove(target.url());
        if let Outcome::Fetched(span) = outcome {
            entry.at_hand = Some(span);
            if span.until > now {
                entry.failures = 0;
                let interest = now.since(entry.wanted_at) < RESPONSE_INTEREST_MS;
                let renewed = entry.source.kind == Kind::List || (entry.source.renewed && interest);
                entry.due = renewed.then(|| renewal(span, now));
                return None;
            }
        }
        // A list whose time is over says what it says, and a newer one is looked for as after a failure.
        entry.failures += 1;
        entry.due = Some(now.plus_millis(backoff(entry.failures)));
        Some(backoff(entry.failures))
    }

    /// Forgets a source, so that it is asked again when it is missed.
    pub fn forget(&mut self, key: &Key) {
        if self.entries.get(key).is_some_and(|e| !e.running) {
            self.entries.remove(key);
        }
    }

    /// Forgets what nobody needs any more.
    pub fn forget_old(&mut self, now: Timestamp) -> Vec<Key> {
        let old: Vec<Key> =
            self.entries.iter().filter(|(_, e)| e.is_forgotten(now)).map(|(key, _)| *key).collect();
        for key in &old {
            self.entries.remove(key);
        }
        let urls: HashSet<&str> = self.entries.values().map(|e| e.source.target.url()).collect();
        self.away.retain(|url, _| urls.contains(url.as_str()));
        old
    }
}

impl Entry {
    fn new(source: Source, now: Timestamp, due: Option<Timestamp>, at_hand: Option<Span>) -> Entry {
        Entry { source: Arc::new(source), due, wanted_at: now, failures: 0, at_hand, running: false }
    }
}

/// When data is to be asked for again.
fn renewal(span: Span, now: Timestamp) -> Timestamp {
    let validity = span.until.since(span.this_update);
    let three_quarters = span.this_update.plus_millis(validity - validity / 4).since(now);
    let wait = three_quarters.max(span.until.since(now) / 4);
    now.plus_millis(wait.clamp(REFRESH_MIN_MS, REFRESH_MAX_MS))
}

/// The wait after so many failures.
fn backoff(failures: u32) -> i64 {
    (BACKOFF_MS << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::super::tests::missed;
    use super::*;

    const MINUTE: i64 = 60 * 1000;
    const HOUR: i64 = 60 * MINUTE;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_secs(1_470_000_000).plus_millis(ms)
    }

    fn span(from: i64, until: i64) -> Span {
        Span { this_update: at(from), until: at(until) }
    }

    fn list(url: &str) -> Source {
        Source::of(&missed(&[url], &[])).remove(0)
    }

    fn response(url: &str) -> Source {
        Source::of(&missed(&[], &[url])).remove(0)
    }

    #[test]
    fn a_source_is_asked_at_once_and_renewed_at_three_quarters() {
        let mut plan = Plan::default();
        plan.want(list("http://a/x.crl"), at(0));
        let (key, _) = plan.next(at(0)).unwrap();
        assert!(plan.next(at(0)).is_none(), "it is under way");
        assert_eq!(plan.done(&key, Outcome::Fetched(span(0, 4 * HOUR)), at(0)), None);
        plan.want(list("http://a/x.crl"), at(1));
        assert!(plan.next(at(3 * HOUR - 1)).is_none(), "it is at hand");
        assert_eq!(plan.wait(at(0)), Some(3 * HOUR));
        let (key, _) = plan.next(at(3 * HOUR)).unwrap();
        // The authority has no newer one yet: after a quarter of the hour that is left.
        plan.done(&key, Outcome::Fetched(span(0, 4 * HOUR)), at(3 * HOUR));
        assert_eq!(plan.wait(at(3 * HOUR)), Some(15 * MINUTE));
        // A long list is looked at every day.
        let (key, _) = plan.next(at(4 * HOUR)).unwrap();
        plan.done(&key, Outcome::Fetched(span(0, 9000 * HOUR)), at(4 * HOUR));
        assert_eq!(plan.wait(at(4 * HOUR)), Some(24 * HOUR));
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_an_hour() {
        let mut plan = Plan::default();
        plan.want(list("http://a/x.crl"), at(0));
        let mut now = 0;
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (key, _) = plan.next(at(now)).unwrap();
            assert_eq!(plan.done(&key, Outcome::Useless, at(now)), Some(minutes * MINUTE));
            plan.want(list("http://a/x.crl"), at(now));
            assert!(plan.next(at(now + minutes * MINUTE - 1)).is_none(), "missing it changes nothing");
            now += minutes * MINUTE;
        }
        // A list whose time is over is no failure of its own, and is waited for alike.
        let (key, _) = plan.next(at(now)).unwrap();
        assert_eq!(plan.done(&key, Outcome::Fetched(span(-9, now)), at(now)), Some(60 * MINUTE));
        let (key, _) = plan.next(at(now + HOUR)).unwrap();
        assert_eq!(plan.done(&key, Outcome::Fetched(span(now, now + 90 * HOUR)), at(now + HOUR)), None);
    }

    #[test]
    fn a_url_that_is_away_waits_for_all_and_a_useless_answer_for_itself() {
        let mut plan = Plan::default();
        for n in 0..3 {
            plan.want(response("http://a/ocsp"), at(n));
        }
        let (key, _) = plan.next(at(9)).unwrap();
        assert!(plan.next(at(9)).is_none(), "one for each host");
        plan.done(&key, Outcome::Useless, at(9));
        let (key, _) = plan.next(at(9)).unwrap();
        plan.done(&key, Outcome::Unreachable, at(9));
        assert!(plan.next(at(9 + MINUTE - 1)).is_none());
        assert_eq!(plan.wait(at(9)), Some(MINUTE));
        let (key, _) = plan.next(at(9 + MINUTE)).unwrap();
        assert_eq!(plan.done(&key, Outcome::Unreachable, at(9 + MINUTE)), Some(2 * MINUTE));
    }

    #[test]
    fn a_few_are_asked_at_once_and_one_of_each_host() {
        let mut plan = Plan::default();
        for url in ["http://h0/", "http://H0:81/b", "http://h1/", "http://h2/", "http://h3/", "http://h4/"] {
            plan.want(list(url), at(0));
        }
        let under_way: Vec<_> = std::iter::from_fn(|| plan.next(at(0))).collect();
        assert_eq!(under_way.len(), AT_ONCE);
        let hosts: HashSet<_> = under_way.iter().map(|(_, s)| s.target.host().to_owned()).collect();
        assert_eq!(hosts.len(), AT_ONCE);
        assert_eq!(plan.wait(at(0)), None);
        plan.done(&under_way[0].0, Outcome::Unreachable, at(0));
        assert!(plan.next(at(0)).is_some());
    }

    #[test]
    fn responses_are_renewed_for_a_day_and_only_where_there_is_no_list() {
        let mut plan = Plan::default();
        plan.want(response("http://a/"), at(0));
        let (key, _) = plan.next(at(0)).unwrap();
        plan.done(&key, Outcome::Fetched(span(0, 20 * HOUR)), at(0));
        let (key, _) = plan.next(at(15 * HOUR)).unwrap();
        plan.done(&key, Outcome::Fetched(span(15 * HOUR, 35 * HOUR)), at(15 * HOUR));
        let (key, source) = plan.next(at(30 * HOUR)).unwrap();
        plan.done(&key, Outcome::Fetched(span(30 * HOUR, 50 * HOUR)), at(30 * HOUR));
        assert_eq!(plan.wait(at(30 * HOUR)), None);
        assert!(plan.forget_old(at(50 * HOUR)).is_empty(), "it still speaks");
        // Missed again when its time is over, it is asked again.
        plan.want(source.as_ref().clone(), at(51 * HOUR));
        assert!(plan.next(at(51 * HOUR)).is_some());

        let mut plan = Plan::default();
        for source in Source::of(&missed(&["http://a/"], &["http://b/"])) {
            plan.want(source, at(0));
        }
        while let Some((key, _)) = plan.next(at(0)) {
            plan.done(&key, Outcome::Fetched(span(0, HOUR)), at(0));
        }
        let (_, source) = plan.next(at(HOUR)).unwrap();
        assert_eq!(source.kind, Kind::List);
        assert!(plan.next(at(HOUR)).is_none());
        assert_eq!(plan.forget_old(at(26 * HOUR)).len(), 1, "the response");
    }

    #[test]
    fn of_too_many_sources_the_one_that_was_not_wanted_for_longest_goes() {
        let mut plan = Plan::default();
        let about = missed(&["http://a/"], &[]);
        let source = |n: usize| {
            let target = Target::parse(&format!("http://h/{n}")).unwrap();
            Source { kind: Kind::List, target, about: about.clone(), renewed: false }
        };
        for n in 0..SOURCES {
            assert_eq!(plan.want(source(n), at(n as i64)), None);
        }
        plan.want(source(0), at(SOURCES as i64));
        assert_eq!(plan.want(source(SOURCES), at(SOURCES as i64)), Some(source(1).key()));
        assert_eq!(plan.forget_old(at(SOURCES as i64 + FORGET_MS + 1)).len(), SOURCES);
        assert_eq!(plan.wait(at(0)), None);
    }
}
