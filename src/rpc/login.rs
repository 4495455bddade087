//! Links that sign a person in to the pages: `lienthong web-login` gets one; it works once, for five minutes.
//!
//! A link stands for one client of the configuration, and for the person that it was made for; who follows it can do what
//! that client may, no more. It is 32 random bytes, kept only as their SHA-256 and in memory only.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::merkle::sha256;
use crate::time::Timestamp;

/// How long a link works, in milliseconds: long enough to copy it.
const LINK_MS: i64 = 5 * 60 * 1000;
/// Links that were not followed yet, of all clients; the oldest goes.
const LINKS: usize = 256;
/// For whom a link or session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct For {
    /// Name of the client, as configured.
    pub client: String,
    /// The person, as the client calls them; may be empty.
    pub user: String,
}

/// What is kept of a secret.
pub(crate) type Key = [u8; 32];

/// The SHA-256 of a secret.
pub(crate) fn key(token: &str) -> Key {
    *sha256(token.as_bytes()).as_bytes()
}

/// A secret that nobody can guess. `None` where the system has no randomness.
pub(crate) fn token() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Takes the entry with the smallest value of `age` out, when there are too many.
pub(crate) fn make_room<K: Copy + Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    most: usize,
    age: impl Fn(&V) -> i64,
) {
    if map.len() >= most
        && let Some(oldest) = map.iter().min_by_key(|(_, v)| age(v)).map(|(k, _)| *k)
    {
        map.remove(&oldest);
    }
}

/// Locks; nobody panics while holding one of these.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Links that were not followed yet.
#[derive(Debug, Default)]
pub struct Logins {
    links: Mutex<HashMap<Key, (For, Timestamp)>>,
}

impl Logins {
    /// Makes a link's secret, and says until when it works. `None` where the system has no randomness.
    pub fn make(&self, whose: For, now: Timestamp) -> Option<(String, Timestamp)> {
        let (token, until) = (token()?, now.plus_millis(LINK_MS));
        let mut links = lock(&self.links);
        links.retain(|_, (_, until)| *until > now);
        make_room(&mut links, LINKS, |(_, until)| until.millis());
        links.insert(key(&token), (whose, until));
        Some((token, until))
    }

    /// For whom a link is; it goes on working.
    pub(crate) fn look(&self, token: &str, now: Timestamp) -> Option<For> {
        let links = lock(&self.links);
        links.get(&key(token)).filter(|(_, until)| *until > now).map(|(whose, _)| whose.clone())
    }

    /// The same, and the link is used up.
    pub(crate) fn take(&self, token: &str, now: Timestamp) -> Option<For> {
        lock(&self.links).remove(&key(token)).filter(|(_, until)| *until > now).map(|(whose, _)| whose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(client: &str) -> For {
        For { client: client.into(), user: String::new() }
    }

    #[test]
    fn a_link_works_once_and_for_five_minutes() {
        let logins = Logins::default();
        let now = Timestamp::from_millis(1_000_000);
        let (link, until) = logins.make(whose("a"), now).unwrap();
        assert_eq!(until, now.plus_millis(LINK_MS));
        assert_eq!(logins.look("x", now), None);
        assert_eq!(logins.look(&link, now), Some(whose("a")));
        assert_eq!(logins.take(&link, now), Some(whose("a")));
        assert_eq!((logins.look(&link, now), logins.take(&link, now)), (None, None));
        let (late, until) = logins.make(whose("a"), now).unwrap();
        assert_eq!((logins.look(&late, until), logins.take(&late, until)), (None, None));
    }

    #[test]
    fn links_are_bounded_and_the_oldest_goes() {
        let logins = Logins::default();
        let at = |n: usize| Timestamp::from_millis(n as i64);
        let links: Vec<String> = (0..=LINKS).map(|n| logins.make(whose("a"), at(n)).unwrap().0).collect();
        assert_eq!(logins.look(&links[0], at(LINKS)), None);
        assert!(logins.look(&links[1], at(LINKS)).is_some());
    }
}
