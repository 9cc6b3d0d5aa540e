//! Streams whose pauses are limited.

use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};

/// The items, of which each may be waited for so long; then comes `late`, and the end. Time in which nobody asks for the next one does not count.
pub fn limited<S, T, E>(items: S, longest: Duration, late: fn() -> E) -> impl Stream<Item = Result<T, E>> + Send + Unpin
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let items = Some(Box::pin(items));
    Box::pin(stream::unfold(items, move |items| async move {
        let mut items = items?;
        match tokio::time::timeout(longest, items.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(item))) => Some((Ok(item), Some(items))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Err(_) => Some((Err(late()), None)),
        }
    }))
}
