//! Tables in S3, on a real server.

use holdfast_domain::Schema;
use holdfast_sources::{S3Object, SourceError, SourceSpec, fetch, write};
use holdfast_storage::{S3Settings, Secret};
use holdfast_testkit::SeaweedS3;

use crate::support::{Files, customers, train};

#[tokio::test]
async fn an_object_is_fetched_and_read_as_a_file() {
    let server = SeaweedS3::shared().await;
    let settings = S3Settings {
        endpoint: Some(server.endpoint().to_owned()),
        path_style: true,
        access_key_id: Some(server.access_key_id().to_owned()),
        secret_access_key: Some(Secret::new(server.secret_access_key())),
        ..S3Settings::default()
    };
    let files = Files::new();
    let customers = customers(300);
    write(&files.spec("bank.csv"), &customers, Schema::embedded())
        .await
        .unwrap();

    let text = format!("s3://{}/tables/bank.csv", server.bucket());
    let spec = SourceSpec::parse(&text).unwrap();
    assert_eq!(spec.to_string(), text);
    let SourceSpec::S3(object) = spec else {
        panic!("{text} is an object")
    };
    let missing = fetch(&object, &settings, &files.path("copy")).await.unwrap_err();
    assert!(
        matches!(&missing, SourceError::NotFound { name } if *name == text),
        "{missing}"
    );

    let (store, key) = object.open(&settings).await.unwrap();
    store.put_file(&key, &files.path("bank.csv")).await.unwrap();
    let fetched = fetch(&object, &settings, &files.path("copy")).await.unwrap();
    assert_eq!(
        fetched.object.size_bytes,
        std::fs::metadata(files.path("bank.csv")).unwrap().len()
    );
    assert!(fetched.object.etag.is_some());
    assert_eq!(train(&fetched.spec).await.unwrap(), customers);
    assert_eq!(S3Object::parse(&text).unwrap(), object);
}
