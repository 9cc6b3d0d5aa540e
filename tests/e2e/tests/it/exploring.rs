//! `holdfast data explore`: a report of a table that nobody has cleaned, without any service.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Finished, run};

/// Adds a column that is the target under another name, with a name that would be markup if it were not escaped.
const LEAK: &str = "<b>told</b>";

async fn table(directory: &Path) -> PathBuf {
    let path = directory.join("customers.csv");
    let made = run([
        "simulate",
        "customers",
        "--rows",
        "400",
        "--out",
        path.to_str().unwrap(),
    ])
    .await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    let target = header.split(',').position(|column| column == "Attrition_Flag").unwrap();
    let mut told = format!("{header},{LEAK}\n");
    for line in lines {
        let left = line.split(',').nth(target).unwrap().starts_with("Attrited");
        told += &format!("{line},{}\n", if left { "gone" } else { "here" });
    }
    std::fs::write(&path, told).unwrap();
    path
}

async fn explore(source: &Path, out: &Path, more: &[&str]) -> Finished {
    let (source, out) = (source.to_str().unwrap(), out.to_str().unwrap());
    let arguments = ["data", "explore", "--source", source, "--out", out];
    run(arguments.iter().chain(more)).await
}

#[tokio::test]
async fn a_report_names_the_column_that_leaks_and_needs_nothing_but_itself() {
    let directory = tempfile::tempdir().unwrap();
    let source = table(directory.path()).await;
    let out = directory.path().join("report.html");
    let more = [
        "--json",
        "--folds",
        "2",
        "--repeats",
        "1",
        "--engineered",
        "Amount_Each=Total_Trans_Amt/Total_Trans_Ct",
    ];
    let found = explore(&source, &out, &more).await.json();

    let screens = found["screens"].as_array().unwrap();
    let leaks = |screen: &&Value| {
        screen["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|w| w["severity"] == "leak")
    };
    let leaking: Vec<&str> = screens
        .iter()
        .filter(leaks)
        .map(|screen| screen["name"].as_str().unwrap())
        .collect();
    assert_eq!(leaking, [LEAK]);
    assert_eq!(found["families"]["families"].as_array().unwrap().len(), 3);
    let tried: Vec<&str> = found["engineered"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert!(
        tried.contains(&"Amount_Each") && tried.contains(&"Activity_Growth"),
        "{tried:?}"
    );

    let page = std::fs::read_to_string(&out).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("&lt;b&gt;told&lt;/b&gt;") && !page.contains(LEAK));
    for outside in ["<script", "src=\"http", "href=\"http", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn the_same_table_and_seed_give_the_same_numbers_with_one_thread_or_two() {
    let directory = tempfile::tempdir().unwrap();
    let source = table(directory.path()).await;
    let out = directory.path().join("report.html");
    let mut found = Vec::new();
    for threads in ["1", "2"] {
        let more = ["--json", "--folds", "2", "--repeats", "1", "--threads", threads];
        let mut numbers = explore(&source, &out, &more).await.json();
        for family in numbers["families"]["families"].as_array_mut().unwrap() {
            // How long a fit takes is the one thing that may differ.
            assert!(family.as_object_mut().unwrap().remove("fit_seconds").is_some());
        }
        found.push(numbers);
    }
    assert_eq!(found[0], found[1]);
}

#[tokio::test]
async fn what_cannot_be_explored_is_said_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let nothing = directory.path().join("nothing.csv");
    std::fs::write(&nothing, "Customer_Age,Gender\n40,F\n").unwrap();
    let out = directory.path().join("report.html");
    let no_target = explore(&nothing, &out, &[]).await;
    assert_eq!(no_target.code(), Some(1));
    assert!(
        no_target.stderr.contains("there is no column Attrition_Flag"),
        "{}",
        no_target.stderr
    );
    let absent = explore(&directory.path().join("absent.csv"), &out, &[]).await;
    assert_eq!(absent.code(), Some(1), "{}", absent.stderr);
    let unknown = explore(&nothing, &out, &["--engineered", "X=Customer_Age/Nothing"]).await;
    assert_eq!(unknown.code(), Some(2));
    assert!(unknown.stderr.contains("Nothing"), "{}", unknown.stderr);
    let files: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, ["nothing.csv"]);
}
