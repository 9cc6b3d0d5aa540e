//! What MLflow's client writes beside a model. The texts are those of its release 3.17.2, cut where nothing of interest stands.

use holdfast_interchange::{MAX_MLMODEL_BYTES, MlModel, MlModelError};

const XGBOOST: &str = r#"artifact_path: mlflow-artifacts:/1/models/m-8e538ba2ce5649c9b7890f2339875c59/artifacts
flavors:
  python_function:
    data: model.ubj
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.xgboost
    python_version: 3.11.7
  xgboost:
    code: null
    data: model.ubj
    model_class: xgboost.sklearn.XGBClassifier
    model_format: ubj
    xgb_version: 3.2.0
mlflow_version: 3.17.2
model_id: m-8e538ba2ce5649c9b7890f2339875c59
model_size_bytes: 10690
prompts: null
run_id: b1d80bcad8444a88a704cac5b08ef9a6
signature:
  inputs: '[{"type": "double", "name": "Customer_Age", "required": true}, {"type": "string",
    "name": "Gender", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}]'
  params: null
utc_time_created: '2026-11-23 17:55:38.330489'
"#;

fn lightgbm(file: &str, class: &str) -> String {
    format!(
        "flavors:\n  lightgbm:\n    code: null\n    data: {file}\n    lgb_version: 4.6.0\n    model_class: {class}\n  \
         python_function:\n    data: {file}\n    loader_module: mlflow.lightgbm\nmlflow_version: 3.17.2\n"
    )
}

fn refusal(text: &str) -> String {
    MlModel::read(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn the_file_and_the_columns_of_both_libraries_are_found() {
    let xgboost = MlModel::read(XGBOOST.as_bytes()).unwrap();
    assert_eq!((xgboost.library, xgboost.file.as_str()), ("xgboost", "model.ubj"));
    assert_eq!(xgboost.columns, ["Customer_Age", "Gender"]);
    let booster = MlModel::read(lightgbm("model.lgb", "lightgbm.basic.Booster").as_bytes()).unwrap();
    assert_eq!((booster.library, booster.file.as_str()), ("lightgbm", "model.lgb"));
    assert!(booster.columns.is_empty());
}

#[test]
fn a_signature_of_tensors_names_no_columns() {
    let tensor = r#"[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]"#;
    let start = XGBOOST.find("  inputs: ").unwrap();
    let end = XGBOOST.find("  outputs: ").unwrap();
    let text = format!("{}  inputs: '{tensor}'\n{}", &XGBOOST[..start], &XGBOOST[end..]);
    assert!(MlModel::read(text.as_bytes()).unwrap().columns.is_empty());
}

#[test]
fn python_objects_are_refused_with_what_to_do_instead() {
    let said = refusal(&lightgbm("model.pkl", "lightgbm.sklearn.LGBMClassifier"));
    for part in [
        "model.pkl",
        "LGBMClassifier",
        "never opened",
        "mlflow.lightgbm.log_model(model.booster_",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let text = lightgbm("model.skops", "lightgbm.sklearn.LGBMClassifier");
    let refused = MlModel::read(text.as_bytes());
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
