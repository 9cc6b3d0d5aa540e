//! The ordered end: who ends when, what is waited for, what counts as a failure.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use holdfast_chassis::{Readiness, ServerSettings, Shutdown};
use tonic::Code;

use crate::support::{Echo, get, say, serve, serve_with, watch};

#[tokio::test]
async fn a_request_in_flight_is_drained_and_new_ones_are_refused() {
    let running = serve(Echo::default()).await;
    let waiting = tokio::spawn(say(running.channel(), "wait"));
    running.echo.arrival().await;

    running.shutdown.trigger("test");
    let finishing = tokio::spawn({
        let shutdown = running.shutdown.clone();
        async move { shutdown.finish().await }
    });
    // The listener closes as soon as its task sees the signal: a connection may slip in before that.
    let status = loop {
        if let Err(status) = say(running.channel(), "too late").await {
            break status;
        }
    };
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let ready = get(running.admin, "/readyz", &[]).await;
    assert_eq!(
        (ready.status, &ready.json()["stopping"]),
        (503, &serde_json::json!(true))
    );

    running.echo.release.notify_waiters();
    assert_eq!(waiting.await.unwrap().unwrap().text, "released");
    let outcome = finishing.await.unwrap();
    assert!(outcome.in_time);
    assert_eq!(outcome.failure, None);
    assert!(tokio::net::TcpStream::connect(running.admin).await.is_err());
}

#[tokio::test]
async fn a_stream_that_nobody_ends_is_cut_when_the_grace_is_over() {
    let settings = ServerSettings {
        shutdown_grace_ms: 0,
        ..ServerSettings::on_free_ports()
    };
    let running = serve_with(Echo::default(), &settings, Readiness::new()).await;
    running.shutdown.set_grace(Duration::from_millis(20));
    let mut stream = watch(running.channel(), "news").await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().text, "news");
    running.shutdown.trigger("test");
    let outcome = running.shutdown.finish().await;
    assert!(!outcome.in_time);
    let status = stream.next().await.unwrap().unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "the server is shutting down")
    );
}

#[tokio::test]
async fn phases_come_in_order() {
    let shutdown = Shutdown::new("test");
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |event: &'static str| {
        let order = order.clone();
        move || order.lock().unwrap().push(event)
    };
    let (intake, flushed, ended) = (note("intake stopped"), note("flushed"), note("task ended"));
    let stopping = shutdown.stopping();
    shutdown.on_flush("files", || async move { flushed() });
    shutdown.spawn("intake", async move {
        stopping.await;
        intake();
    });
    let ending = shutdown.ending();
    shutdown.spawn("writer", async move {
        ending.await;
        ended();
    });
    shutdown.trigger("test");
    let outcome = shutdown.finish().await;
    assert!(outcome.in_time);
    assert_eq!(shutdown.finish().await, outcome);
    assert_eq!(*order.lock().unwrap(), ["intake stopped", "task ended", "flushed"]);
}

#[tokio::test]
async fn a_critical_task_that_dies_ends_the_service() {
    for (name, expected) in [
        ("fails", "critical task fails failed: no disk"),
        ("ends", "critical task ends ended"),
        ("panics", "critical task panics panicked"),
    ] {
        let shutdown = Shutdown::new("test");
        shutdown.spawn_critical(name, async move {
            match name {
                "fails" => Err("no disk"),
                "ends" => Ok(()),
                _ => panic!("as asked"),
            }
        });
        assert_eq!(shutdown.finish().await.failure.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn a_background_task_that_panics_does_not_end_the_service() {
    let shutdown = Shutdown::new("test");
    shutdown.spawn("clumsy", async { panic!("as asked") });
    let work = shutdown.spawn_blocking("work", || 7);
    assert_eq!(work.await.unwrap(), 7);
    assert!(!shutdown.is_stopping());
    shutdown.trigger("test");
    assert_eq!(shutdown.finish().await.failure, None);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_end_is_left_behind_at_the_deadline() {
    let shutdown = Shutdown::new("test");
    shutdown.spawn("stubborn", futures::future::pending());
    shutdown.on_flush("endless", futures::future::pending);
    assert!(format!("{shutdown:?}").contains("stubborn"));
    shutdown.trigger("test");
    let outcome = shutdown.finish().await;
    assert!(!outcome.in_time);
    assert_eq!(outcome.failure, None);
}

#[tokio::test]
async fn a_child_ends_alone_with_its_parent_and_fails_it() {
    let parent = Shutdown::new("process");
    let (one, two) = (parent.child("one"), parent.child("two"));
    one.trigger("restart");
    assert_eq!(one.finish().await.failure, None);
    assert!(!parent.is_stopping());
    two.fail("disk full");
    assert_eq!(parent.finish().await.failure.as_deref(), Some("two: disk full"));
    assert!(two.finish().await.failure.is_some());

    let parent = Shutdown::new("process");
    let child = parent.child("child");
    parent.trigger("test");
    parent.finish().await;
    assert!(child.is_stopping());
}

#[tokio::test]
async fn a_subscription_says_goodbye_when_the_shutdown_starts() {
    let shutdown = Shutdown::new("test");
    let endless = futures::stream::iter([1]).chain(futures::stream::pending());
    let mut stream = Box::pin(shutdown.end_with(endless, 0));
    assert_eq!(stream.next().await, Some(1));
    shutdown.trigger("test");
    assert_eq!(stream.next().await, Some(0));
    assert_eq!(stream.next().await, None);

    let other = Shutdown::new("test");
    let ended: Vec<i32> = other.end_with(futures::stream::iter([1, 2]), 0).collect().await;
    assert_eq!(ended, [1, 2]);
}
