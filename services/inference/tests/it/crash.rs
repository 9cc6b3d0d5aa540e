//! A process that dies: its spool is copied away under load, as a kill would leave it, and taken up by another process.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use futures::future::join_all;
use holdfast_storage::Operation;
use holdfast_storage::testing::{Fault, Trigger};

use crate::support::{Sandbox, Service, customer};

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn predict_many(service: &Service, count: u32) -> BTreeSet<String> {
    let answers = join_all((0..count).map(|index| service.predict(customer(index)))).await;
    answers.into_iter().map(|answer| answer.unwrap().request_id).collect()
}

#[tokio::test]
async fn what_was_acknowledged_before_a_crash_is_uploaded_after_it() {
    let sandbox = Sandbox::with_champion()
        .await
        .set("prediction_log.segment_bytes", 3_000);
    let service = sandbox.serving(1).await;
    sandbox
        .store
        .inject(Trigger::on(Operation::Create).below("predictions"), Fault::Refuse);
    let acknowledged = predict_many(&service, 60).await;
    let grave = tempfile::tempdir().unwrap();
    copy_tree(sandbox.data_dir.path(), grave.path());
    service.stop().await;
    sandbox.store.heal();

    // The crash fell into the middle of a write, too.
    let mut segments: Vec<_> = fs::read_dir(grave.path().join("inference/spool"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    segments.sort_unstable();
    let last = segments.last().unwrap();
    let mut bytes = fs::read(last).unwrap();
    bytes.extend([0x51, 0, 0, 0, 1, 2, 3, 4, 5]);
    fs::write(last, bytes).unwrap();

    let service = sandbox.start_in(grave.path()).await;
    let status = service.flush().await.unwrap();
    assert_eq!((status.uploaded_records, status.spooled_records), (60, 0));
    let ids: Vec<String> = sandbox
        .records()
        .await
        .into_iter()
        .map(|record| record.request_id)
        .collect();
    assert_eq!(ids.len(), 60);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), acknowledged);
    service.stop().await;
}

#[tokio::test]
async fn a_crash_between_upload_and_removal_stores_nothing_twice() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let held = sandbox.store.hold(Trigger::on(Operation::Create).below("predictions"));
    let acknowledged = predict_many(&service, 10).await;
    let mut client = service.client.clone();
    let flush = tokio::spawn(async move {
        client
            .flush_prediction_log(holdfast_api::inference::v1::FlushPredictionLogRequest {})
            .await
    });
    held.reached_by(1).await;
    let grave = tempfile::tempdir().unwrap();
    copy_tree(sandbox.data_dir.path(), grave.path());
    held.release();
    flush.await.unwrap().unwrap();
    service.stop().await;
    assert_eq!(sandbox.logged().await.len(), 1);

    let service = sandbox.start_in(grave.path()).await;
    assert_eq!(service.flush().await.unwrap().uploaded_records, 10);
    assert_eq!(sandbox.logged().await.len(), 1, "it found its own object");
    assert_eq!(
        sandbox
            .records()
            .await
            .into_iter()
            .map(|record| record.request_id)
            .collect::<BTreeSet<_>>(),
        acknowledged
    );
    service.stop().await;
}

#[tokio::test]
async fn a_sequence_number_is_never_used_again_after_a_restart() {
    let sandbox = Sandbox::with_champion().await;
    let mut keys = BTreeSet::new();
    for round in 1..=4 {
        let service = sandbox.serving(1).await;
        predict_many(&service, 2).await;
        service.flush().await.unwrap();
        predict_many(&service, 2).await;
        service.stop().await;
        keys.extend(sandbox.logged().await.into_keys());
        assert_eq!(keys.len(), round * 2);
    }
    let sequences: BTreeSet<String> = keys.into_iter().map(|key| key[43..].to_owned()).collect();
    assert_eq!(sequences.len(), 8);
}
