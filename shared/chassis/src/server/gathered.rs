//! Answers that are ready together are written together.
//!
//! A task that sends an answer wakes its connection, and Tokio runs what was woken last first (the LIFO slot of a worker): of twenty answers each would be
//! written as soon as it is there, by a system call of its own, which costs more than scoring a customer. So a connection that has something to write
//! lets the tasks that are ready go first, once. With nothing else to do that is no wait.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// A stream that lets other tasks go first before it writes what was put together for a flush.
#[derive(Debug)]
pub(super) struct Gathered<S> {
    stream: S,
    /// Whether they had their turn since the last flush.
    others_went: bool,
}

impl<S> Gathered<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self {
            stream,
            others_went: false,
        }
    }

    fn after_the_others(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.others_went {
            return Poll::Ready(());
        }
        self.others_went = true;
        // A task that wakes itself goes to the end of the queue, and being awake it is not woken before its turn by those in front of it.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.after_the_others(cx));
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.after_the_others(cx));
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.others_went = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: Connected> Connected for Gathered<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Counts the writes that come to a stream.
    struct Counted<S>(S, usize);

    impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.1 += 1;
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    #[tokio::test]
    async fn what_other_tasks_do_meanwhile_comes_before_the_write() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut gathered = Gathered::new(Counted(near, 0));
        // Ready, and behind this task in the queue.
        let other = tokio::spawn(async {});
        assert!(!other.is_finished());
        gathered.write_all(b"one").await.unwrap();
        assert!(other.is_finished());
        // What belongs to the same flush waits no more.
        let another = tokio::spawn(async {});
        gathered.write_all(b"two").await.unwrap();
        assert!(!another.is_finished());
        gathered.flush().await.unwrap();
        gathered.write_all(b"three").await.unwrap();
        assert!(another.is_finished());
        assert_eq!(gathered.stream.1, 3);
        let mut read = [0; 11];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"onetwothree");
    }
}
