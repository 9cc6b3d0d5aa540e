//! What the store of imports must do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use holdfast_domain::{Digest, ModelName, ModelVersion, RunId};
use holdfast_registry::Error;
use holdfast_registry::service::imports::{ClaimId, ImportEnd, ImportRefusal, ImportState, NewImport};
use holdfast_registry::service::models::FinishedVersion;
use holdfast_registry::service::registered::NewVersion;
use holdfast_registry::service::store::{ImportStore as _, RegisteredModelStore as _, SqlStore, VersionStore as _};
use jiff::Timestamp;

use super::contract;
use super::registered::decision;

contract!(
    an_import_is_asked_for_with_its_version,
    a_claim_ends_when_its_lease_runs_out,
    many_claim_different_imports,
    the_first_plan_stays,
    what_is_put_back_waits_behind_the_others,
    what_never_says_a_word_is_given_up,
    a_decision_makes_it_done,
    it_goes_with_its_version_and_follows_its_model,
);

const LEASE: Duration = Duration::from_secs(60);
const TRIES: u32 = 3;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn wanted() -> NewImport {
    NewImport {
        library: "xgboost".to_owned(),
        file: "1/run/artifacts/model/model.ubj".to_owned(),
        columns: vec!["Customer_Age".to_owned()],
        ..NewImport::default()
    }
}

/// Registers a version whose import is asked for.
async fn register(store: &SqlStore, second: i64) -> u32 {
    let new = NewVersion {
        source: "s3://elsewhere/model".to_owned(),
        import: Some(wanted()),
        ..NewVersion::default()
    };
    let made = store.create_registered_model("churn", "", &[], at(0)).await;
    assert!(matches!(
        made,
        Ok(())
            | Err(Error::Registered(
                holdfast_registry::service::registered::Refusal::ModelExists(_)
            ))
    ));
    store.add_version("churn", &new, &new.source, at(second)).await.unwrap()
}

async fn claim(store: &SqlStore, second: i64) -> Option<ClaimId> {
    let claimed = store.claim_import(at(second), LEASE, TRIES).await.unwrap()?;
    assert_eq!(claimed.record.state, ImportState::Running);
    Some(ClaimId {
        model: claimed.record.model,
        version: claimed.record.version,
        number: claimed.number,
    })
}

async fn state(store: &SqlStore, version: u32) -> (ImportState, String) {
    let found = store.import("churn", version).await.unwrap().unwrap();
    (found.state, found.why)
}

fn has_ended<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Import(ImportRefusal::ClaimEnded { .. })))
}

async fn an_import_is_asked_for_with_its_version(store: Arc<SqlStore>) {
    assert_eq!(claim(&store, 0).await, None);
    let version = register(&store, 1).await;
    let asked = store.import("churn", version).await.unwrap().unwrap();
    assert_eq!(
        (asked.state, asked.requested_at, asked.claimed_at),
        (ImportState::Requested, at(1), None)
    );
    assert_eq!(
        store.registered_version("churn", version).await.unwrap().import,
        "requested"
    );

    let claimed = store.claim_import(at(2), LEASE, TRIES).await.unwrap().unwrap();
    assert_eq!(
        (claimed.columns, claimed.wishes, claimed.plan),
        (wanted().columns, vec![], String::new())
    );
    assert_eq!(
        (claimed.record.file, claimed.record.claimed_at),
        (wanted().file, Some(at(2)))
    );
    assert_eq!(claim(&store, 3).await, None, "one has it");

    // At work it stays as it is; once it has failed, wishes may be others.
    let again = NewImport {
        wishes: vec![1, 2],
        requested_by: "ada".to_owned(),
        ..wanted()
    };
    let running = store.request_import("churn", version, &again, at(4)).await.unwrap();
    assert_eq!(
        (running.state, running.requested_by.as_str()),
        (ImportState::Running, "")
    );
    let id = ClaimId {
        model: "churn".to_owned(),
        version,
        number: claimed.number,
    };
    let failed = ImportEnd::Failed("no rows".to_owned());
    store.end_import(&id, &failed).await.unwrap();
    assert_eq!(
        store.registered_version("churn", version).await.unwrap().import,
        "failed: no rows"
    );
    let asked = store.request_import("churn", version, &again, at(5)).await.unwrap();
    assert_eq!(
        (asked.state, asked.requested_by.as_str()),
        (ImportState::Requested, "ada")
    );
    let claimed = store.claim_import(at(6), LEASE, TRIES).await.unwrap().unwrap();
    assert_eq!((claimed.wishes, claimed.number), (vec![1, 2], id.number + 1));
    let missing = store.request_import("churn", 9, &again, at(7)).await;
    assert!(matches!(missing, Err(Error::Registered(_))), "{missing:?}");
}

async fn a_claim_ends_when_its_lease_runs_out(store: Arc<SqlStore>) {
    let version = register(&store, 1).await;
    let first = claim(&store, 10).await.unwrap();
    store.keep_import(&first, "", "", at(100)).await.unwrap();
    assert_eq!(claim(&store, 99).await, None, "it was kept");
    let second = claim(&store, 100).await.unwrap();
    assert!(second.number > first.number);
    assert!(has_ended(&store.keep_import(&first, "", "", at(500)).await));
    assert!(has_ended(&store.end_import(&first, &ImportEnd::PutBack).await));
    assert_eq!(state(&store, version).await.0, ImportState::Running);
    // A clock that went back by a day must not keep it for a day.
    let third = claim(&store, -86_400).await.unwrap();
    assert!(third.number > second.number);
}

async fn many_claim_different_imports(store: Arc<SqlStore>) {
    for second in 0..6 {
        register(&store, second).await;
    }
    let claiming = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { claim(&store, 10).await })
    });
    let claimed: Vec<ClaimId> = join_all(claiming)
        .await
        .into_iter()
        .filter_map(Result::unwrap)
        .collect();
    let versions: BTreeSet<u32> = claimed.iter().map(|claim| claim.version).collect();
    assert_eq!((claimed.len(), versions), (6, (1..=6).collect()));
}

async fn the_first_plan_stays(store: Arc<SqlStore>) {
    let version = register(&store, 1).await;
    let first = claim(&store, 2).await.unwrap();
    let run = RunId::from_parts(1_790_000_000_000, &[1; 10]);
    assert_eq!(
        store.keep_import(&first, "", "plan one", at(10)).await.unwrap(),
        "plan one"
    );
    assert_eq!(
        store.keep_import(&first, run.as_str(), "", at(10)).await.unwrap(),
        "plan one"
    );
    let second = store.claim_import(at(100), LEASE, TRIES).await.unwrap().unwrap();
    assert_eq!(
        (second.plan.as_str(), second.record.run_id.as_str()),
        ("plan one", run.as_str())
    );
    let second = ClaimId {
        number: second.number,
        ..first
    };
    assert_eq!(
        store.keep_import(&second, "", "plan two", at(110)).await.unwrap(),
        "plan one"
    );
    // Asked for anew, everything is open again.
    store
        .end_import(&second, &ImportEnd::Failed("odd".to_owned()))
        .await
        .unwrap();
    store
        .request_import("churn", version, &wanted(), at(120))
        .await
        .unwrap();
    assert_eq!(
        store.claim_import(at(121), LEASE, TRIES).await.unwrap().unwrap().plan,
        ""
    );
}

async fn what_is_put_back_waits_behind_the_others(store: Arc<SqlStore>) {
    let (one, two) = (register(&store, 1).await, register(&store, 2).await);
    let first = claim(&store, 10).await.unwrap();
    assert_eq!(first.version, one);
    store.end_import(&first, &ImportEnd::PutBack).await.unwrap();
    assert_eq!(claim(&store, 11).await.unwrap().version, two);
    // However often: putting back is a word.
    for second in 12..20 {
        let claimed = claim(&store, second).await.unwrap();
        assert_eq!(claimed.version, one);
        store.end_import(&claimed, &ImportEnd::PutBack).await.unwrap();
    }
}

async fn what_never_says_a_word_is_given_up(store: Arc<SqlStore>) {
    let version = register(&store, 1).await;
    for round in 1..=i64::from(TRIES) {
        assert!(claim(&store, round * 100).await.is_some());
    }
    assert_eq!(claim(&store, 1_000).await, None);
    let (found, why) = state(&store, version).await;
    assert_eq!(found, ImportState::Failed);
    assert!(why.contains("ended 3 times without a word"), "{why}");
    store
        .request_import("churn", version, &wanted(), at(1_001))
        .await
        .unwrap();
    assert!(
        claim(&store, 1_002).await.is_some(),
        "asked for anew it has all its tries"
    );
}

async fn a_decision_makes_it_done(store: Arc<SqlStore>) {
    let version = register(&store, 1).await;
    let claimed = claim(&store, 2).await.unwrap();
    let (model, number): (ModelName, _) = ("churn".parse().unwrap(), ModelVersion(version));
    let run = RunId::from_parts(1_790_000_000_000, &[1; 10]);
    let facts = FinishedVersion {
        run_id: run.clone(),
        artifact_digest: Digest::of(b"model"),
        artifact_size_bytes: 5,
        family: "boosted_trees".to_owned(),
        training_snapshot: String::new(),
        test_snapshot: String::new(),
    };
    let ready = store.finish_version(&model, number, &facts).await.unwrap();
    assert_eq!(ready.run_id, run.as_str());
    assert_eq!(
        state(&store, version).await.0,
        ImportState::Running,
        "nobody has judged it"
    );
    let decision = decision();
    store
        .record_decision(&model, number, &decision.evaluation_digest, &decision)
        .await
        .unwrap();
    assert_eq!(state(&store, version).await.0, ImportState::Done);
    // Whoever is at it may finish, and can neither fail it nor put it back.
    store.keep_import(&claimed, "", "", at(100)).await.unwrap();
    let ended = store
        .end_import(&claimed, &ImportEnd::Failed("late".to_owned()))
        .await
        .unwrap();
    assert_eq!((ended.state, ended.why.as_str()), (ImportState::Done, ""));
    assert_eq!(
        store
            .request_import("churn", version, &wanted(), at(5))
            .await
            .unwrap()
            .state,
        ImportState::Done
    );
    assert_eq!(claim(&store, 10_000).await, None);
}

async fn it_goes_with_its_version_and_follows_its_model(store: Arc<SqlStore>) {
    let version = register(&store, 1).await;
    let claimed = claim(&store, 2).await.unwrap();
    store.rename_registered_model("churn", "leavers", at(3)).await.unwrap();
    assert!(has_ended(&store.keep_import(&claimed, "", "", at(100)).await));
    assert_eq!(claim(&store, 100).await.unwrap().model, "leavers");
    store.delete_version("leavers", version, at(101)).await.unwrap();
    assert_eq!(store.import("leavers", version).await.unwrap(), None);
}
