//! Registered models and their versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use holdfast_domain::{Digest, ModelName, ModelVersion, RunId};
use holdfast_registry::Error;
use holdfast_registry::service::gate::{Evaluation, GateDecision, GatePolicy, Quality, decide};
use holdfast_registry::service::models::FinishedVersion;
use holdfast_registry::service::registered::{
    Alias, ModelSearch, NewVersion, Others, Readiness, Refusal, Search, Stage, VersionSearch,
};
use holdfast_registry::service::search::{
    registered_model_filter, registered_model_order, version_filter, version_order,
};
use holdfast_registry::service::store::{RegisteredModelStore, SqlStore, VersionStore as _};
use holdfast_registry::service::tracking::KeyValue;
use jiff::Timestamp;

use super::contract;

contract!(
    a_name_is_taken_once,
    what_is_missing_is_named,
    a_version_number_is_never_given_out_again,
    one_run_may_have_many_versions_and_reserves_one,
    versions_added_at_once_have_different_numbers,
    tags_are_set_and_removed,
    an_alias_points_at_one_version_and_goes_with_it,
    stages_are_labels_of_which_the_newest_are_known,
    a_renamed_model_keeps_what_it_has,
    a_name_that_artefacts_or_decisions_carry_stays,
    models_are_found_by_name_and_tag,
    models_come_in_the_order_asked_for,
    versions_are_found_by_all_they_have,
    prompts_are_found_when_asked_for,
);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn made_from(source: &str) -> NewVersion {
    NewVersion {
        source: source.to_owned(),
        ..NewVersion::default()
    }
}

async fn create(store: &SqlStore, name: &str) {
    store.create_registered_model(name, "", &[], at(1)).await.unwrap();
}

async fn add(store: &SqlStore, name: &str, source: &str) -> u32 {
    store
        .add_version(name, &made_from(source), source, at(2))
        .await
        .unwrap()
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> Refusal {
    match answer {
        Err(Error::Registered(refusal)) => refusal,
        other => unreachable!("{other:?}"),
    }
}

fn model_search(filter: &str, order: &[&str]) -> ModelSearch {
    let order: Vec<String> = order.iter().map(|key| (*key).to_owned()).collect();
    Search {
        clauses: registered_model_filter(filter).unwrap(),
        order: registered_model_order(&order).unwrap(),
        offset: 0,
        limit: 100,
    }
}

fn version_search(filter: &str, order: &[&str]) -> VersionSearch {
    let order: Vec<String> = order.iter().map(|key| (*key).to_owned()).collect();
    Search {
        clauses: version_filter(filter).unwrap(),
        order: version_order(&order).unwrap(),
        offset: 0,
        limit: 100,
    }
}

pub(super) fn decision() -> GateDecision {
    let quality = Quality {
        rows: 2_000,
        positives: 320,
        roc_auc: 0.98,
        roc_auc_lower: 0.97,
        roc_auc_upper: 0.99,
        pr_auc: 0.9,
        log_loss: 0.1,
        brier: 0.03,
        calibration_error: 0.01,
        f1: 0.9,
        accuracy: 0.95,
        precision: 0.9,
        recall: 0.9,
    };
    let evaluation = Evaluation {
        test_snapshot: Digest::of(b"test rows"),
        full: quality.clone(),
        required_only: quality.clone(),
        baseline: quality,
        baseline_p_value: 1e-12,
        champion: None,
        newest_window: None,
        slices: Vec::new(),
    };
    decide(evaluation, &GatePolicy::default(), None, at(1))
}

async fn models(store: &SqlStore, filter: &str, order: &[&str]) -> Vec<String> {
    let found = store
        .search_registered_models(&model_search(filter, order))
        .await
        .unwrap();
    found.into_iter().map(|model| model.name).collect()
}

async fn versions(store: &SqlStore, filter: &str, order: &[&str]) -> Vec<(String, u32)> {
    let found = store.search_versions(&version_search(filter, order)).await.unwrap();
    found
        .into_iter()
        .map(|version| (version.model, version.version))
        .collect()
}

async fn a_name_is_taken_once(store: Arc<SqlStore>) {
    let tags = [pair("team", "risk"), pair("a", "")];
    store
        .create_registered_model("Kündigung 2.0", "who leaves", &tags, at(5))
        .await
        .unwrap();
    let again = store.create_registered_model("Kündigung 2.0", "", &[], at(6)).await;
    assert_eq!(refused(again), Refusal::ModelExists("Kündigung 2.0".to_owned()));
    let model = store.registered_model("Kündigung 2.0").await.unwrap();
    assert_eq!((model.created_at, model.updated_at), (at(5), at(5)));
    assert_eq!(model.description, "who leaves");
    assert_eq!(model.tags, [pair("a", ""), pair("team", "risk")]);
    assert_eq!(
        (model.latest.len(), model.aliases.len(), model.has_artifact),
        (0, 0, false)
    );

    store
        .describe_registered_model("Kündigung 2.0", "other words", at(7))
        .await
        .unwrap();
    let model = store.registered_model("Kündigung 2.0").await.unwrap();
    assert_eq!((model.description.as_str(), model.updated_at), ("other words", at(7)));
    // Names that only MLflow allows are none of the gate's.
    assert_eq!(store.models().await.unwrap(), []);
}

async fn what_is_missing_is_named(store: Arc<SqlStore>) {
    create(&store, "there").await;
    let no_model = || Refusal::NoModel("churn".to_owned());
    let no_version = |name: &str| Refusal::NoVersion {
        name: name.to_owned(),
        version: 7,
    };
    let tag = pair("a", "b");
    assert_eq!(refused(store.registered_model("churn").await), no_model());
    assert_eq!(
        refused(store.describe_registered_model("churn", "", at(1)).await),
        no_model()
    );
    assert_eq!(
        refused(store.rename_registered_model("churn", "x", at(1)).await),
        no_model()
    );
    assert_eq!(refused(store.delete_registered_model("churn").await), no_model());
    assert_eq!(refused(store.set_registered_model_tag("churn", &tag).await), no_model());
    assert_eq!(
        refused(store.delete_registered_model_tag("churn", "a").await),
        no_model()
    );
    assert_eq!(refused(store.delete_alias("churn", "a", at(1)).await), no_model());
    let added = store.add_version("churn", &NewVersion::default(), "", at(1)).await;
    assert_eq!(refused(added), no_model());
    for name in ["churn", "there"] {
        let missing = no_version(name);
        assert_eq!(refused(store.registered_version(name, 7).await), missing);
        assert_eq!(refused(store.describe_version(name, 7, "", at(1)).await), missing);
        let moved = store
            .set_stage(name, 7, Stage::Staging, Others::AreArchived, at(1))
            .await;
        assert_eq!(refused(moved), missing);
        assert_eq!(refused(store.delete_version(name, 7, at(1)).await), missing);
        assert_eq!(refused(store.set_version_tag(name, 7, &tag, at(1)).await), missing);
        assert_eq!(refused(store.delete_version_tag(name, 7, "a", at(1)).await), missing);
        assert_eq!(refused(store.set_alias(name, "a", 7, at(1)).await), missing);
    }
    let left = store.registered_model("there").await.unwrap();
    assert_eq!(left.updated_at, at(1), "a refused write changes nothing");
}

async fn a_version_number_is_never_given_out_again(store: Arc<SqlStore>) {
    create(&store, "churn").await;
    assert_eq!(add(&store, "churn", "s3://a").await, 1);
    assert_eq!(add(&store, "churn", "s3://b").await, 2);
    store.delete_version("churn", 2, at(9)).await.unwrap();
    assert_eq!(store.registered_model("churn").await.unwrap().updated_at, at(9));
    assert_eq!(add(&store, "churn", "s3://c").await, 3);
    store.delete_registered_model("churn").await.unwrap();
    assert_eq!(
        refused(store.registered_model("churn").await),
        Refusal::NoModel("churn".to_owned())
    );
    assert_eq!(versions(&store, "", &[]).await, []);
    // Nor when a training makes the model anew.
    let model: ModelName = "churn".parse().unwrap();
    let reserved = store.reserve_version(&model, "r1", "ada", at(10)).await.unwrap();
    assert_eq!(reserved.version, ModelVersion(4));
}

async fn one_run_may_have_many_versions_and_reserves_one(store: Arc<SqlStore>) {
    let model: ModelName = "churn".parse().unwrap();
    let of_run = NewVersion {
        run_id: "r1".to_owned(),
        ..made_from("s3://a")
    };
    let reserved = store.reserve_version(&model, "r1", "ada", at(1)).await.unwrap();
    for expected in [2, 3] {
        let version = store.add_version("churn", &of_run, "s3://a", at(2)).await.unwrap();
        assert_eq!(version, expected);
    }
    let again = store.reserve_version(&model, "r1", "ada", at(3)).await.unwrap();
    assert_eq!(again, reserved);

    let version = store.registered_version("churn", 1).await.unwrap();
    assert_eq!(version.readiness, Readiness::Reserved);
    assert_eq!(version.source, "mlflow-artifacts:/models/churn/1");
    assert_eq!(version.location, version.source);
    assert_eq!((version.run_id.as_str(), version.user_id.as_str()), ("r1", "ada"));
    assert_eq!((version.created_at, version.stage), (at(1), Stage::None));
    let facts = FinishedVersion {
        run_id: RunId::from_parts(1_790_000_000_000, &[7; 10]),
        artifact_digest: Digest::of(b"model"),
        artifact_size_bytes: 5,
        family: "boosted_trees".to_owned(),
        training_snapshot: String::new(),
        test_snapshot: String::new(),
    };
    assert!(!store.registered_model("churn").await.unwrap().has_artifact);
    store.finish_version(&model, ModelVersion(1), &facts).await.unwrap();
    let version = store.registered_version("churn", 1).await.unwrap();
    assert_eq!(version.readiness, Readiness::Artifact);
    assert!(store.registered_model("churn").await.unwrap().has_artifact);
    let version = store.registered_version("churn", 2).await.unwrap();
    assert_eq!(version.readiness, Readiness::Files);
}

async fn versions_added_at_once_have_different_numbers(store: Arc<SqlStore>) {
    create(&store, "churn").await;
    let model: ModelName = "churn".parse().unwrap();
    let adding = (0..20).map(|index| {
        let (store, model) = (Arc::clone(&store), model.clone());
        tokio::spawn(async move {
            if index % 2 == 0 {
                return add(&store, "churn", "s3://a").await;
            }
            let run = format!("r{index}");
            let reserved = store.reserve_version(&model, &run, "ada", at(1)).await;
            reserved.unwrap().version.0
        })
    });
    let numbers: BTreeSet<u32> = join_all(adding).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers, (1..=20).collect());
}

async fn tags_are_set_and_removed(store: Arc<SqlStore>) {
    create(&store, "churn").await;
    let with_tags = NewVersion {
        tags: vec![pair("b", "1"), pair("a", "\"quoted\" \\ ü")],
        ..made_from("s3://a")
    };
    store.add_version("churn", &with_tags, "s3://a", at(2)).await.unwrap();
    let tags = store.registered_version("churn", 1).await.unwrap().tags;
    assert_eq!(tags, [pair("a", "\"quoted\" \\ ü"), pair("b", "1")]);

    store.set_version_tag("churn", 1, &pair("b", "2"), at(1)).await.unwrap();
    store.set_registered_model_tag("churn", &pair("m", "1")).await.unwrap();
    store.set_registered_model_tag("churn", &pair("m", "2")).await.unwrap();
    store.delete_version_tag("churn", 1, "a", at(1)).await.unwrap();
    store.delete_version_tag("churn", 1, "a", at(1)).await.unwrap();
    let model = store.registered_model("churn").await.unwrap();
    assert_eq!(model.tags, [pair("m", "2")]);
    assert_eq!(model.latest[0].tags, [pair("b", "2")]);
    // As in MLflow, tags do not count as changes of the model.
    assert_eq!(model.updated_at, at(2));
    store.delete_registered_model_tag("churn", "m").await.unwrap();
    store.delete_registered_model_tag("churn", "m").await.unwrap();
    assert_eq!(store.registered_model("churn").await.unwrap().tags, []);
}

async fn an_alias_points_at_one_version_and_goes_with_it(store: Arc<SqlStore>) {
    create(&store, "churn").await;
    add(&store, "churn", "s3://a").await;
    add(&store, "churn", "s3://b").await;
    store.set_alias("churn", "prod", 1, at(1)).await.unwrap();
    store.set_alias("churn", "prod", 2, at(1)).await.unwrap();
    store.set_alias("churn", "eu", 2, at(1)).await.unwrap();
    let alias = |name: &str, version| Alias {
        name: name.to_owned(),
        version,
    };
    let model = store.registered_model("churn").await.unwrap();
    assert_eq!(model.aliases, [alias("eu", 2), alias("prod", 2)]);
    assert_eq!(store.registered_version("churn", 1).await.unwrap().aliases, [""; 0]);
    assert_eq!(
        store.registered_version("churn", 2).await.unwrap().aliases,
        ["eu", "prod"]
    );
    store.delete_alias("churn", "eu", at(1)).await.unwrap();
    store.delete_alias("churn", "eu", at(1)).await.unwrap();
    store.delete_version("churn", 2, at(3)).await.unwrap();
    assert_eq!(store.registered_model("churn").await.unwrap().aliases, []);
}

async fn stages_are_labels_of_which_the_newest_are_known(store: Arc<SqlStore>) {
    create(&store, "churn").await;
    for source in ["s3://a", "s3://b", "s3://c", "s3://d"] {
        add(&store, "churn", source).await;
    }
    let stay = Others::Stay;
    store
        .set_stage("churn", 1, Stage::Production, stay, at(3))
        .await
        .unwrap();
    store
        .set_stage("churn", 2, Stage::Production, stay, at(4))
        .await
        .unwrap();
    let latest = |model: holdfast_registry::service::registered::RegisteredModel| -> Vec<_> {
        let latest = model.latest.into_iter();
        latest.map(|version| (version.version, version.stage)).collect()
    };
    let model = store.registered_model("churn").await.unwrap();
    assert_eq!(model.updated_at, at(4));
    assert_eq!(latest(model), [(2, Stage::Production), (4, Stage::None)]);

    let archived = Others::AreArchived;
    store
        .set_stage("churn", 3, Stage::Production, archived, at(5))
        .await
        .unwrap();
    let model = store.registered_model("churn").await.unwrap();
    assert_eq!(
        latest(model),
        [(2, Stage::Archived), (3, Stage::Production), (4, Stage::None)]
    );
    let version = store.registered_version("churn", 1).await.unwrap();
    assert_eq!((version.stage, version.updated_at), (Stage::Archived, at(5)));
    store.describe_version("churn", 4, "words", at(6)).await.unwrap();
    let version = store.registered_version("churn", 4).await.unwrap();
    assert_eq!((version.description.as_str(), version.updated_at), ("words", at(6)));
    assert_eq!(store.registered_model("churn").await.unwrap().updated_at, at(5));
}

async fn a_renamed_model_keeps_what_it_has(store: Arc<SqlStore>) {
    store
        .create_registered_model("old", "words", &[pair("a", "b")], at(1))
        .await
        .unwrap();
    create(&store, "taken").await;
    add(&store, "old", "s3://a").await;
    add(&store, "old", "s3://b").await;
    store.set_alias("old", "prod", 2, at(1)).await.unwrap();
    store.set_version_tag("old", 2, &pair("c", "d"), at(1)).await.unwrap();
    let taken = store.rename_registered_model("old", "taken", at(5)).await;
    assert_eq!(refused(taken), Refusal::ModelExists("taken".to_owned()));
    store.rename_registered_model("old", "new", at(6)).await.unwrap();

    let model = store.registered_model("new").await.unwrap();
    assert_eq!((model.created_at, model.updated_at), (at(1), at(6)));
    assert_eq!(
        (model.description.as_str(), model.tags),
        ("words", vec![pair("a", "b")])
    );
    assert_eq!(model.aliases.len(), 1);
    let version = &model.latest[0];
    assert_eq!((version.model.as_str(), version.version), ("new", 2));
    assert_eq!((version.updated_at, &*version.tags), (at(6), &[pair("c", "d")][..]));
    assert_eq!(version.aliases, ["prod"]);
    assert!(store.registered_model("old").await.is_err());
    // Numbers go on under both names.
    assert_eq!(add(&store, "new", "s3://c").await, 3);
    create(&store, "old").await;
    assert_eq!(add(&store, "old", "s3://c").await, 3);
}

async fn a_name_that_artefacts_or_decisions_carry_stays(store: Arc<SqlStore>) {
    let model: ModelName = "churn".parse().unwrap();
    store.reserve_version(&model, "r1", "ada", at(1)).await.unwrap();
    let carried = Refusal::NameCarried {
        name: "churn".to_owned(),
        version: 1,
    };
    assert_eq!(
        refused(store.rename_registered_model("churn", "other", at(2)).await),
        carried
    );
    let decision = decision();
    let evidence = Digest::of(b"evidence");
    store
        .record_decision(&model, ModelVersion(1), &evidence, &decision)
        .await
        .unwrap();
    store.delete_registered_model("churn").await.unwrap();
    create(&store, "other").await;
    add(&store, "other", "s3://a").await;
    let judged = store.rename_registered_model("other", "churn", at(2)).await;
    assert_eq!(refused(judged), Refusal::NameJudged("churn".to_owned()));
}

async fn models_are_found_by_name_and_tag(store: Arc<SqlStore>) {
    for (name, tags) in [
        ("churn-clf", vec![pair("team", "risk")]),
        ("Churn 2", vec![pair("team", "Risk"), pair("a b", "50%")]),
        ("a\\b", vec![]),
        ("a_b", vec![]),
    ] {
        store.create_registered_model(name, "", &tags, at(1)).await.unwrap();
    }
    for (filter, expected) in [
        ("", vec!["Churn 2", "a\\b", "a_b", "churn-clf"]),
        ("name = 'churn-clf'", vec!["churn-clf"]),
        ("name != 'churn-clf'", vec!["Churn 2", "a\\b", "a_b"]),
        ("name LIKE 'churn%'", vec!["churn-clf"]),
        ("name ILIKE 'churn%'", vec!["Churn 2", "churn-clf"]),
        ("name LIKE 'a_b'", vec!["a\\b", "a_b"]),
        // A backslash escapes nothing.
        ("name LIKE 'a\\_'", vec!["a\\b"]),
        ("name LIKE 'a\\_b'", vec![]),
        ("name IN ('a_b', 'churn-clf', 'none')", vec!["a_b", "churn-clf"]),
        ("name NOT IN ('a_b', 'churn-clf')", vec!["Churn 2", "a\\b"]),
        ("tags.team = 'risk'", vec!["churn-clf"]),
        ("tags.team ILIKE 'RISK'", vec!["Churn 2", "churn-clf"]),
        // What has no such tag does not match.
        ("tags.team != 'risk'", vec!["Churn 2"]),
        ("tags.`a b` LIKE '50%' AND tags.team = 'Risk'", vec!["Churn 2"]),
        ("tags.team = 'risk' AND name = 'Churn 2'", vec![]),
        (
            "name LIKE 'churn%' AND tag.`mlflow.prompt.is_prompt` != 'true'",
            vec!["churn-clf"],
        ),
    ] {
        assert_eq!(models(&store, filter, &[]).await, expected, "{filter}");
    }
}

async fn models_come_in_the_order_asked_for(store: Arc<SqlStore>) {
    for (name, created) in [("b", 3), ("a", 2), ("c", 1)] {
        store.create_registered_model(name, "", &[], at(created)).await.unwrap();
    }
    store.describe_registered_model("c", "", at(9)).await.unwrap();
    store.describe_registered_model("a", "", at(3)).await.unwrap();
    for (order, expected) in [
        (&[][..], "abc"),
        (&["name DESC"][..], "cba"),
        (&["creation_timestamp"][..], "cab"),
        (&["last_updated_timestamp DESC"][..], "cab"),
        (&["timestamp ASC", "name DESC"][..], "bac"),
    ] {
        assert_eq!(models(&store, "", order).await.concat(), expected, "{order:?}");
    }
    let page = ModelSearch {
        offset: 1,
        limit: 1,
        ..model_search("", &[])
    };
    let found = store.search_registered_models(&page).await.unwrap();
    assert_eq!(found[0].name, "b");
    assert_eq!(found.len(), 1);
}

async fn versions_are_found_by_all_they_have(store: Arc<SqlStore>) {
    for name in ["a", "b"] {
        create(&store, name).await;
    }
    for (name, source, run_id, created) in [
        ("a", "s3://one", "r1", 1),
        ("b", "s3://two", "r2", 2),
        ("a", "s3://Three", "r2", 3),
        ("b", "s3://four", "r3", 3),
    ] {
        let new = NewVersion {
            run_id: run_id.to_owned(),
            tags: vec![pair("of", run_id)],
            ..made_from(source)
        };
        store.add_version(name, &new, source, at(created)).await.unwrap();
    }
    let (a1, a2, b1, b2) = (("a", 1), ("a", 2), ("b", 1), ("b", 2));
    for (filter, order, expected) in [
        ("", &[][..], vec![a2, b2, b1, a1]),
        ("", &["name ASC"][..], vec![a2, a1, b2, b1]),
        ("", &["version_number ASC"][..], vec![a1, b1, a2, b2]),
        ("", &["creation_timestamp DESC", "name DESC"][..], vec![b2, a2, b1, a1]),
        ("name = 'a'", &["version_number DESC"][..], vec![a2, a1]),
        ("run_id = 'r2'", &[][..], vec![a2, b1]),
        ("run_id IN ('r1', 'r3')", &[][..], vec![b2, a1]),
        ("source_path LIKE 's3://t%'", &[][..], vec![b1]),
        ("source_path ILIKE 's3://t%'", &[][..], vec![a2, b1]),
        ("version_number > 1", &[][..], vec![a2, b2]),
        ("version_number <= 1 AND name = 'b'", &[][..], vec![b1]),
        ("version_number = '2'", &[][..], vec![a2, b2]),
        ("tags.of != 'r2'", &[][..], vec![b2, a1]),
        ("tag.`mlflow.prompt.is_prompt` != 'true'", &[][..], vec![a2, b2, b1, a1]),
    ] {
        let expected: Vec<(String, u32)> = expected.into_iter().map(|(name, at)| (name.to_owned(), at)).collect();
        assert_eq!(versions(&store, filter, order).await, expected, "{filter} {order:?}");
    }
}

async fn prompts_are_found_when_asked_for(store: Arc<SqlStore>) {
    let prompt = pair("mlflow.prompt.is_prompt", "true");
    create(&store, "model").await;
    add(&store, "model", "s3://a").await;
    store
        .create_registered_model("prompt", "", std::slice::from_ref(&prompt), at(1))
        .await
        .unwrap();
    let new = NewVersion {
        tags: vec![prompt],
        ..made_from("dummy-source")
    };
    store.add_version("prompt", &new, "dummy-source", at(1)).await.unwrap();
    let key = "tags.`mlflow.prompt.is_prompt`";
    for (filter, expected) in [
        (String::new(), "model"),
        (format!("{key} = 'true'"), "prompt"),
        (format!("{key} != 'true'"), "model"),
        (format!("{key} = 'false'"), "model"),
    ] {
        assert_eq!(models(&store, &filter, &[]).await, [expected], "{filter}");
        let found = versions(&store, &filter, &[]).await;
        assert_eq!(found, [(expected.to_owned(), 1)], "{filter}");
    }
}

/// A file as it was before registered models: two versions, the first with an artefact.
#[tokio::test]
async fn a_file_of_before_keeps_its_versions() {
    use sqlx::migrate::{Migration, MigrationType, Migrator};
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.db");
    let before = [
        (
            1,
            "tracking",
            include_str!("../../../migrations/sqlite/0001_tracking.sql"),
        ),
        (2, "models", include_str!("../../../migrations/sqlite/0002_models.sql")),
    ];
    let before = before.map(|(number, name, sql)| {
        let text = sqlx::SqlStr::from_static(sql);
        Migration::new(number, name.into(), MigrationType::Simple, text, false)
    });
    let migrator = Migrator {
        migrations: before.to_vec().into(),
        ..Migrator::DEFAULT
    };
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    migrator.run(&pool).await.unwrap();
    let digest = Digest::of(b"model");
    let rows = [
        "INSERT INTO models VALUES ('churn', 1000000), ('empty', 4000000)".to_owned(),
        format!(
            "INSERT INTO model_versions VALUES
                 ('churn', 1, 'ready', 'r1', '{digest}', 5, 'boosted_trees', 'a', 'b', 2000000, 'ada'),
                 ('churn', 2, 'pending', 'r2', NULL, 0, '', '', '', 3000000, 'bob')"
        ),
    ];
    for sql in rows {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let store = SqlStore::open_sqlite(&path).await.unwrap();
    let churn: ModelName = "churn".parse().unwrap();
    let model = store.registered_model("churn").await.unwrap();
    assert_eq!((model.created_at, model.updated_at), (at(1), at(3)));
    assert_eq!(store.registered_model("empty").await.unwrap().updated_at, at(4));
    let first = store.registered_version("churn", 1).await.unwrap();
    assert_eq!((first.readiness, first.updated_at), (Readiness::Artifact, at(2)));
    assert_eq!(first.location, "mlflow-artifacts:/models/churn/1");
    let second = store.registered_version("churn", 2).await.unwrap();
    assert_eq!(
        (second.readiness, second.user_id.as_str()),
        (Readiness::Reserved, "bob")
    );
    let record = store.version(&churn, ModelVersion(1)).await.unwrap();
    assert_eq!(
        (record.artifact_digest, record.family.as_str()),
        (Some(digest), "boosted_trees")
    );
    // The run that reserved a version gets that one, and others the next numbers.
    let reserved = store.reserve_version(&churn, "r2", "bob", at(5)).await.unwrap();
    assert_eq!(reserved.version, ModelVersion(2));
    assert_eq!(add(&store, "churn", "s3://a").await, 3);
    store.set_alias("churn", "prod", 3, at(1)).await.unwrap();
}
