//! Health, metrics, and the blob store away.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use holdfast_chassis::health_command;
use holdfast_domain::Feature;

use crate::support::{Sandbox, unseen};

fn metrics(admin: SocketAddr) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

async fn scrape(sandbox: &Sandbox) -> String {
    let admin = sandbox.running.admin;
    tokio::task::spawn_blocking(move || metrics(admin)).await.unwrap()
}

#[tokio::test]
async fn it_is_ready_without_a_model() {
    let sandbox = Sandbox::start(|_| {}).await;
    let admin = sandbox.running.admin;
    let health = tokio::task::spawn_blocking(move || health_command::check(admin, Duration::from_secs(10)));
    health.await.unwrap().unwrap();
    sandbox.end().await;
}

#[tokio::test]
async fn every_series_exists_from_the_start_and_a_check_moves_them() {
    let mut sandbox = Sandbox::with_champion().await;
    let before = scrape(&sandbox).await;
    for series in [
        "holdfast_monitoring_drift_checks_total{verdict=\"Refused\"} 0",
        "holdfast_monitoring_retraining_requests_total{outcome=\"TooFewOutcomes\"} 0",
        "holdfast_monitoring_outcomes_recorded_total 0",
        "holdfast_monitoring_drift_share 0",
        "holdfast_monitoring_last_check_timestamp_seconds 0",
        "holdfast_monitoring_window_rows 0",
        "holdfast_monitoring_feature_drift_statistic{feature=\"score\"} 0",
    ] {
        assert!(before.contains(series), "{series} is not in {before}");
    }
    for feature in Feature::ALL {
        assert!(before.contains(&format!("{{feature=\"{feature}\"}}")), "{feature}");
    }
    sandbox.predict(&unseen(0, 150)).await;
    sandbox.check().await.unwrap();
    sandbox.reveal(&unseen(0, 3), "three").await.unwrap();
    let after = scrape(&sandbox).await;
    for series in [
        "holdfast_monitoring_drift_checks_total{verdict=\"Stable\"} 1",
        "holdfast_monitoring_outcomes_recorded_total 3",
        "holdfast_monitoring_window_rows 150",
        "holdfast_monitoring_drift_check_duration_seconds_count 1",
    ] {
        assert!(after.contains(series), "{series} is not in {after}");
    }
    sandbox.end().await;
}
