//! Independent pieces of work, spread over threads. What comes out does not depend on how many there are.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::TrainError;

/// The outcomes of pieces 0 to `count` - 1, in their order. After a failure no further piece is begun.
pub(in crate::service) fn map<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T, TrainError> + Sync,
) -> Result<Vec<T>, TrainError> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let take = || {
        let mut mine = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let outcome = work(index);
            if outcome.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            mine.push((index, outcome));
        }
        mine
    };
    let workers = threads.min(count);
    let mut outcomes = if workers <= 1 {
        take()
    } else {
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..workers).map(|_| scope.spawn(take)).collect();
            let joined = handles.into_iter().map(|handle| match handle.join() {
                Ok(outcomes) => outcomes,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.flatten().collect()
        })
    };
    outcomes.sort_unstable_by_key(|(index, _)| *index);
    // The failure that stopped the others comes before what they came to.
    let cause = |outcome: &Result<T, TrainError>| match outcome {
        Ok(_) => 2,
        Err(TrainError::Cancelled) => 1,
        Err(_) => 0,
    };
    if failed.load(Ordering::Relaxed) {
        outcomes.sort_by_key(|(_, outcome)| cause(outcome));
    }
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_stand_in_the_order_of_the_pieces() {
        for threads in [0, 1, 2, 7] {
            let squares = map(20, threads, |index| Ok(index * index)).unwrap();
            assert!(
                squares
                    .iter()
                    .enumerate()
                    .all(|(index, square)| *square == index * index)
            );
        }
        assert!(map(0, 4, |_| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn the_cause_of_a_failure_is_told_rather_than_its_consequences() {
        for threads in [1, 3] {
            let outcome = map(9, threads, |index| match index {
                4 => Err(TrainError::Rows("broken".to_owned())),
                5.. => Err(TrainError::Cancelled),
                _ => Ok(()),
            });
            assert!(matches!(outcome, Err(TrainError::Rows(_))), "{threads} threads");
        }
    }
}
