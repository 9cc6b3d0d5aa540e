//! What a wish for a run must say.

use holdfast_api::training::v1 as wire;
use holdfast_chassis::Code;
use holdfast_domain::{Digest, RunId};

use crate::support::{Setup, directory, fault, of_snapshot};

#[tokio::test]
async fn an_unknown_parameter_set_is_answered_with_the_known_ones() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(100, 1)).await;
    let request = wire::StartRunRequest {
        preset: "fats".into(),
        ..of_snapshot(&snapshot)
    };
    let refused = fault(bench.start_run(request).await);
    assert_eq!(refused.code, Code::InvalidArgument);
    assert_eq!(refused.violations[0].field, "preset");
    assert!(
        refused.message.contains("there are best, default, fast"),
        "{}",
        refused.message
    );
    bench.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let digest = Digest::of(b"nothing").to_string();
    let refused = fault(bench.start_run(of_snapshot(&digest)).await);
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::NotFound, "NO_SUCH_SNAPSHOT")
    );
    let refused = fault(bench.training.get_snapshot(wire::GetSnapshotRequest { digest }).await);
    assert_eq!(refused.reason, "NO_SUCH_SNAPSHOT");
    for run_id in [RunId::generate().to_string(), "run 1".to_owned()] {
        let refused = fault(bench.training.get_run(wire::GetRunRequest { run_id }).await);
        assert_eq!((refused.code, refused.reason.as_ref()), (Code::NotFound, "NO_SUCH_RUN"));
    }
    let refused = fault(bench.start_run(wire::StartRunRequest::default()).await);
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::FailedPrecondition, "NO_DATABASE")
    );
    bench.stop().await;
}

#[tokio::test]
async fn a_window_goes_without_other_tables() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let digest = Digest::of(b"window").to_string();
    let request = wire::StartRunRequest {
        window_snapshot: digest.clone(),
        test_share: Some(0.8),
        ..of_snapshot(&digest)
    };
    let refused = fault(bench.start_run(request).await);
    let fields: Vec<&str> = refused.violations.iter().map(|bad| bad.field.as_str()).collect();
    assert_eq!(fields, ["window_snapshot", "test_share"]);
    bench.stop().await;
}
