//! What is on record of a version: its card, the files of its evaluation, and its making again, from the command line to the blobs and back.

use holdfast_storage::{BlobStoreSettings, Key};

use crate::command_line::{Up, text};

/// Flips a bit of the artefact in the stack's blobs.
async fn damage(up: &Up) {
    let blobs = BlobStoreSettings::default().open(&up.file("data")).await.unwrap();
    let key = Key::parse("models/churn/1/model.hfm").unwrap();
    let mut bytes = blobs.get(&key).await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    blobs.put(&key, bytes.into()).await.unwrap();
}

#[tokio::test]
async fn a_version_has_a_card_and_files_and_is_made_again_to_the_byte() {
    let up = Up::start().await;
    let bank = up.simulate("bank.csv", "2000").await;
    let trained = up
        .json(&["train", "--source", text(&bank), "--seed", "7", "--preset", "fast"])
        .await;

    for threads in ["1", "2"] {
        let again = up.json(&["models", "reproduce", "1", "--threads", threads]).await;
        assert_eq!(again["identical"], true, "{again}");
        assert_eq!(again["rebuilt_digest"], trained["artifact_digest"], "{again}");
    }

    card(&up).await;
    evaluation(&up).await;

    // An artefact that is not what was registered is told from one that comes out differently.
    damage(&up).await;
    let damaged = up.cli(&["models", "reproduce", "1", "--json"]).await;
    assert_eq!((damaged.code(), damaged.stdout.as_str()), (Some(1), ""));
    assert!(damaged.stderr.contains("model.hfm"), "{}", damaged.stderr);
    up.end().await;
}

async fn card(up: &Up) {
    let shown = up.cli(&["models", "card", "1"]).await;
    assert_eq!(shown.code(), Some(0), "{}", shown.stderr);
    assert!(
        shown.stdout.starts_with("# Model card: churn, version 1\n"),
        "{}",
        shown.stdout
    );
    let data = up.json(&["models", "card", "1"]).await;
    let headings: Vec<&str> = data["sections"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|section| section["heading"].as_str())
        .collect();
    for heading in [
        "Purpose",
        "Data",
        "Quality",
        "Calibration",
        "Groups of customers",
        "Limits",
        "How to reproduce",
    ] {
        assert!(headings.contains(&heading), "{heading} in {headings:?}");
    }
    let page = up.file("card.html");
    let written = up.json(&["models", "card", "1", "--out", text(&page)]).await;
    assert_eq!(written["format"], "html", "{written}");
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(written["size_bytes"], page.len(), "{written}");
    assert!(page.starts_with("<!doctype html>") && page.matches("<svg ").count() >= 10);
    let refused = up.cli(&["models", "card", "1", "--format", "html", "--json"]).await;
    assert_eq!((refused.code(), refused.stdout.as_str()), (Some(2), ""));
    let unknown = up.cli(&["models", "card", "9"]).await;
    assert_eq!((unknown.code(), unknown.stdout.as_str()), (Some(1), ""));
}

async fn evaluation(up: &Up) {
    let folder = up.file("plots");
    let listed = up.json(&["models", "evaluation", "1", "--out", text(&folder)]).await;
    let files = listed["files"].as_array().unwrap();
    for file in files {
        let bytes = std::fs::read(folder.join(file["name"].as_str().unwrap())).unwrap();
        assert_eq!(file["size_bytes"], bytes.len(), "{file}");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), files.len());
    assert!(files.iter().any(|file| file["name"] == "reliability.svg"), "{listed}");
    let figures = std::fs::read_to_string(folder.join("evaluation.json")).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    assert!(figures["full"]["roc_auc"]["lower"].is_f64(), "{figures}");
}
