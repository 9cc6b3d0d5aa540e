//! Reading a table in pieces.

use holdfast_domain::{Feature, Schema, Strictness};
use holdfast_sources::{ChunkReader, SourceSpec, write};

use crate::support::{Files, customers, problems};

async fn open(spec: &SourceSpec, rows: usize) -> ChunkReader {
    ChunkReader::open(spec, Schema::embedded(), Strictness::Training, rows)
        .await
        .unwrap()
}

#[tokio::test]
async fn chunks_put_together_are_the_table() {
    let files = Files::new();
    let customers = customers(2_100);
    for name in ["a.csv", "a.db"] {
        let spec = files.spec(name);
        write(&spec, &customers, Schema::embedded()).await.unwrap();
        for chunk_rows in [1, 7, 512, 700, 2_099, 2_100, 5_000] {
            let mut reader = open(&spec, chunk_rows).await;
            let mut together = Vec::new();
            while let Some(chunk) = reader.next_chunk().await.unwrap() {
                assert!(chunk.len() == chunk_rows || together.len() + chunk.len() == customers.len());
                together.extend(chunk);
            }
            assert_eq!(together, customers, "{name} by {chunk_rows}");
            assert_eq!(reader.rows_read(), 2_100);
            assert_eq!(reader.next_chunk().await.unwrap(), None, "the end stays the end");
        }
    }
}

#[tokio::test]
async fn a_bad_row_ends_the_reading_and_is_counted_from_the_start_of_the_table() {
    let files = Files::new();
    let mut customers = customers(1_000);
    customers[707].features.set(Feature::TotalTransCt, -1.0);
    let spec = files.spec("a.csv");
    write(&spec, &customers, Schema::embedded()).await.unwrap();
    let mut reader = open(&spec, 100).await;
    for _ in 0..7 {
        assert_eq!(reader.next_chunk().await.unwrap().unwrap().len(), 100);
    }
    let error = reader.next_chunk().await.unwrap_err();
    assert_eq!(problems(&error), [(Some(708), "Total_Trans_Ct", "below_minimum")]);
    assert_eq!(reader.next_chunk().await.unwrap(), None);
}

#[tokio::test]
async fn a_reader_dropped_midway_leaves_the_database_free() {
    let files = Files::new();
    let spec = files.spec("a.db");
    write(&spec, &customers(5_000), Schema::embedded()).await.unwrap();
    let mut reader = open(&spec, 10).await;
    assert_eq!(reader.next_chunk().await.unwrap().unwrap().len(), 10);
    drop(reader);
    let other = SourceSpec::parse(&format!("{}?table=other", files.path("a.db").display())).unwrap();
    write(&other, &customers(60), Schema::embedded()).await.unwrap();
}

#[tokio::test]
async fn an_empty_table_has_no_chunk() {
    let files = Files::new();
    let spec = files.spec("a.csv");
    write(&spec, &[], Schema::embedded()).await.unwrap();
    assert_eq!(open(&spec, 100).await.next_chunk().await.unwrap(), None);
}
