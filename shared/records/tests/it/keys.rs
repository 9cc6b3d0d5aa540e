//! Builders and parsers of keys are inverse.

use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, RunId};
use holdfast_records::{Location, PartitionHour, ReportFormat, Slug, layout};
use holdfast_storage::Key;
use proptest::prelude::*;

use crate::support::{any_time, model, time};

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn any_location() -> impl Strategy<Value = Location> {
    let digest = any::<[u8; 32]>().prop_map(Digest::from_bytes);
    let named = "[a-z0-9][a-z0-9_-]{0,63}".prop_map(|name| ModelName::parse(&name).unwrap());
    let slug = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}".prop_map(|text| Slug::parse(&text).unwrap());
    let run =
        (any::<u32>(), any::<[u8; 10]>()).prop_map(|(millis, random)| RunId::from_parts(u64::from(millis), &random));
    let path = "[a-z.]{0,3}[a-z0-9 é=-]{1,12}(/[A-Z_=.]{0,3}[a-z0-9]{1,9}){0,4}".prop_map(|text| key(&text));
    let date = any_time().prop_map(layout::date_of);
    let format = prop_oneof![Just(ReportFormat::Json), Just(ReportFormat::Html)];
    prop_oneof![
        digest.clone().prop_map(Location::Snapshot),
        digest.clone().prop_map(Location::SnapshotManifest),
        digest.clone().prop_map(Location::ModelFile),
        (digest.clone(), any::<u32>()).prop_map(|(digest, edition)| Location::Artifact(digest, edition)),
        (named.clone(), 1_u32..).prop_map(|(model, version)| Location::Model(model, ModelVersion(version))),
        (named.clone(), 1_u32..).prop_map(|(model, version)| Location::ModelManifest(model, ModelVersion(version))),
        (named.clone(), 1_u32.., any::<[u8; 32]>()).prop_map(|(model, version, digest)| Location::Decision(
            model,
            ModelVersion(version),
            Digest::from_bytes(digest)
        )),
        (named.clone(), 1_u64..).prop_map(|(model, place)| Location::Champion(model, Generation(place))),
        (named.clone(), 1_u64..).prop_map(|(model, revision)| Location::Rollout(model, revision)),
        (named.clone(), 1_u64..).prop_map(|(model, revision)| Location::Approval(model, revision)),
        (named.clone(), any_time(), slug.clone(), any::<u64>()).prop_map(|(model, at, replica, number)| {
            Location::Shadow(model, PartitionHour::of(at), replica, number)
        }),
        (run.clone(), path).prop_map(|(run, path)| Location::RunArtifact(run, path)),
        (any_time(), slug.clone(), any::<u64>()).prop_map(|(at, replica, number)| Location::Prediction(
            PartitionHour::of(at),
            replica,
            number
        )),
        (date.clone(), digest).prop_map(|(date, digest)| Location::Outcome(date, digest)),
        (named, date, slug, format).prop_map(|(model, date, id, format)| Location::Report(model, date, id, format)),
        (run, any::<u32>()).prop_map(|(run, part)| Location::Score(run, part)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_place_has_one_key_and_the_key_leads_back(location in any_location()) {
        let key = location.key().unwrap();
        prop_assert_eq!(Location::parse(&key), Some(location));
    }

    #[test]
    fn any_key_that_parses_is_the_key_of_what_it_parses_to(
        text in "(datasets|models|champion|rollouts|approvals|runs|predictions|shadows|outcomes|reports|scores)(/[a-z0-9=.-]{1,9}){1,4}"
    ) {
        let parsed = Key::parse(text).ok().and_then(|key| Some((Location::parse(&key)?, key)));
        if let Some((location, key)) = parsed {
            prop_assert_eq!(location.key().unwrap(), key);
        }
    }

    #[test]
    fn a_time_lies_in_its_hour(at in any_time()) {
        let hour = PartitionHour::of(at);
        prop_assert!(hour.start() <= at && at < hour.plus(1).start());
        prop_assert_eq!(PartitionHour::at(hour.date(), hour.hour()), Some(hour));
    }
}

#[test]
fn keys_are_spelled_as_the_design_says() {
    let digest = Digest::of(b"abc");
    let run = RunId::parse("0193a1b2-c3d4-7e5f-8a6b-0123456789ab").unwrap();
    let at = time("2026-11-23T09:59:59.999Z");
    let report = Slug::parse("drift-7").unwrap();
    for (built, expected) in [
        (layout::snapshot_key(&digest), format!("datasets/{digest}.parquet")),
        (
            layout::snapshot_manifest_key(&digest),
            format!("datasets/{digest}.json"),
        ),
        (layout::model_file_key(&digest), format!("imports/{digest}")),
        (
            layout::artifact_key(&digest, 0),
            format!("artifacts/sha256/ba/{digest}"),
        ),
        (
            layout::artifact_key(&digest, 2),
            format!("artifacts/sha256/ba/{digest}-2"),
        ),
        (
            layout::model_key(&model(), ModelVersion(12)),
            "models/churn/12/model.hfm".to_owned(),
        ),
        (
            layout::model_manifest_key(&model(), ModelVersion(12)),
            "models/churn/12/manifest.json".to_owned(),
        ),
        (
            layout::champion_key(&model(), Generation(12)),
            "champion/churn/00000000000000000012.json".to_owned(),
        ),
        (
            layout::run_artifact_key(&run, &key("plots/roc.svg")).unwrap(),
            format!("runs/{run}/artifacts/plots/roc.svg"),
        ),
        (
            layout::prediction_key(at, &Slug::parse("inference-0").unwrap(), 41),
            "predictions/date=2026-11-23/hour=09/inference-0-00000000000000000041.parquet".to_owned(),
        ),
        (
            layout::rollout_key(&model(), 12),
            "rollouts/churn/00000000000000000012.json".to_owned(),
        ),
        (
            layout::approval_key(&model(), 12),
            "approvals/churn/00000000000000000012.json".to_owned(),
        ),
        (
            layout::shadow_key(&model(), at, &Slug::parse("inference-0").unwrap(), 41),
            "shadows/churn/date=2026-11-23/hour=09/inference-0-00000000000000000041.parquet".to_owned(),
        ),
        (
            layout::outcome_key(layout::date_of(at), &digest),
            format!("outcomes/date=2026-11-23/{digest}.parquet"),
        ),
        (
            layout::report_key(&model(), layout::date_of(at), &report, ReportFormat::Html),
            "reports/churn/2026-11-23/drift-7.html".to_owned(),
        ),
        (layout::score_key(&run, 3), format!("scores/{run}/part-00003.parquet")),
    ] {
        assert_eq!(built.as_str(), expected);
        assert!(Location::parse(&built).is_some(), "{expected}");
    }
}

#[test]
fn other_spellings_are_not_of_this_layout() {
    let digest = Digest::of(b"abc");
    for text in [
        "datasets".to_owned(),
        format!("datasets/{}.parquet", digest.to_string().to_uppercase()),
        format!("datasets/{digest}.csv"),
        format!("datasets/{digest}.json.json"),
        format!("imports/{digest}.json"),
        format!("artifacts/sha256/{digest}"),
        format!("artifacts/sha256/bb/{digest}"),
        format!("artifacts/sha256/ba/{digest}-0"),
        format!("artifacts/sha256/ba/{digest}-02"),
        "models/churn/03/model.hfm".to_owned(),
        "models/churn/0/model.hfm".to_owned(),
        "models/Churn/3/model.hfm".to_owned(),
        "champion/churn/12.json".to_owned(),
        "champion/churn/00000000000000000000.json".to_owned(),
        "champion/churn/000000000000000000012.json".to_owned(),
        "champion/churn/99999999999999999999.json".to_owned(),
        "champion/churn/+0000000000000000012.json".to_owned(),
        "rollouts/churn/12.json".to_owned(),
        "rollouts/churn/00000000000000000000.json".to_owned(),
        "approvals/churn/12.json".to_owned(),
        "approvals/churn/00000000000000000000.json".to_owned(),
        "shadows/churn/date=2026-11-23/hour=9/a-00000000000000000041.parquet".to_owned(),
        "shadows/date=2026-11-23/hour=09/a-00000000000000000041.parquet".to_owned(),
        "runs/0193a1b2-c3d4-7e5f-8a6b-0123456789ab/artifacts".to_owned(),
        "predictions/date=2026-11-23/hour=9/a-00000000000000000041.parquet".to_owned(),
        "predictions/date=2026-11-23/hour=24/a-00000000000000000041.parquet".to_owned(),
        "predictions/date=2026-11-23/hour=+9/a-00000000000000000041.parquet".to_owned(),
        "predictions/date=20261123/hour=09/a-00000000000000000041.parquet".to_owned(),
        "predictions/date=2026-02-30/hour=09/a-00000000000000000041.parquet".to_owned(),
        "predictions/date=2026-11-23/hour=09/00000000000000000041.parquet".to_owned(),
        "scores/0193a1b2-c3d4-7e5f-8a6b-0123456789ab/part-3.parquet".to_owned(),
        "scores/0193a1b2-c3d4-7e5f-8a6b-0123456789ab/part-000003.parquet".to_owned(),
    ] {
        assert_eq!(Location::parse(&key(&text)), None, "{text}");
    }
}

#[test]
fn a_slug_is_safe_inside_a_key() {
    for text in ["", "-a", ".a", "a/b", "a b", "é", &"a".repeat(65)] {
        assert!(Slug::parse(text).is_err(), "{text}");
    }
    assert!(Slug::parse("inference-7f9c.eu_1").is_ok());
}

#[test]
fn a_path_too_long_for_a_key_is_an_error() {
    let run = RunId::from_parts(0, &[0; 10]);
    let path = key(&vec!["a".repeat(200); 5].join("/"));
    assert!(layout::run_artifact_key(&run, &path).is_err());
}
