//! How the S3 backend reads a server's answers, above all the ones that leave open what happened.

use std::time::Duration;

use futures::TryStreamExt as _;
use holdfast_storage::{BlobStore, Created, Error, Key, S3Settings, S3Store, Secret};
use holdfast_testkit::ProcessBuilder;

use crate::stub_server::{Step, StubServer};

fn key() -> Key {
    Key::parse("champion/churn/1.json").unwrap()
}

async fn create_against(script: &[Step]) -> (holdfast_storage::Result<Created>, usize) {
    let server = StubServer::start(script).await;
    let outcome = server.store().await.create(&key(), "body".into()).await;
    (outcome, server.requests().len())
}

#[tokio::test]
async fn a_create_is_a_conditional_put() {
    let server = StubServer::start(&[Step::Answer(200, "")]).await;
    assert_eq!(
        server.store().await.create(&key(), "body".into()).await.unwrap(),
        Created::Yes
    );
    let requests = server.requests();
    let [request] = requests.as_slice() else {
        panic!("one request, not {requests:?}")
    };
    assert!(
        request.line.starts_with("PUT /bucket/champion/churn/1.json"),
        "{}",
        request.line
    );
    assert!(request.has("if-none-match: *"), "{:?}", request.headers);
}

#[tokio::test]
async fn a_put_is_not_conditional() {
    let server = StubServer::start(&[Step::Answer(200, "")]).await;
    server.store().await.put(&key(), "body".into()).await.unwrap();
    assert!(!server.requests().iter().any(|request| request.has("if-none-match: *")));
}

#[tokio::test]
async fn a_failed_precondition_means_that_somebody_was_first() {
    for code in ["PreconditionFailed", ""] {
        let (outcome, requests) = create_against(&[Step::Answer(412, code)]).await;
        assert_eq!((outcome.unwrap(), requests), (Created::AlreadyExists, 1));
    }
}

#[tokio::test]
async fn a_conflict_is_tried_again_until_it_is_decided() {
    let conflict = Step::Answer(409, "ConditionalRequestConflict");
    let (outcome, requests) = create_against(&[conflict, conflict, Step::Answer(200, "")]).await;
    assert_eq!((outcome.unwrap(), requests), (Created::Yes, 3));
    let (outcome, requests) = create_against(&[conflict, Step::Answer(412, "PreconditionFailed")]).await;
    assert_eq!((outcome.unwrap(), requests), (Created::AlreadyExists, 2));
}

#[tokio::test]
async fn endless_conflict_ends() {
    let server = StubServer::start(&[Step::Answer(409, "ConditionalRequestConflict")]).await;
    let store = S3Store::open(&S3Settings {
        max_create_attempts: 3,
        ..server.settings()
    })
    .await
    .unwrap();
    let error = store.create(&key(), "body".into()).await.unwrap_err();
    assert!(
        matches!(error, Error::Contended { attempts: 3, .. }) && error.is_retryable(),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_busy_server_is_tried_again() {
    let (outcome, requests) = create_against(&[Step::Answer(503, "SlowDown"), Step::Answer(200, "")]).await;
    assert_eq!((outcome.unwrap(), requests), (Created::Yes, 2));
}

#[tokio::test]
async fn a_create_is_not_repeated_once_its_outcome_is_unknown() {
    for step in [
        Step::Answer(500, "InternalError"),
        Step::Answer(502, ""),
        Step::Answer(503, ""),
        Step::HangUp,
    ] {
        let (outcome, requests) = create_against(&[step, Step::Answer(412, "PreconditionFailed")]).await;
        assert!(
            matches!(&outcome, Err(Error::Ambiguous { key: of, .. }) if *of == key()),
            "{step:?}: {outcome:?}"
        );
        assert_eq!(requests, 1, "{step:?}");
    }
}

#[tokio::test]
async fn a_create_without_an_answer_is_ambiguous() {
    let server = StubServer::start(&[Step::Silence]).await;
    let store = S3Store::open(&S3Settings {
        timeout_ms: 300,
        ..server.settings()
    })
    .await
    .unwrap();
    let error = store.create(&key(), "body".into()).await.unwrap_err();
    assert!(
        matches!(error, Error::Ambiguous { .. }) && !error.is_retryable(),
        "{error:?}"
    );
    assert!(server.requests().len() <= 1);
}

#[tokio::test]
async fn a_create_that_is_refused_is_refused_for_good() {
    let (outcome, requests) = create_against(&[Step::Answer(403, "AccessDenied")]).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Backend { retryable: false, .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot create champion/churn/1.json: 403 AccessDenied: words"
    );
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_create_on_a_server_that_is_away_is_not_ambiguous() {
    // Bound, so that nobody else gets the port, and not listening, so that it refuses.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = Some(format!("http://{}", socket.local_addr().unwrap()));
    let server = StubServer::start(&[Step::HangUp]).await;
    let settings = S3Settings {
        max_create_attempts: 2,
        endpoint,
        ..server.settings()
    };
    let error = S3Store::open(&settings)
        .await
        .unwrap()
        .create(&key(), "body".into())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Backend { retryable: true, .. }), "{error:?}");
}

#[tokio::test]
async fn idempotent_calls_are_repeated() {
    let server = StubServer::start(&[Step::HangUp, Step::Answer(500, "InternalError"), Step::Answer(200, "")]).await;
    server.store().await.put(&key(), "body".into()).await.unwrap();
    assert_eq!(server.requests().len(), 3);
    let server = StubServer::start(&[Step::HangUp, Step::Answer(204, "")]).await;
    server.store().await.delete(&key()).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_read_without_an_answer_times_out() {
    let server = StubServer::start(&[Step::Silence]).await;
    let store = S3Store::open(&S3Settings {
        timeout_ms: 300,
        max_attempts: 1,
        ..server.settings()
    })
    .await
    .unwrap();
    let outcome = store.get(&key()).await;
    assert!(
        matches!(&outcome, Err(error @ Error::TimedOut { .. }) if error.is_retryable()),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_again_and_never_taken_for_the_whole() {
    let server = StubServer::start(&[Step::HalfABody, Step::HalfABody, Step::Answer(200, "")]).await;
    assert_eq!(server.store().await.get(&key()).await.unwrap(), "");
    assert_eq!(server.requests().len(), 3);

    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("target");
    let server = StubServer::start(&[Step::HalfABody]).await;
    let error = server.store().await.get_to_file(&key(), &target).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_body_in_pieces_is_gone_on_with_where_it_broke_off() {
    let server = StubServer::start(&[Step::HalfABody, Step::TheRest]).await;
    let body = server.store().await.open(&key()).await.unwrap();
    assert_eq!(body.size_bytes, 10);
    let pieces: Vec<_> = body.chunks.try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"half-whole");
    let requests = server.requests();
    assert!(requests[1].has("range: bytes=4-"), "{:?}", requests[1].headers);
    assert_eq!(requests.len(), 2);

    // One that begins anew where the rest was asked for is not taken.
    let server = StubServer::start(&[Step::HalfABody]).await;
    let body = server.store().await.open(&key()).await.unwrap();
    let error = body.chunks.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn opening_does_not_need_the_server() {
    let settings = S3Settings {
        bucket: "bucket".to_owned(),
        endpoint: Some("https://s3.example.invalid".to_owned()),
        access_key_id: Some("id".to_owned()),
        secret_access_key: Some(Secret::new("secret")),
        ..S3Settings::default()
    };
    let store = S3Store::open(&settings).await.unwrap();
    assert_eq!(store.describe(), "s3 bucket bucket at https://s3.example.invalid");
    assert!(!format!("{store:?} {settings:?}").contains("\"secret\""));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_an_error_of_the_connection() {
    let server = StubServer::start(&[Step::HangUp]).await;
    let mut settings = S3Settings {
        max_create_attempts: 1,
        ..server.settings()
    };
    settings.endpoint = settings
        .endpoint
        .map(|endpoint| endpoint.replace("http://", "https://"));
    let error = S3Store::open(&settings)
        .await
        .unwrap()
        .create(&key(), "body".into())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Backend { retryable: true, .. }), "{error:?}");
}

const WITHOUT_CREDENTIALS: &str = "HOLDFAST_STORAGE_WITHOUT_CREDENTIALS";

/// Runs only as the child of the test below, in an environment where the AWS tools find nothing.
#[tokio::test]
async fn a_create_in_an_environment_without_credentials() {
    if std::env::var_os(WITHOUT_CREDENTIALS).is_some() {
        let server = StubServer::start(&[Step::Answer(200, "")]).await;
        let settings = S3Settings {
            access_key_id: None,
            secret_access_key: None,
            ..server.settings()
        };
        let error = S3Store::open(&settings)
            .await
            .unwrap()
            .create(&key(), "body".into())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Backend { retryable: false, .. }), "{error:?}");
        assert!(error.to_string().contains("credential"), "{error}");
        assert_eq!(server.requests().len(), 0);
    }
}

#[tokio::test]
async fn a_lack_of_credentials_is_named_and_not_taken_for_a_lost_reply() {
    let mut child = ProcessBuilder::new(std::env::current_exe().unwrap())
        .args(["--exact", "s3_protocol::a_create_in_an_environment_without_credentials"])
        .clear_env()
        .env("HOME", "/no/such/home")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env(WITHOUT_CREDENTIALS, "yes")
        .spawn();
    let status = child.wait_exit(Duration::from_secs(60)).await;
    child.wait_output(Duration::from_secs(60)).await;
    assert!(status.success(), "{:?} {:?}", child.stdout(), child.stderr());
}
