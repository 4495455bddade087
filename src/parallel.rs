//! Work on many items, on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that the machine can run at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Gives each of these to `work`, on so many threads, the caller's among them; what comes of them is in their order.
pub(crate) fn each<T: Sync, R: Send>(threads: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return done };
            done.push((number, work(item)));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(share)).collect();
        let mut all = share();
        for other in others {
            // A thread that panics takes this one along.
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, done)| done).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_comes_of_items_is_in_their_order_on_any_number_of_threads() {
        let items: Vec<u64> = (0..500).collect();
        let twice: Vec<u64> = items.iter().map(|n| n * 2).collect();
        for threads in [0, 1, 2, 7, 600] {
            assert_eq!(super::each(threads, &items, |n| n * 2), twice, "{threads}");
        }
        assert_eq!(super::each(3, &[], |n: &u64| *n), [0; 0]);
    }
}
