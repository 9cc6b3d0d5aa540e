//! The five services as five processes on free ports, over one directory of blobs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use holdfast_api::customer::to_wire;
use holdfast_api::inference::v1::inference_service_client::InferenceServiceClient;
use holdfast_api::inference::v1::{PredictRequest, PredictResponse};
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::settings::ClientSettings;
use holdfast_domain::{Customer, Schema};
use holdfast_storage::{BlobStore, BlobStoreSettings};
use holdfast_testkit::{Process, ProcessBuilder, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Finished, PATIENCE, binary, record, run};

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Registry,
    Training,
    Inference,
    Monitoring,
    Gateway,
}

impl Name {
    pub(crate) const ALL: [Self; 5] = [
        Self::Registry,
        Self::Training,
        Self::Inference,
        Self::Monitoring,
        Self::Gateway,
    ];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Training => "training",
            Self::Inference => "inference",
            Self::Monitoring => "monitoring",
            Self::Gateway => "gateway",
        }
    }
}

struct Service {
    process: Process,
    /// gRPC, or HTTP of the gateway.
    address: SocketAddr,
    admin: SocketAddr,
}

/// Five processes. All of them end with this value.
pub(crate) struct Cluster {
    services: BTreeMap<Name, Service>,
    http: reqwest::Client,
    directory: TempDir,
}

impl Cluster {
    /// Starts all five, and waits until all but inference, which has no model yet, are ready.
    pub(crate) async fn start() -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut cluster = Self {
            services: BTreeMap::new(),
            http,
            directory: tempfile::tempdir().unwrap(),
        };
        for name in Name::ALL {
            cluster.spawn(name, "127.0.0.1:0".parse().unwrap()).await;
        }
        for name in Name::ALL.into_iter().filter(|name| *name != Name::Inference) {
            cluster.ready(name).await;
        }
        cluster
    }

    /// Kills a service without warning.
    pub(crate) async fn kill(&mut self, name: Name) {
        let process = &mut self.service_mut(name).process;
        process.kill();
        process.wait_exit(PATIENCE).await;
    }

    /// Starts a service again where it was, on the state it left, and waits until it is ready.
    pub(crate) async fn revive(&mut self, name: Name) {
        let address = self.service(name).address;
        self.spawn(name, address).await;
        self.ready(name).await;
    }

    /// Stops a service from running until it is resumed.
    pub(crate) fn pause(&mut self, name: Name) {
        self.service_mut(name).process.pause();
    }

    /// Lets a paused service run on.
    pub(crate) fn resume(&mut self, name: Name) {
        self.service_mut(name).process.resume();
    }

    /// The gateway as `--url` wants it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.service(Name::Gateway).address)
    }

    /// Where a service answers gRPC.
    pub(crate) fn grpc_url(&self, name: Name) -> String {
        format!("http://{}", self.service(name).address)
    }

    /// A connection to a service.
    pub(crate) fn channel(&self, name: Name) -> Channel {
        let client = ClientBuilder::new(self.grpc_url(name), &ClientSettings::default());
        client.channel().unwrap()
    }

    /// The process of a service.
    pub(crate) fn process_id(&self, name: Name) -> u32 {
        self.service(name).process.id()
    }

    /// A folder for the test's own files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The blobs that the services share.
    pub(crate) async fn blobs(&self) -> Arc<dyn BlobStore> {
        BlobStoreSettings::default().open(self.directory.path()).await.unwrap()
    }

    /// Runs the command line against this cluster.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Finished {
        let url = self.url();
        run(arguments.iter().copied().chain(["--json", "--url", &url])).await
    }

    /// Trains on simulated customers and waits until inference is ready.
    pub(crate) async fn train(&self, seed: u64, more: &[&str]) -> Value {
        let (file, seed) = (self.file(&format!("bank-{seed}.csv")), seed.to_string());
        let file = file.to_str().unwrap();
        let simulated = self
            .cli(&[
                "simulate",
                "customers",
                "--rows",
                "3000",
                "--seed",
                &seed,
                "--out",
                file,
            ])
            .await
            .json();
        assert_eq!(simulated["rows"], 3_000);
        let arguments: Vec<&str> = ["train", "--source", file]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let trained = self.cli(&arguments).await.json();
        self.ready(Name::Inference).await;
        trained
    }

    /// Asks about customers over REST.
    pub(crate) async fn predict_rest(&self, customers: &[Customer]) -> Value {
        self.predictions(customers, false).await
    }

    /// Asks about customers and for reasons over REST.
    pub(crate) async fn predict_explained(&self, customers: &[Customer]) -> Value {
        self.predictions(customers, true).await
    }

    async fn predictions(&self, customers: &[Customer], explain: bool) -> Value {
        let records: Vec<Value> = customers.iter().map(record).collect();
        let url = format!("{}/api/v1/predictions", self.url());
        let answer = self
            .http
            .post(url)
            .json(&json!({ "records": records, "explain": explain }))
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_success(),
            "{}: {}",
            answer.status(),
            answer.text().await.unwrap()
        );
        answer.json().await.unwrap()
    }

    /// Asks about a customer over gRPC.
    pub(crate) async fn predict_grpc(&self, customer: &Customer) -> PredictResponse {
        let request = PredictRequest {
            customer: Some(to_wire(customer, Schema::embedded())),
            ..Default::default()
        };
        InferenceServiceClient::new(self.channel(Name::Inference))
            .predict(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// Asks about a customer over REST and over gRPC, expects the same bits, and answers the version and the probability. The names under which the
    /// prediction log must have the answers go to `names`.
    pub(crate) async fn predict(&self, customer: &Customer, names: &mut Vec<String>) -> (u64, f64) {
        let over_rest = self.predict_rest(std::slice::from_ref(customer)).await;
        let over_grpc = self.predict_grpc(customer).await;
        let probability = over_rest["predictions"][0]["probability"].as_f64().unwrap();
        assert_eq!(
            over_grpc.prediction.unwrap().probability.to_bits(),
            probability.to_bits()
        );
        let model = over_grpc.served_by.unwrap().model.unwrap();
        assert_eq!(over_rest["version"], model.version);
        names.extend([
            over_rest["request_id"].as_str().unwrap().to_owned(),
            over_grpc.request_id,
        ]);
        (model.version.into(), probability)
    }

    /// A path of the gateway.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url())).send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{path}: {}: {}",
            answer.status(),
            answer.text().await.unwrap()
        );
        answer.json().await.unwrap()
    }

    /// Brings every acknowledged prediction into the blob store.
    pub(crate) async fn flush(&self) -> Value {
        let answer = self
            .http
            .post(format!("{}/api/v1/prediction-log/flush", self.url()))
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_success(),
            "{}: {}",
            answer.status(),
            answer.text().await.unwrap()
        );
        answer.json().await.unwrap()
    }

    /// A metric of a service, summed over its labels.
    pub(crate) async fn metric(&self, name: Name, metric: &str) -> f64 {
        let text = self
            .http
            .get(format!("http://{}/metrics", self.service(name).admin))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(metric).filter(|rest| rest.starts_with(['{', ' ']))?;
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        });
        let values: Vec<f64> = values.collect();
        assert!(!values.is_empty(), "{} has no metric {metric}", name.text());
        values.iter().sum()
    }

    /// Waits until a service says that it is ready.
    pub(crate) async fn ready(&self, name: Name) {
        let url = format!("http://{}/readyz", self.service(name).admin);
        eventually(&format!("{} to be ready", name.text()), PATIENCE, async || {
            self.http
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    fn service(&self, name: Name) -> &Service {
        self.services
            .get(&name)
            .unwrap_or_else(|| panic!("{} was never started", name.text()))
    }

    fn service_mut(&mut self, name: Name) -> &mut Service {
        self.services
            .get_mut(&name)
            .unwrap_or_else(|| panic!("{} was never started", name.text()))
    }

    async fn spawn(&mut self, name: Name, address: SocketAddr) {
        let section = name.text().to_uppercase();
        let directory = self.directory.path();
        // One data directory for all, as on one machine; the blobs lie in it.
        let mut program = ProcessBuilder::new(binary(&format!("holdfast-{}", name.text())))
            .clear_env()
            .current_dir(directory)
            .env("HOLDFAST_DATA_DIR", directory)
            .env(format!("HOLDFAST_{section}__BIND"), address.to_string())
            .env(format!("HOLDFAST_{section}__ADMIN"), "127.0.0.1:0");
        for (peer, service) in self.services.iter().filter(|(peer, _)| **peer != Name::Gateway) {
            program = program.env(
                format!("HOLDFAST_PEERS__{}", peer.text().to_uppercase()),
                format!("http://{}", service.address),
            );
        }
        let process = program.spawn();
        let line = process
            .wait_for_line("its addresses", PATIENCE, |line| {
                line.text.contains("\"message\":\"listening\"")
            })
            .await;
        let said: Value = serde_json::from_str(&line).unwrap();
        let part = |key: &str| {
            said[key]
                .as_str()
                .unwrap_or_else(|| panic!("no {key} in {line}"))
                .parse::<SocketAddr>()
                .unwrap()
        };
        let bound = part(if name == Name::Gateway { "http" } else { "grpc" });
        self.services.insert(
            name,
            Service {
                process,
                address: bound,
                admin: part("admin"),
            },
        );
    }
}
