//! Sessions: a link that was followed ([`crate::rpc::login`]) becomes a cookie that only this site's own pages send. Kept
//! by the SHA-256 of its secret, in memory: a restart signs everybody out.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::rpc::login::{For, Key, key, lock, make_room, token};
use crate::time::Timestamp;

/// How long a session lasts, and how long without being used: a working day, and a lunch break.
const SESSION_MS: i64 = 10 * 3_600_000;
const IDLE_MS: i64 = 90 * 60 * 1000;
/// Sessions at once; the one that was used longest ago goes.
const SESSIONS: usize = 4_096;

#[derive(Debug)]
struct Session {
    whose: For,
    ends: Timestamp,
    used: Timestamp,
}

/// Sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: Mutex<HashMap<Key, Session>>,
}

impl Sessions {
    /// Begins one: the secret of its cookie.
    pub fn begin(&self, whose: For, now: Timestamp) -> Option<String> {
        let token = token()?;
        let mut all = lock(&self.all);
        all.retain(|_, s| s.is_open(now));
        make_room(&mut all, SESSIONS, |s| s.used.millis());
        all.insert(key(&token), Session { whose, ends: now.plus_millis(SESSION_MS), used: now });
        Some(token)
    }

    /// Whose it is, if it is still open.
    pub fn find(&self, token: &str, now: Timestamp) -> Option<For> {
        let mut all = lock(&self.all);
        let session = all.get_mut(&key(token)).filter(|s| s.is_open(now))?;
        session.used = session.used.max(now);
        Some(session.whose.clone())
    }

    /// Ends one.
    pub fn end(&self, token: &str) {
        lock(&self.all).remove(&key(token));
    }
}

impl Session {
    fn is_open(&self, now: Timestamp) -> bool {
        now < self.ends && now.since(self.used) < IDLE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(client: &str) -> For {
        For { client: client.into(), user: String::new() }
    }

    #[test]
    fn sessions_are_bounded_and_the_one_not_used_for_longest_goes() {
        let sessions = Sessions::default();
        let at = |n: usize| Timestamp::from_millis(n as i64);
        let open: Vec<String> = (0..=SESSIONS).map(|n| sessions.begin(whose("a"), at(n)).unwrap()).collect();
        assert_eq!(sessions.find(&open[0], at(SESSIONS)), None);
        assert!(sessions.find(&open[1], at(SESSIONS)).is_some());
    }

    #[test]
    fn a_session_ends_by_itself_when_it_is_not_used_and_when_it_is_ended() {
        let sessions = Sessions::default();
        let start = Timestamp::from_millis(0);
        let session = sessions.begin(whose("a"), start).unwrap();
        let mut now = start;
        while now < start.plus_millis(SESSION_MS) {
            assert_eq!(sessions.find(&session, now), Some(whose("a")));
            now = now.plus_millis(IDLE_MS - 1);
        }
        assert_eq!(sessions.find(&session, start.plus_millis(SESSION_MS)), None);
        let idle = sessions.begin(whose("a"), start).unwrap();
        assert_eq!(sessions.find(&idle, start.plus_millis(IDLE_MS)), None);
        let ended = sessions.begin(whose("a"), start).unwrap();
        sessions.end(&ended);
        assert_eq!(sessions.find(&ended, start), None);
    }
}
