//! Artefacts of every format ever written are read for ever.
//!
//! `samples/v1.hfm` holds every part the format has: engineered columns, both comparisons, categorical splits, a linear member, an
//! isotonic curve, a cost policy, scores in its profile. It is never written again; a new format gets a new file. `samples/v1.schema.yaml`
//! is the schema of the day, so that the bytes can be compared when the real one has moved on.

use std::path::Path;

use holdfast_domain::{Digest, FeatureVector, Schema};
use holdfast_model::{Calibration, Model, NumericProfile, Threshold, ThresholdPolicy};

use crate::support::{Kind, draft_of, rows, schema};

const V1: &[u8] = include_bytes!("../samples/v1.hfm");
const V1_DIGEST: &str = "ccd210f13bbcc3d53190f89dd40d734f58807b660d19199811d33659a1d2b77d";

#[test]
fn format_1_is_read_for_ever() {
    assert_eq!(Digest::of(V1).to_string(), V1_DIGEST, "the frozen sample was changed");
    let model = Model::decode(V1, schema()).unwrap();
    model.check_golden().unwrap();
    assert_eq!(model.golden_rows().len(), 6);
    assert_eq!(model.ensemble().members.len(), 3);
    assert_eq!(model.profile().score.present(), 60);
    assert_eq!(model.columns().len(), 21);
}

#[test]
fn what_was_read_is_written_again_to_the_same_bytes() {
    // When the writer learns a new part, this goes; the test above stays.
    let of_the_day = Schema::parse(include_str!("../samples/v1.schema.yaml")).unwrap();
    let model = Model::decode(V1, &of_the_day).unwrap();
    let golden: Vec<FeatureVector> = model.golden_rows().iter().map(|row| row.features).collect();
    assert!(
        model.to_draft().encode(&golden, &of_the_day).unwrap() == V1,
        "the bytes differ"
    );
}

#[test]
#[ignore = "writes the frozen sample; only for a format that has none yet"]
fn write_the_sample() {
    let mut draft = draft_of(Kind::Mixed, 5, 3, 1);
    draft.calibration = Calibration::Isotonic {
        raw_probabilities: vec![0.05, 0.3, 0.8],
        probabilities: vec![0.02, 0.35, 0.9],
    };
    let policy = ThresholdPolicy::Cost {
        offer_cost: 25.0,
        lost_margin: 400.0,
        success_rate: 0.4,
    };
    draft.threshold = Threshold { value: 0.15625, policy };
    let mut scores = vec![f64::NAN; 60];
    draft.preview(schema()).unwrap().score_batch(&rows(60, 7), &mut scores);
    draft.profile.score = NumericProfile::of(scores);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/v1.hfm");
    std::fs::write(path, draft.encode(&rows(6, 1), schema()).unwrap()).unwrap();
}
