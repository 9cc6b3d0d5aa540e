//! Tables taken in, and tables refused.

use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::TableFormat;
use holdfast_api::training::v1::import_snapshot_request::Part;
use holdfast_chassis::Code;
use holdfast_domain::Schema;
use holdfast_records::layout;

use crate::support::{Setup, csv, directory, fault};

async fn lines(rows: usize) -> Vec<String> {
    let bytes = csv(&holdfast_simulator::customers(rows, 5)).await;
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// The file with one cell changed; `row` is counted from 1 without the header.
fn with_cell(lines: &[String], row: usize, column: &str, value: &str) -> Vec<String> {
    let place = lines[0].split(',').position(|name| name == column).unwrap();
    let mut lines = lines.to_vec();
    let mut cells: Vec<&str> = lines[row].split(',').collect();
    cells[place] = value;
    lines[row] = cells.join(",");
    lines
}

#[tokio::test]
async fn a_bad_cell_is_named_by_row_column_and_rule() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let mut table = with_cell(&lines(100).await, 17, "Gender", "X");
    table = with_cell(&table, 30, "Credit_Limit", "-5");
    let refused = bench
        .import_bytes(TableFormat::Csv, "march.csv", table.join("\n").as_bytes())
        .await;
    let refused = fault(refused);
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::InvalidArgument, "INVALID_TABLE")
    );
    let found: Vec<(&str, &str)> = refused
        .violations
        .iter()
        .map(|bad| (bad.field.as_str(), bad.rule.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("row 17, Gender", "unknown_category"),
            ("row 30, Credit_Limit", "below_minimum")
        ]
    );
    assert_eq!(refused.metadata["violations_total"], "2");
    assert!(
        refused.message.starts_with("march.csv cannot be used: "),
        "{}",
        refused.message
    );
    bench.stop().await;
}

#[tokio::test]
async fn violations_beyond_what_an_answer_holds_are_counted() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let mut table = lines(300).await;
    for row in 1..=300 {
        table = with_cell(&table, row, "Gender", "X");
    }
    let refused = fault(
        bench
            .import_bytes(TableFormat::Csv, "", table.join("\n").as_bytes())
            .await,
    );
    assert!(
        refused.violations.len() <= 100 && refused.violations.len() > 10,
        "{}",
        refused.violations.len()
    );
    assert_eq!(refused.metadata["violations_total"], "300");
    bench.stop().await;
}

#[tokio::test]
async fn a_table_without_customers_who_left_is_refused() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let mut customers = holdfast_simulator::customers(200, 5);
    for customer in &mut customers {
        customer.label = Some(false);
    }
    let refused = fault(
        bench
            .import_bytes(TableFormat::Csv, "loyal.csv", &csv(&customers).await)
            .await,
    );
    let found: Vec<(&str, &str)> = refused
        .violations
        .iter()
        .map(|bad| (bad.field.as_str(), bad.rule.as_str()))
        .collect();
    assert_eq!(found, [("Attrition_Flag", "single_class")]);
    bench.stop().await;
}

#[tokio::test]
async fn leaking_columns_are_dropped_and_reported_and_the_same_rows_are_the_same_snapshot() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let plain = lines(120).await;
    let plain_answer = bench
        .import_bytes(TableFormat::Csv, "plain.csv", plain.join("\n").as_bytes())
        .await
        .unwrap();
    assert!(plain_answer.dropped_columns.is_empty());
    let mut leaking: Vec<String> = plain.iter().map(|line| format!("{line},0.9")).collect();
    leaking[0] = format!("{},Naive_Bayes_Classifier_1", plain[0]);
    let answer = bench
        .import_bytes(TableFormat::Csv, "leaking.csv", leaking.join("\n").as_bytes())
        .await
        .unwrap();
    assert_eq!(answer.dropped_columns, ["Naive_Bayes_Classifier_1"]);
    let snapshot = answer.snapshot.unwrap();
    assert_eq!(
        Some(&snapshot),
        plain_answer.snapshot.as_ref(),
        "the first import's source stands"
    );
    assert_eq!((snapshot.rows, snapshot.source.as_str()), (120, "plain.csv"));
    assert_eq!(snapshot.schema_digest, Schema::embedded().digest().to_string());

    // A snapshot's own Parquet is a table, too.
    let key = layout::snapshot_key(&snapshot.digest.parse().unwrap());
    let parquet = bench.blobs.get(&key).await.unwrap();
    let again = bench
        .import_bytes(TableFormat::Parquet, "again.parquet", &parquet)
        .await
        .unwrap();
    assert_eq!(again.snapshot.unwrap().digest, snapshot.digest);
    bench.stop().await;
}

#[tokio::test]
async fn what_is_no_table_is_refused_with_what_is_wrong() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    for (format, bytes) in [
        (TableFormat::Csv, &b""[..]),
        (TableFormat::Csv, &b"CLIENTNUM;Gender\n1;M\n"[..]),
        (TableFormat::Parquet, &b"PAR1 and nothing else"[..]),
    ] {
        let refused = fault(bench.import_bytes(format, "odd", bytes).await);
        assert_eq!(
            (refused.code, refused.reason.as_ref()),
            (Code::InvalidArgument, "UNREADABLE_TABLE")
        );
        assert!(
            refused.message.starts_with("odd cannot be read: "),
            "{}",
            refused.message
        );
        assert!(
            !refused.message.contains("import-"),
            "a temporary name is shown: {}",
            refused.message
        );
    }
    let refused = fault(bench.import_bytes(TableFormat::Unspecified, "odd", b"").await);
    assert_eq!(refused.violations[0].field, "header.format");
    let chunk = wire::ImportSnapshotRequest {
        part: Some(Part::Chunk(vec![1])),
    };
    let refused = fault(bench.training.import_snapshot(tokio_stream::iter([chunk])).await);
    assert_eq!(refused.violations[0].field, "header");
    bench.stop().await;
}

#[tokio::test]
async fn half_a_table_becomes_no_snapshot() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let customers = csv(&holdfast_simulator::customers(200, 1)).await;
    let half = customers[..customers.len() / 2].to_vec();
    let message = |part| wire::ImportSnapshotRequest { part: Some(part) };
    let header = wire::ImportSnapshotHeader {
        format: TableFormat::Csv.into(),
        source: "half.csv".to_owned(),
    };
    let whole = wire::ImportSnapshotEnd {
        size_bytes: customers.len() as u64,
    };
    for (end, field) in [(None, "end"), (Some(whole), "end.size_bytes")] {
        let parts = [Part::Header(header.clone()), Part::Chunk(half.clone())];
        let messages: Vec<_> = parts.into_iter().chain(end.map(Part::End)).map(message).collect();
        let refused = fault(bench.training.import_snapshot(tokio_stream::iter(messages)).await);
        assert_eq!(refused.violations[0].field, field);
    }
    let listed = bench
        .training
        .list_snapshots(wire::ListSnapshotsRequest::default())
        .await;
    assert!(listed.unwrap().into_inner().snapshots.is_empty());
    bench.stop().await;
}

#[tokio::test]
async fn a_table_beyond_the_limit_is_refused_before_it_is_read() {
    let dir = directory();
    let mut setup = Setup::new(dir.path(), None);
    setup.settings.max_snapshot_bytes = 10_000;
    let mut bench = setup.start().await;
    let refused = fault(
        bench
            .import_bytes(TableFormat::Csv, "large.csv", &vec![b'x'; 10_001])
            .await,
    );
    assert_eq!(
        (refused.code, refused.reason.as_ref()),
        (Code::ResourceExhausted, "TABLE_TOO_LARGE")
    );
    assert_eq!(refused.metadata["limit_bytes"], "10000");
    let left = std::fs::read_dir(dir.path().join("training-incoming")).unwrap().count();
    assert_eq!(left, 0, "files of the refused import are left");
    bench.stop().await;
}

#[tokio::test]
async fn snapshots_are_listed_in_pages() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let mut digests = Vec::new();
    for seed in 0..3 {
        digests.push(bench.import(&holdfast_simulator::customers(60, seed)).await);
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = wire::ListSnapshotsRequest {
            page_size: 2,
            page_token,
        };
        let page = bench.training.list_snapshots(request).await.unwrap().into_inner();
        listed.extend(page.snapshots.into_iter().map(|snapshot| snapshot.digest));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    digests.reverse();
    assert_eq!(listed, digests);
    bench.stop().await;
}
