//! Drafts become bytes, bytes become models.

use holdfast_domain::{Feature, FeatureVector, Schema};
use holdfast_model::{DecodeError, EncodeError, InputKind, Model, ThresholdPolicy};

use crate::support::{Kind, artifact, draft, model, rows, schema};

#[test]
fn the_same_draft_gives_the_same_bytes() {
    for kind in Kind::ALL {
        assert_eq!(artifact(kind, 5), artifact(kind, 5), "{kind:?}");
        assert_ne!(artifact(kind, 5), artifact(kind, 6), "{kind:?}");
    }
}

#[test]
fn the_order_of_parameters_does_not_change_the_bytes() {
    let mut reversed = draft(Kind::Boosted, 5);
    reversed.origin.parameters.reverse();
    assert_eq!(
        reversed.encode(&rows(8, 5), schema()).unwrap(),
        artifact(Kind::Boosted, 5)
    );
}

#[test]
fn what_was_encoded_is_what_is_decoded() {
    for kind in Kind::ALL {
        let draft = draft(kind, 9);
        let preview = draft.preview(schema()).unwrap();
        let model = model(kind, 9);
        model.check_golden().unwrap();
        assert_eq!(model.golden_rows().len(), 8);
        assert_eq!(model.preprocessing(), &draft.preprocessing);
        assert_eq!(model.ensemble(), &draft.ensemble);
        assert_eq!(model.calibration(), &draft.calibration);
        assert_eq!(model.profile(), &draft.profile);
        assert_eq!(model.threshold_policy(), &draft.threshold);
        assert_eq!(model.threshold_policy().policy, ThresholdPolicy::BestF1 { f1: 0.91 });
        let mut origin = draft.origin.clone();
        origin.parameters.sort();
        assert_eq!(model.origin(), &origin);
        assert_eq!(model.signature(), preview.signature());
        for features in rows(30, 1) {
            assert_eq!(model.score(&features).to_bits(), preview.score(&features).to_bits());
        }
    }
}

#[test]
fn the_signature_says_what_training_saw() {
    let signature = model(Kind::Boosted, 1).signature().clone();
    assert_eq!(signature.schema_digest, schema().digest());
    assert_eq!(signature.inputs.len(), Feature::ALL.len());
    let limit = signature.input(Feature::CreditLimit).unwrap();
    assert!(limit.required && limit.used);
    let values: Vec<f64> = rows(60, 7)
        .iter()
        .filter_map(|row| row.get(Feature::CreditLimit))
        .collect();
    let range = (
        values.iter().copied().fold(f64::MAX, f64::min),
        values.iter().copied().fold(f64::MIN, f64::max),
    );
    assert_eq!(
        limit.kind,
        InputKind::Numeric {
            integer: schema().column(Feature::CreditLimit).integer,
            range: Some(range)
        }
    );
    let gender = signature.input(Feature::Gender).unwrap();
    assert_eq!(
        gender.kind,
        InputKind::Categorical {
            categories: schema().column(Feature::Gender).categories.clone()
        }
    );
    assert!(!gender.required);
}

#[test]
fn a_reader_with_another_schema_order_scores_the_same_customers_the_same() {
    let text = include_str!("../../../../config/schema.yaml").replace("categories: [F, M]", "categories: [X, M, F]");
    let other = Schema::parse(&text).unwrap();
    for kind in Kind::ALL {
        let bytes = artifact(kind, 3);
        let (here, there) = (
            Model::decode(&bytes, schema()).unwrap(),
            Model::decode(&bytes, &other).unwrap(),
        );
        there.check_golden().unwrap();
        for features in rows(40, 2) {
            let mut translated = features;
            let known = features.get(Feature::Gender).filter(|code| *code >= 0.0);
            let name = known.and_then(|code| schema().category_name(Feature::Gender, code as usize));
            if let Some(code) = name.and_then(|name| other.category_code(Feature::Gender, name)) {
                translated.set(Feature::Gender, code as f64);
            }
            assert_eq!(here.score(&features).to_bits(), there.score(&translated).to_bits());
        }
        // A category that only the reader's schema has is one the model never saw.
        let mut unseen = FeatureVector::MISSING;
        unseen.set(Feature::Gender, 0.0);
        assert_eq!(there.out_of_domain(&unseen), [Feature::Gender]);
    }
}

#[test]
fn a_reader_whose_schema_lacks_a_category_refuses_the_model() {
    let text = include_str!("../../../../config/schema.yaml").replace("categories: [F, M]", "categories: [F, W]");
    let error = Model::decode(&artifact(Kind::Boosted, 3), &Schema::parse(&text).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid artefact: signature.inputs[1]: category \"M\" of Gender is not in the schema"
    );
}

#[test]
fn a_draft_without_golden_rows_is_refused() {
    assert_eq!(
        draft(Kind::Boosted, 1).encode(&[], schema()).unwrap_err(),
        EncodeError::NoGoldenRows
    );
}

#[test]
fn a_broken_draft_is_refused_with_the_place() {
    let mut broken = draft(Kind::Logistic, 1);
    broken.threshold.value = 1.5;
    let error = broken.encode(&rows(1, 1), schema()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid model draft: threshold.value: 1.5 is not within 0..1"
    );

    let mut broken = draft(Kind::Logistic, 1);
    broken.preprocessing.columns.pop();
    let error = broken.encode(&rows(1, 1), schema()).unwrap_err().to_string();
    assert!(
        error.starts_with("invalid model draft: ensemble.members[0].linear.coefficients: there are"),
        "{error}"
    );

    let mut broken = draft(Kind::Boosted, 1);
    broken.ensemble.members.clear();
    let error = broken.preview(schema()).unwrap_err().to_string();
    assert_eq!(
        error,
        "invalid model draft: ensemble.members: there are 0, allowed are 1 to 64"
    );

    let mut broken = draft(Kind::Boosted, 1);
    broken.preprocessing.columns.truncate(2);
    let error = broken.preview(schema()).unwrap_err().to_string();
    assert!(
        error.starts_with("invalid model draft: ensemble.members[0].trees[") && error.contains("of 2 columns"),
        "{error}"
    );
}

#[test]
fn decode_errors_say_what_the_bytes_are_not() {
    let decode = |bytes: &[u8]| Model::decode(bytes, schema()).unwrap_err();
    assert_eq!(decode(&[]).to_string(), "not a model artefact: the file is empty");
    assert!(matches!(
        decode(b"CLIENTNUM,Attrition_Flag"),
        DecodeError::NotAnArtifact(_)
    ));
    let mut newer = artifact(Kind::Boosted, 1);
    newer[1] = 2;
    assert_eq!(
        decode(&newer),
        DecodeError::UnsupportedFormat { found: 2, supported: 1 }
    );
    let mut flipped = artifact(Kind::Boosted, 1);
    flipped[100] ^= 1;
    assert!(matches!(decode(&flipped), DecodeError::DigestMismatch { .. }));
    let mut longer = artifact(Kind::Boosted, 1);
    longer.extend([0x20, 1]);
    assert_eq!(decode(&longer), DecodeError::NotCanonical);
}
