//! What MLflow's client writes beside a model: the files of `tests/fixtures/mlmodels` are as its release 3.17.2 wrote them.

use holdfast_interchange::{MAX_MLMODEL_BYTES, MlModel, MlModelError};

fn written(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/mlmodels");
    std::fs::read_to_string(format!("{folder}/{name}.yaml")).unwrap()
}

fn refusal(text: &str) -> String {
    MlModel::read(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn the_file_and_the_columns_of_both_libraries_are_found() {
    let read = |name: &str| MlModel::read(written(name).as_bytes()).unwrap();
    let booster = read("xgboost-booster");
    assert_eq!((booster.library, booster.file.as_str()), ("xgboost", "model.ubj"));
    assert_eq!(booster.columns, ["Customer_Age", "Credit_Limit"]);
    let classifier = read("xgboost-classifier");
    assert_eq!((classifier.library, classifier.file.as_str()), ("xgboost", "model.ubj"));
    assert!(classifier.columns.is_empty());
    let booster = read("lightgbm-booster");
    assert_eq!((booster.library, booster.file.as_str()), ("lightgbm", "model.lgb"));
}

#[test]
fn a_signature_of_tensors_names_no_columns() {
    let tensor = r#"[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]"#;
    let text = written("xgboost-booster");
    let (start, end) = (text.find("  inputs: ").unwrap(), text.find("  outputs: ").unwrap());
    let text = format!("{}  inputs: '{tensor}'\n{}", &text[..start], &text[end..]);
    assert!(MlModel::read(text.as_bytes()).unwrap().columns.is_empty());
}

#[test]
fn python_objects_are_refused_with_what_to_do_instead() {
    let text = written("lightgbm-classifier");
    let said = refusal(&text);
    for part in [
        "model.skops",
        "LGBMClassifier",
        "never opened",
        "mlflow.lightgbm.log_model(model.booster_",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let pickled = text.replace("model.skops", "model.pkl");
    let refused = MlModel::read(pickled.as_bytes());
    assert!(matches!(
        refused,
        Err(MlModelError::Pickled {
            library: "lightgbm",
            ..
        })
    ));
}

#[test]
fn other_flavors_are_refused_by_their_names() {
    let said = refusal(
        "flavors:\n  python_function:\n    model_path: model.skops\n  sklearn:\n    pickled_model: model.skops\n",
    );
    for part in ["python_function, sklearn", "never opened", "mlflow.xgboost.log_model"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_is_no_description_is_refused_and_read_within_bounds() {
    assert!(refusal("flavors: [1, 2]").contains("cannot be read"));
    assert!(refusal("flavors:\n  xgboost: {}\n").contains("names no file"));
    assert!(matches!(
        MlModel::read(&vec![b'#'; MAX_MLMODEL_BYTES + 1]),
        Err(MlModelError::TooLarge { .. })
    ));
    assert!(matches!(MlModel::read(b"\xff\xfe"), Err(MlModelError::Malformed(_))));
    // A text that would grow a thousandfold with every line.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
    }
    assert!(MlModel::read((bomb + "flavors: {}\n").as_bytes()).is_err());
}
