//! The connections of an HTTP server: accepted, limited, ended in order.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connection_threads::ConnectionThreads;
use super::direct::{Lanes, SharedRuntime};
use super::head_timer::HeadTimer;
use super::stall::StallLimited;

/// A request's head: more is answered 431.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Pings find HTTP/2 clients that died without a word.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that one HTTP/2 connection may have open.
const MAX_CONCURRENT_STREAMS: u32 = 256;

/// How long to wait when the system has no more sockets: asking again at once would only keep it busy.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(200);

/// Accepts until `stopping`, hands each connection to one of its own threads if it is to have any, then waits for the requests under way. Dropping
/// it drops the connections.
pub(super) async fn serve(
    listener: TcpListener,
    mut lanes: Lanes,
    own_threads: Option<fn(&str) -> bool>,
    idle_timeout: Duration,
    stopping: impl Future<Output = ()>,
) -> io::Result<()> {
    let builder = builder(idle_timeout);
    let threads = match own_threads {
        Some(_) => ConnectionThreads::start()?,
        None => ConnectionThreads::none(),
    };
    lanes.shared = own_threads.filter(|_| !threads.is_empty()).map(|quick| SharedRuntime {
        runtime: Handle::current(),
        quick,
    });
    let ending = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut stopping = pin!(stopping);
    loop {
        tokio::select! {
            () = &mut stopping => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (builder, lanes, ending) = (builder.clone(), lanes.clone(), ending.clone());
                    match threads.seat() {
                        None => connections.spawn(connection(builder, stream, lanes, idle_timeout, ending)),
                        Some(seat) => {
                            let runtime = seat.runtime.clone();
                            let moved = async move {
                                let _seat = seat;
                                // It belongs to the runtime that accepted it until it is made anew.
                                if let Ok(stream) = stream.into_std().and_then(TcpStream::from_std) {
                                    connection(builder, stream, lanes, idle_timeout, ending).await;
                                }
                            };
                            connections.spawn_on(moved, &runtime)
                        }
                    };
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(OUT_OF_SOCKETS).await;
                }
            },
            // Takes out what has ended.
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    ending.cancel();
    while connections.join_next().await.is_some() {}
    Ok(())
}

fn builder(idle_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // Counts from the end of the answer before, so it must be longer than clients keep idle connections.
        .header_read_timeout(idle_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    builder
}

async fn connection(
    mut builder: Builder<TokioExecutor>,
    stream: TcpStream,
    lanes: Lanes,
    idle_timeout: Duration,
    ending: CancellationToken,
) {
    // Small answers must not wait for more to send; a socket that refuses is slower, not wrong.
    let _ = stream.set_nodelay(true);
    // Which version of HTTP it is shows with the first bytes; until then no other limit holds.
    let mut first = [0];
    let spoken = tokio::select! {
        spoken = tokio::time::timeout(idle_timeout, stream.peek(&mut first)) => matches!(spoken, Ok(Ok(1))),
        () = ending.cancelled() => false,
    };
    if !spoken {
        return;
    }
    let heads = HeadTimer::new(idle_timeout);
    builder.http1().timer(heads.clone());
    let service = TowerToHyperService::new(lanes);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(StallLimited::new(stream, idle_timeout)), service));
    // How a connection ends is its client's business; requests have been answered and counted.
    let _ = tokio::select! {
        ended = connection.as_mut() => ended,
        () = heads.overdue() => return,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
