//! Files of runs and logged models: streamed in and out, whole or not there, by path.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::artifact_service_client::ArtifactServiceClient;
use holdfast_api::registry::v1::read_artifact_response::Part as ReadPart;
use holdfast_api::registry::v1::write_artifact_request::Part as WritePart;
use holdfast_chassis::settings::Common;
use holdfast_domain::Digest;
use holdfast_records::layout::artifact_key;
use holdfast_registry::{ArtifactSettings, Settings};
use holdfast_storage::{BlobStoreKind, S3Settings, Secret, list_all};
use holdfast_testkit::{Line, ProcessBuilder, SeaweedS3, Stream, eventually};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::support::{Registry, reason, settings, violated};

type Client = ArtifactServiceClient<Channel>;

const PATIENCE: Duration = Duration::from_secs(60);
const MIB: usize = 1024 * 1024;

fn part(part: WritePart) -> wire::WriteArtifactRequest {
    wire::WriteArtifactRequest { part: Some(part) }
}

fn header(path: &str) -> wire::WriteArtifactRequest {
    part(WritePart::Header(wire::ArtifactHeader { path: path.to_owned() }))
}

fn chunk(bytes: &[u8]) -> wire::WriteArtifactRequest {
    part(WritePart::Chunk(bytes.to_vec()))
}

fn end(sha256: &str) -> wire::WriteArtifactRequest {
    part(WritePart::End(wire::ArtifactEnd {
        sha256: sha256.to_owned(),
    }))
}

async fn send(client: &Client, messages: Vec<wire::WriteArtifactRequest>) -> Result<wire::ArtifactInfo, Status> {
    let answer = client.clone().write_artifact(tokio_stream::iter(messages)).await?;
    Ok(answer.into_inner().artifact.unwrap())
}

pub(crate) async fn write(client: &Client, path: &str, bytes: &[u8]) -> Result<wire::ArtifactInfo, Status> {
    let chunks = bytes.chunks(MIB).map(chunk);
    let messages = std::iter::once(header(path)).chain(chunks).chain([end("")]);
    send(client, messages.collect()).await
}

/// What came before the end or an error, and the error.
async fn read(client: &Client, path: &str) -> Result<(wire::ArtifactInfo, Vec<u8>, Option<Status>), Status> {
    let request = wire::ReadArtifactRequest { path: path.to_owned() };
    let mut parts = client.clone().read_artifact(request).await?.into_inner();
    let file = match parts.next().await.unwrap()?.part {
        Some(ReadPart::Artifact(file)) => file,
        other => unreachable!("the first message has the file, not {other:?}"),
    };
    let mut bytes = Vec::new();
    while let Some(message) = parts.next().await {
        match message {
            Ok(message) => match message.part {
                Some(ReadPart::Chunk(chunk)) => {
                    assert!(chunk.len() <= MIB);
                    bytes.extend(chunk);
                }
                other => unreachable!("bytes come after the file, not {other:?}"),
            },
            Err(status) => return Ok((file, bytes, Some(status))),
        }
    }
    Ok((file, bytes, None))
}

async fn list(client: &Client, path: &str, page_size: u32) -> Vec<(String, bool, u64)> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = wire::ListArtifactsRequest {
            path: path.to_owned(),
            page_size,
            page_token,
        };
        let page = client.clone().list_artifacts(request).await.unwrap().into_inner();
        assert!(page_size == 0 || page.artifacts.len() <= page_size as usize);
        all.extend(
            page.artifacts
                .into_iter()
                .map(|file| (file.path, file.is_dir, file.size_bytes)),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

async fn delete(client: &Client, path: &str) -> Result<u64, Status> {
    let request = wire::DeleteArtifactsRequest { path: path.to_owned() };
    Ok(client.clone().delete_artifacts(request).await?.into_inner().files)
}

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    (0..bytes as u64)
        .map(|at| (at.wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32).to_le_bytes()[0])
        .collect()
}

fn with_artifacts(artifacts: ArtifactSettings) -> Settings {
    Settings {
        artifacts,
        ..Settings::on_free_ports()
    }
}

/// Sizes of the uploads at work, of all registries of a data directory.
fn uploads(dir: &Path) -> Vec<u64> {
    let entries = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let sessions = entries(&dir.join("registry-uploads")).filter(|entry| entry.file_type().unwrap().is_dir());
    let files = sessions.flat_map(|session| entries(&session.path()).collect::<Vec<_>>());
    let files = files.filter(|file| file.file_name().to_string_lossy().starts_with("upload-"));
    // One that ends meanwhile is none.
    files.filter_map(|file| Some(file.metadata().ok()?.len())).collect()
}

/// A registry whose blobs lie below a prefix of its own of a real S3 server.
async fn on_s3(dir: &Path) -> Registry {
    static PREFIXES: AtomicUsize = AtomicUsize::new(0);
    let server = SeaweedS3::shared().await;
    let (mut common, own): (Common, Settings) = settings(dir);
    common.blob_store.kind = BlobStoreKind::S3;
    common.blob_store.s3 = S3Settings {
        bucket: server.bucket().to_owned(),
        prefix: format!("registry/{}", PREFIXES.fetch_add(1, Ordering::Relaxed)),
        endpoint: Some(server.endpoint().to_owned()),
        path_style: true,
        access_key_id: Some(server.access_key_id().to_owned()),
        secret_access_key: Some(Secret::new(server.secret_access_key())),
        timeout_ms: 60_000,
        ..S3Settings::default()
    };
    Registry::start_as(dir, common, own).await
}

async fn files_come_back_as_they_went_in(registry: Registry) {
    let client = &registry.artifacts;
    let large = noise(5 * MIB + 3, 1);
    let stored = write(client, "3/run/artifacts/model/model.ubj", &large).await.unwrap();
    assert_eq!(stored.path, "3/run/artifacts/model/model.ubj");
    assert_eq!((stored.size_bytes, stored.is_dir), (large.len() as u64, false));
    assert_eq!(stored.digest, Digest::of(&large).to_string());
    write(client, "3/run/artifacts/empty", b"").await.unwrap();
    write(client, "3/run/artifacts/the same", &large).await.unwrap();

    for path in ["3/run/artifacts/model/model.ubj", "3/run/artifacts/the same"] {
        let (file, bytes, error) = read(client, path).await.unwrap();
        assert!(error.is_none(), "{error:?}");
        assert_eq!((&*file.path, file.size_bytes), (path, large.len() as u64));
        assert!(bytes == large, "{path}");
    }
    assert!(read(client, "3/run/artifacts/empty").await.unwrap().1.is_empty());
    let blobs = list_all(&*registry.blobs, "artifacts").await.unwrap();
    assert_eq!(blobs.len(), 2, "equal files are stored once: {blobs:?}");

    write(client, "3/run/artifacts/the same", b"other").await.unwrap();
    assert_eq!(read(client, "3/run/artifacts/the same").await.unwrap().1, b"other");
    assert!(read(client, "3/run/artifacts/model/model.ubj").await.unwrap().1 == large);

    assert_eq!(delete(client, "3/run/artifacts/model").await.unwrap(), 1);
    let gone = read(client, "3/run/artifacts/model/model.ubj").await.unwrap_err();
    assert_eq!((gone.code(), &*reason(&gone)), (Code::NotFound, "NO_SUCH_ARTIFACT"));
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_back_as_they_went_in_on_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    files_come_back_as_they_went_in(Registry::start(dir.path()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_back_as_they_went_in_on_s3() {
    let dir = tempfile::tempdir().unwrap();
    files_come_back_as_they_went_in(on_s3(dir.path()).await).await;
}

#[tokio::test]
async fn a_folder_lists_what_is_directly_in_it_in_pages_of_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path()).await;
    let client = &registry.artifacts;
    let paths = [
        "3/r/a",
        "3/r/b.txt",
        "3/r/b/1",
        "3/r/b/2/x",
        "3/r/b/2/y",
        "3/r/b0/z",
        "3/r/c d/ä",
        "3/r/é",
        "3/r2/q",
        "4/x",
    ];
    for path in paths {
        write(client, path, path.as_bytes()).await.unwrap();
    }
    let file = |name: &str, size: u64| (name.to_owned(), false, size);
    let folder = |name: &str| (name.to_owned(), true, 0);
    for page in [0, 1, 2, 3, 7] {
        assert_eq!(list(client, "", page).await, [folder("3"), folder("4")], "{page}");
        let expected = [
            file("a", 5),
            file("b.txt", 9),
            folder("b"),
            folder("b0"),
            folder("c d"),
            file("é", 6),
        ];
        assert_eq!(list(client, "3/r", page).await, expected, "{page}");
        assert_eq!(list(client, "3/r/b", page).await, [file("1", 7), folder("2")], "{page}");
        for nothing in ["3/r/a", "3/r/nothing", "5"] {
            assert_eq!(list(client, nothing, page).await, [], "{nothing}");
        }
    }
    assert_eq!(delete(client, "3/r/b").await.unwrap(), 3);
    assert_eq!(list(client, "3/r", 0).await.len(), 5);
    let missing = delete(client, "3/r/b").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    registry.stop().await;
}

#[tokio::test]
async fn a_folder_of_many_files_is_listed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path()).await;
    for number in 0..600 {
        let path = format!(
            "1/r/artifacts/{}{number:03}",
            if number % 2 == 0 { "deep/d" } else { "f" }
        );
        write(&registry.artifacts, &path, b"same").await.unwrap();
    }
    let names = list(&registry.artifacts, "1/r/artifacts", 100).await;
    assert_eq!(names.len(), 301, "300 files and a folder");
    assert_eq!(list(&registry.artifacts, "1/r/artifacts/deep", 0).await.len(), 300);
    registry.stop().await;
}

#[tokio::test]
async fn an_upload_that_does_not_end_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path()).await;
    let client = &registry.artifacts;
    write(client, "1/file", b"before").await.unwrap();
    let broken = [
        (vec![chunk(b"x"), end("")], "header"),
        (vec![header("1/file"), chunk(b"x")], "end"),
        (vec![header("1/file"), chunk(b"x"), header("1/file")], "header"),
        (vec![header("1/file"), chunk(&vec![0; MIB + 1])], "chunk"),
        (vec![header("1/file"), chunk(b"x"), end("abc")], "end.sha256"),
        (
            vec![header("1/file"), chunk(b"x"), end(&Digest::of(b"y").to_string())],
            "end.sha256",
        ),
        (vec![header("../file"), chunk(b"x"), end("")], "path"),
        (vec![header("1//file"), chunk(b"x"), end("")], "path"),
    ];
    for (messages, field) in broken {
        let refused = send(client, messages).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(violated(&refused)[0].0, field);
    }
    let digest = Digest::of(b"x").to_string();
    send(client, vec![header("1/other"), chunk(b"x"), end(&digest)])
        .await
        .unwrap();

    // A caller that goes away in the middle.
    let (sender, messages) = mpsc::channel(4);
    sender.send(header("1/file")).await.unwrap();
    sender.send(chunk(&noise(1000, 3))).await.unwrap();
    let call = tokio::spawn({
        let mut client = client.clone();
        async move { client.write_artifact(ReceiverStream::new(messages)).await }
    });
    let spooling = async || uploads(dir.path()).contains(&1000);
    eventually("the upload is spooled", PATIENCE, spooling).await;
    call.abort();
    eventually("the spool is empty", PATIENCE, async || uploads(dir.path()).is_empty()).await;
    assert_eq!(read(client, "1/file").await.unwrap().1, b"before");
    let blobs = list_all(&*registry.blobs, "artifacts").await.unwrap();
    assert_eq!(blobs.len(), 2);
    drop(sender);
    registry.stop().await;
}

#[tokio::test]
async fn a_path_is_a_file_or_a_folder_and_files_of_versions_are_only_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"artefact").await;
    let client = &registry.artifacts;
    write(client, "1/a/b", b"x").await.unwrap();
    for path in ["1/a", "1", "1/a/b/c", "1/a/b/c/d"] {
        let refused = write(client, path, b"x").await.unwrap_err();
        assert_eq!(reason(&refused), "ARTIFACT_PATH_TAKEN", "{path}");
    }
    for path in ["models/churn/1/model.hfm", "models", "models/x"] {
        assert_eq!(reason(&write(client, path, b"x").await.unwrap_err()), "READ_ONLY_PATH");
        assert_eq!(reason(&delete(client, path).await.unwrap_err()), "READ_ONLY_PATH");
    }
    assert_eq!(list(client, "models", 1).await, [("churn".to_owned(), true, 0)]);
    assert_eq!(list(client, "models/churn", 1).await, [("1".to_owned(), true, 0)]);
    let files = list(client, "models/churn/1", 1).await;
    let names: Vec<_> = files.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["manifest.json", "model.hfm"]);
    let (file, bytes, error) = read(client, "models/churn/1/model.hfm").await.unwrap();
    assert_eq!((bytes.as_slice(), error.is_none()), (&b"artefact"[..], true));
    assert_eq!(file.digest, Digest::of(b"artefact").to_string());
    for path in [
        "models/churn/2/model.hfm",
        "models/churn/1",
        "models/churn/1/x",
        "models",
    ] {
        assert_eq!(read(client, path).await.unwrap_err().code(), Code::NotFound, "{path}");
    }
    registry.stop().await;
}

#[tokio::test]
async fn limits_are_kept_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let limits = ArtifactSettings {
        max_file_bytes: 1_000,
        max_spool_bytes: 1_500,
        ..ArtifactSettings::default()
    };
    let registry = Registry::start_with(dir.path(), with_artifacts(limits)).await;
    let client = &registry.artifacts;
    let refused = write(client, "1/large", &noise(1_001, 1)).await.unwrap_err();
    assert_eq!(
        (refused.code(), &*reason(&refused)),
        (Code::ResourceExhausted, "ARTIFACT_TOO_LARGE")
    );
    assert!(refused.message().contains("1000"), "{refused:?}");
    write(client, "1/just", &noise(1_000, 1)).await.unwrap();

    // One upload holds most of the spool; what goes beyond is refused until it ends.
    let (sender, messages) = mpsc::channel(4);
    sender.send(header("1/slow")).await.unwrap();
    sender.send(chunk(&noise(900, 2))).await.unwrap();
    let slow = tokio::spawn({
        let mut client = client.clone();
        async move { client.write_artifact(ReceiverStream::new(messages)).await }
    });
    let spooling = async || uploads(dir.path()).contains(&900);
    eventually("the slow upload is spooled", PATIENCE, spooling).await;
    let refused = write(client, "1/second", &noise(700, 3)).await.unwrap_err();
    assert_eq!(
        (refused.code(), &*reason(&refused)),
        (Code::ResourceExhausted, "SPOOL_FULL")
    );
    sender.send(end("")).await.unwrap();
    slow.await.unwrap().unwrap();
    write(client, "1/second", &noise(700, 3)).await.unwrap();
    registry.stop().await;
}

#[tokio::test]
async fn a_flipped_byte_is_told_and_never_handed_out_whole() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path()).await;
    let client = &registry.artifacts;
    let bytes = noise(3 * MIB, 9);
    write(client, "1/r/model.bin", &bytes).await.unwrap();
    let key = artifact_key(&Digest::of(&bytes), 0);
    for at in [0, MIB + 17, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        registry.blobs.put(&key, damaged.into()).await.unwrap();
        let (_, came, error) = read(client, "1/r/model.bin").await.unwrap();
        let error = error.unwrap();
        assert_eq!((error.code(), &*reason(&error)), (Code::DataLoss, "ARTIFACT_DAMAGED"));
        assert!(error.message().contains("1/r/model.bin"), "{error:?}");
        assert!(came.len() < bytes.len());
    }
    registry.blobs.put(&key, bytes[1..].to_vec().into()).await.unwrap();
    let short = read(client, "1/r/model.bin").await.unwrap_err();
    assert_eq!(short.code(), Code::DataLoss);
    let again = write(client, "1/r/again.bin", &bytes).await.unwrap_err();
    assert_eq!((again.code(), &*reason(&again)), (Code::DataLoss, "ARTIFACT_DAMAGED"));
    registry.blobs.delete(&key).await.unwrap();
    let gone = read(client, "1/r/model.bin").await.unwrap_err();
    assert_eq!(gone.code(), Code::DataLoss);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_of_a_path_one_is_left_whole() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path()).await;
    let bodies: Vec<Vec<u8>> = (0..16).map(|seed| noise(200_000 + seed, seed as u64)).collect();
    let writers = bodies
        .iter()
        .map(|body| write(&registry.artifacts, "1/r/contested", body));
    for written in futures::future::join_all(writers).await {
        written.unwrap();
    }
    let (_, bytes, error) = read(&registry.artifacts, "1/r/contested").await.unwrap();
    assert!(error.is_none() && bodies.contains(&bytes));
    registry.stop().await;
}

/// A second registry over the same folders, as while one replaces another, takes no upload from the first.
#[tokio::test]
async fn a_registry_that_starts_leaves_the_uploads_of_another_alone() {
    let dir = tempfile::tempdir().unwrap();
    let first = Registry::start(dir.path()).await;
    let (sender, messages) = mpsc::channel(4);
    sender.send(header("1/r/model")).await.unwrap();
    sender.send(chunk(&noise(1000, 3))).await.unwrap();
    let slow = tokio::spawn({
        let mut client = first.artifacts.clone();
        async move { client.write_artifact(ReceiverStream::new(messages)).await }
    });
    let spooling = async || uploads(dir.path()).contains(&1000);
    eventually("the upload is spooled", PATIENCE, spooling).await;
    let second = Registry::start(dir.path()).await;
    assert_eq!(uploads(dir.path()), [1000]);
    sender.send(end("")).await.unwrap();
    slow.await.unwrap().unwrap();
    assert_eq!(read(&second.artifacts, "1/r/model").await.unwrap().1, noise(1000, 3));
    second.stop().await;
    first.stop().await;
}

/// Killed in the middle of an upload that replaces a file: the file is as before, and nothing of the upload is left.
#[tokio::test]
async fn a_kill_in_the_middle_of_an_upload_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = ProcessBuilder::new(env!("CARGO_BIN_EXE_holdfast-registry"))
        .clear_env()
        .current_dir(dir.path())
        .env("HOLDFAST_DATA_DIR", dir.path())
        .env("HOLDFAST_REGISTRY__BIND", "127.0.0.1:0")
        .env("HOLDFAST_REGISTRY__ADMIN", "127.0.0.1:0")
        .spawn();
    let listening = |line: &Line| line.stream == Stream::Stderr && line.text.contains("\"listening\"");
    let line = process.wait_for_line("the addresses", PATIENCE, listening).await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = format!("http://{}", line["grpc"].as_str().unwrap());
    let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
    let client = ArtifactServiceClient::new(channel);
    write(&client, "1/r/model", b"before").await.unwrap();

    let (sender, messages) = mpsc::channel(4);
    sender.send(header("1/r/model")).await.unwrap();
    sender.send(chunk(&noise(300_000, 5))).await.unwrap();
    let call = tokio::spawn({
        let mut client = client.clone();
        async move { client.write_artifact(ReceiverStream::new(messages)).await }
    });
    let spooling = async || uploads(dir.path()).iter().any(|bytes| *bytes > 0);
    eventually("the upload is spooled", PATIENCE, spooling).await;
    process.kill();
    assert!(call.await.unwrap().is_err());
    assert_eq!(uploads(dir.path()).len(), 1, "a killed process cleans up nothing");

    let registry = Registry::start(dir.path()).await;
    assert_eq!(uploads(dir.path()), Vec::<u64>::new());
    assert_eq!(read(&registry.artifacts, "1/r/model").await.unwrap().1, b"before");
    assert_eq!(list_all(&*registry.blobs, "artifacts").await.unwrap().len(), 1);
    registry.stop().await;
}
