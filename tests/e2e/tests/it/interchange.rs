//! Models of other libraries on the command line: from a file to a champion that serves, and back to a file.

use std::path::PathBuf;

use serde_json::Value;

use crate::command_line::{Up, text};

fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/interchange")
        .join(path)
}

#[tokio::test]
async fn a_model_of_another_library_becomes_champion_serves_and_goes_back_to_a_file() {
    let up = Up::start().await;
    let bank = up.simulate("bank.csv", "2000").await;
    let file = fixture("models/customers-xgboost.ubj");
    let imported = up
        .json(&[
            "models",
            "import",
            text(&file),
            "--snapshot",
            text(&bank),
            "--promote",
            "--seed",
            "7",
        ])
        .await;
    assert_eq!(
        (&imported["version"], &imported["promoted"]),
        (&1.into(), &true.into()),
        "{imported}"
    );
    let shown = up.json(&["models", "show", "1"]).await;
    assert_eq!(shown["family"], "boosted_trees", "{shown}");
    let customers = up.simulate("customers.csv", "50").await;
    let scored = up.file("scores.csv");
    let scored = up
        .json(&["score", "--source", text(&customers), "--out", text(&scored)])
        .await;
    assert_eq!(scored["versions"], serde_json::json!([1]), "{scored}");

    let out = up.file("churn.json");
    let exported = up.json(&["models", "export", "1", "--out", text(&out)]).await;
    let document: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(
        exported["size_bytes"],
        std::fs::metadata(&out).unwrap().len(),
        "{exported}"
    );
    assert_eq!(document["learner"]["objective"]["name"], "binary:logistic");

    // The rows that the first run took in, by the beginning of their name; without a word, nothing is promoted.
    let digest = up.json(&["data", "list"]).await;
    let listed = digest["snapshots"].as_array().unwrap().iter();
    let whole: Vec<&str> = listed
        .filter(|snapshot| snapshot["rows"] == 2_000)
        .map(|snapshot| snapshot["digest"].as_str().unwrap())
        .collect();
    let again = up
        .json(&["models", "import", text(&out), "--snapshot", &whole[0][..12]])
        .await;
    assert_eq!(
        (&again["version"], &again["promoted"]),
        (&2.into(), &false.into()),
        "{again}"
    );
    let log = up.json(&["champion", "log"]).await;
    assert_eq!(log["entries"].as_array().unwrap().len(), 1, "{log}");

    let lightgbm = fixture("models/customers-lightgbm.txt");
    up.json(&["models", "import", text(&lightgbm), "--snapshot", whole[0]])
        .await;
    let refused = up.cli(&["models", "export", "3", "--out", text(&out)]).await;
    assert_eq!((refused.code(), refused.stdout.as_str()), (Some(1), ""));
    assert!(refused.stderr.contains("compare in 64 bits"), "{}", refused.stderr);
    up.end().await;
}

#[tokio::test]
async fn a_file_that_is_no_model_is_refused_with_what_to_do() {
    let up = Up::start().await;
    let bank = up.simulate("bank.csv", "500").await;
    let pickle = up.file("model.pkl");
    std::fs::write(&pickle, b"\x80\x04\x95 a pickle").unwrap();
    let unnamed = fixture("models/xgboost-unnamed.json");
    for (file, parts) in [
        (&pickle, ["pickle", "save_model"]),
        (&bank, ["none of the formats", "bank.csv"]),
        (&unnamed, ["does not name its 9 columns", "columns"]),
    ] {
        let refused = up
            .cli(&["models", "import", text(file), "--snapshot", text(&bank), "--json"])
            .await;
        assert_eq!((refused.code(), refused.stdout.as_str()), (Some(1), ""));
        for part in parts {
            assert!(refused.stderr.contains(part), "no {part} in: {}", refused.stderr);
        }
    }
    let refused = up
        .cli(&["models", "import", text(&unnamed), "--snapshot", "abcdef12"])
        .await;
    assert!(refused.stderr.contains("no snapshot begins with"), "{}", refused.stderr);
    // Nothing was left of any of them.
    let none = up.cli(&["models"]).await;
    assert!(none.stderr.contains("no model named churn"), "{}", none.stderr);
    up.end().await;
}
