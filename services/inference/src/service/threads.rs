//! Threads for work that takes long: large batches, and segments of the prediction log that become Parquet. They run at a lower priority than those
//! that answer single requests.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{getpriority_process, setpriority_process};
use tokio::sync::oneshot;

/// How urgent work is beside single requests, as what is added to the nice value of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for it: on a core that is busy it gets a quarter.
    Waited = 5,
    /// Nobody does: a thirtieth.
    Idle = 15,
}

/// The nice value of the least urgent threads there are.
const LOWEST: i32 = 19;

type Work = Box<dyn FnOnce() + Send>;

/// The threads. They end when this is dropped and the work that waits is done.
#[derive(Debug)]
pub struct Threads(Sender<Work>);

impl Threads {
    /// Starts so many.
    ///
    /// # Errors
    /// The system has none left.
    pub fn start(name: &str, count: usize, urgency: Urgency) -> io::Result<Self> {
        let (sender, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..count {
            let waiting = Arc::clone(&waiting);
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(move || work(&waiting, urgency))?;
        }
        Ok(Self(sender))
    }

    /// Has work done, whether its answer is waited for or not; the answer is an error when the work panics.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        let work = move || {
            // Whoever asked may have gone away.
            let _ = reply.send(work());
        };
        // Without threads nobody answers, and that is what the answer says.
        let _ = self.0.send(Box::new(work));
        answer
    }
}

fn work(waiting: &Mutex<Receiver<Work>>, urgency: Urgency) {
    // Where the system does not allow it, the threads are as good as any other.
    let _ = getpriority_process(None).and_then(|own| setpriority_process(None, lowered(own, urgency)));
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // The panic hook has logged it; what the work held is dropped, and its answer with it.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}

fn lowered(own: i32, urgency: Urgency) -> i32 {
    (own + urgency as i32).min(LOWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_one_who_asked_and_ends_no_thread() {
        let threads = Threads::start("test", 1, Urgency::Waited).unwrap();
        assert!(
            threads
                .run(|| -> u8 { std::panic::resume_unwind(Box::new("lost")) })
                .await
                .is_err()
        );
        assert_eq!(threads.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn threads_are_as_urgent_as_they_were_told_to_be() {
        let own = getpriority_process(None).unwrap();
        for urgency in [Urgency::Waited, Urgency::Idle] {
            let threads = Threads::start("test", 1, urgency).unwrap();
            let theirs = threads.run(|| getpriority_process(None).unwrap()).await;
            assert_eq!(theirs, Ok(lowered(own, urgency)));
        }
        assert_eq!(getpriority_process(None).unwrap(), own, "nobody else's");
    }
}
