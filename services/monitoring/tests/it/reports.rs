//! Stored reports.

use std::time::Duration;

use holdfast_chassis::Code;
use holdfast_records::layout::Location;
use holdfast_storage::list_all;

use crate::support::{Sandbox, churn, unseen};

#[tokio::test]
async fn reports_are_kept_and_listed_newest_first_over_days() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 150)).await;
    assert!(sandbox.list(0).await.unwrap().is_empty());
    let mut made = Vec::new();
    // Minutes, a day, weeks and months apart.
    for days in [0, 0, 1, 1, 20, 90] {
        sandbox.clock.advance(Duration::from_secs(days * 86_400 + 60));
        made.push(sandbox.check().await.unwrap());
    }
    made.reverse();
    assert_eq!(sandbox.list(0).await.unwrap(), made);
    assert_eq!(sandbox.list(2).await.unwrap(), made[..2]);
    assert_eq!(sandbox.list(5).await.unwrap(), made[..5]);
    for report in &made {
        assert_eq!(sandbox.get(&report.report_id).await.unwrap(), *report);
    }
    let too_many = sandbox.list(1_001).await.unwrap_err();
    assert_eq!(
        (too_many.code, too_many.violations[0].field.as_str()),
        (Code::InvalidArgument, "page_size")
    );
    sandbox.end().await;
}

#[tokio::test]
async fn a_report_lies_where_the_layout_says() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 150)).await;
    let report = sandbox.check().await.unwrap();
    let stored = list_all(&*sandbox.blobs, "reports").await.unwrap();
    assert_eq!(stored.len(), 1);
    let Some(Location::Report(model, day, id, _)) = Location::parse(&stored[0].key) else {
        panic!("{} is not a report", stored[0].key)
    };
    assert_eq!((model, day.to_string().as_str()), (churn(), "2026-11-23"));
    assert_eq!(id.as_str(), report.report_id);
    sandbox.end().await;
}

#[tokio::test]
async fn a_report_is_found_whatever_model_it_is_about() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 150)).await;
    let report = sandbox.check().await.unwrap();
    // Names that sort around "churn" and its slash.
    for model in ["a", "churn-2", "churn2", "churn_2", "z"] {
        let key = format!("reports/{model}/2026-11-23/other.json");
        let key = holdfast_storage::Key::parse(key).unwrap();
        assert_eq!(
            sandbox.blobs.create(&key, "{}".into()).await.unwrap(),
            holdfast_storage::Created::Yes
        );
    }
    assert_eq!(sandbox.get(&report.report_id).await.unwrap(), report);
    for unknown in [
        "",
        "0198a000-0000-7000-8000-000000000000",
        "../../champion",
        &"x".repeat(5_000),
    ] {
        let missing = sandbox.get(unknown).await.unwrap_err();
        assert_eq!((missing.code, &*missing.reason), (Code::NotFound, "NO_SUCH_REPORT"));
    }
    sandbox.end().await;
}

#[tokio::test]
async fn a_damaged_report_does_not_hide_the_others() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 150)).await;
    let first = sandbox.check().await.unwrap();
    sandbox.clock.advance(Duration::from_secs(60));
    let second = sandbox.check().await.unwrap();
    let stored = list_all(&*sandbox.blobs, "reports").await.unwrap();
    sandbox
        .blobs
        .put(&stored[1].key, "{\"format_version\":1".into())
        .await
        .unwrap();
    assert_eq!(sandbox.list(0).await.unwrap(), [first]);
    let damaged = sandbox.get(&second.report_id).await.unwrap_err();
    assert_eq!((damaged.code, &*damaged.reason), (Code::DataLoss, "RECORD_DAMAGED"));
    sandbox.end().await;
}
