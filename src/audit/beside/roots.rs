//! The roots that a log must have at some sizes, because others saw them there.

use super::super::{Findings, Place};
use super::Later;
use crate::merkle::Hash;

/// Sizes and roots, in the order of the sizes, and how far the log was gone through.
#[derive(Debug, Default)]
pub(in crate::audit) struct Roots {
    wanted: Vec<Wanted>,
    /// Names of the files that say them.
    files: Vec<String>,
    next: usize,
    /// The largest size whose root is as others saw it.
    agreed: u64,
}

/// One of them: 48 bytes.
#[derive(Debug)]
pub(super) struct Wanted {
    size: u64,
    root: Hash,
    place: Place,
    file: u32,
}

impl Roots {
    /// What a file says. Of several that say the same of a size, the first is named.
    pub fn add(&mut self, place: Place, file: &str, checkpoints: Vec<(u64, Hash)>) {
        if checkpoints.is_empty() {
            return;
        }
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(file.to_owned());
        let wanted = |(size, root)| Wanted { size, root, place, file: number };
        self.wanted.extend(checkpoints.into_iter().map(wanted));
    }

    /// Before the log is gone through.
    pub fn sort(&mut self) {
        self.wanted.sort_by_key(|w| (w.size, w.root, w.place, w.file));
        self.wanted.dedup_by_key(|w| (w.size, w.root, w.place));
    }

    /// Whether one is of this size or a smaller one, and was not compared yet.
    pub fn due(&self, size: u64) -> bool {
        self.wanted.get(self.next).is_some_and(|w| w.size <= size)
    }

    /// The log has this root at this size; none: nobody can say which.
    pub fn compare(&mut self, size: u64, root: Option<Hash>, findings: &mut Findings) {
        while let Some(wanted) = self.wanted.get(self.next).filter(|w| w.size <= size) {
            self.next += 1;
            match root.filter(|_| wanted.size == size) {
                Some(root) if wanted.root == root => self.agreed = size,
                Some(root) => findings.add(wanted.place, size.checked_sub(1), self.differs(wanted, &root)),
                None => {}
            }
        }
    }

    fn differs(&self, wanted: &Wanted, root: &Hash) -> String {
        let Wanted { size, root: theirs, place, .. } = wanted;
        let how = vouched(*place);
        format!(
            "{}: the checkpoint of {size} events that {how} has root {theirs}, and this log has root {root} there: \
             it was rewritten, at an event from {} to {}",
            self.file(wanted),
            self.agreed,
            size.saturating_sub(1)
        )
    }

    fn file(&self, wanted: &Wanted) -> &str {
        self.files.get(wanted.file as usize).map_or("", String::as_str)
    }

    /// What is left is of sizes beyond the log that was gone through.
    pub fn end(&mut self, size: u64, later: &Later<'_>, findings: &mut Findings) {
        for wanted in &self.wanted[self.next.min(self.wanted.len())..] {
            match later(wanted.size) {
                Some(root) if root == wanted.root => {}
                Some(root) => {
                    findings.add(wanted.place, wanted.size.checked_sub(1), self.differs(wanted, &root));
                }
                None => {
                    let how = vouched(wanted.place);
                    let message = format!(
                        "{}: the checkpoint of {} events that {how} has root {}, and this log has {size} events: it is an \
                         old copy, or was cut off",
                        self.file(wanted),
                        wanted.size,
                        wanted.root
                    );
                    findings.add(wanted.place, size, message);
                }
            }
        }
        self.next = self.wanted.len();
    }
}

/// How others stand for a checkpoint whose file is in this place.
fn vouched(place: Place) -> &'static str {
    if place == Place::Timestamp { "was timestamped" } else { "others cosigned" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(of: &[(u64, u8)]) -> Roots {
        let mut roots = Roots::default();
        let checkpoints = of.iter().map(|(size, root)| (*size, Hash([*root; 32]))).collect();
        roots.add(Place::Witness, "witness/own/newest.json", checkpoints);
        roots.sort();
        roots
    }

    #[test]
    fn each_size_is_compared_once_and_what_is_beyond_the_end_at_the_end() {
        let mut roots = roots(&[(9, 9), (3, 3), (5, 4), (3, 3), (12, 12), (14, 1), (20, 20)]);
        let mut findings = Findings::default();
        for size in 1..=10 {
            if roots.due(size) {
                roots.compare(size, Some(Hash([size as u8; 32])), &mut findings);
            }
        }
        let later = |size| (size < 20).then_some(Hash([size as u8; 32]));
        roots.end(10, &later, &mut findings);
        let found: Vec<_> = findings.listed.iter().map(|f| f.index).collect();
        assert_eq!(found, [Some(4), Some(13), Some(10)]);
        let (four, five) = (Hash([4; 32]), Hash([5; 32]));
        assert_eq!(
            findings.listed[0].message,
            format!(
                "witness/own/newest.json: the checkpoint of 5 events that others cosigned has root {four}, and this log \
                 has root {five} there: it was rewritten, at an event from 3 to 4"
            )
        );
        assert!(
            findings.listed[2].message.ends_with("this log has 10 events: it is an old copy, or was cut off")
        );
        let mut again = Findings::default();
        roots.end(10, &later, &mut again);
        assert!(again.listed.is_empty());
    }

    #[test]
    fn a_root_that_nobody_knows_contradicts_nothing() {
        let mut roots = roots(&[(3, 3), (5, 5)]);
        let mut findings = Findings::default();
        assert!(roots.due(3) && !roots.due(2));
        roots.compare(4, Some(Hash([4; 32])), &mut findings);
        roots.compare(5, None, &mut findings);
        assert!(findings.listed.is_empty() && !roots.due(u64::MAX));
    }
}
