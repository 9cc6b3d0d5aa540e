//! Compiles `proto/` with a pure-Rust compiler: no machine needs `protoc`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;

const PROTOS: &[&str] = &[
    "holdfast/common/v1/customer.proto",
    "holdfast/common/v1/model_ref.proto",
    "holdfast/common/v1/rollout.proto",
    "holdfast/common/v1/validation.proto",
    "holdfast/inference/v1/inference.proto",
    "holdfast/registry/v1/artifacts.proto",
    "holdfast/registry/v1/imports.proto",
    "holdfast/registry/v1/lineage.proto",
    "holdfast/registry/v1/logged_models.proto",
    "holdfast/registry/v1/retention.proto",
    "holdfast/registry/v1/webhooks.proto",
    "holdfast/registry/v1/promotion.proto",
    "holdfast/registry/v1/tracking.proto",
    "holdfast/registry/v1/models.proto",
    "holdfast/registry/v1/registered_models.proto",
    "holdfast/registry/v1/rollout.proto",
    "holdfast/registry/v1/champion.proto",
    "holdfast/training/v1/training.proto",
    "holdfast/monitoring/v1/monitoring.proto",
    "open_inference/v2/open_inference.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    for proto in PROTOS {
        println!("cargo::rerun-if-changed={}", root.join(proto).display());
    }
    let descriptors = protox::compile(PROTOS, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Served by gRPC reflection.
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Its customers are checked as they are read.
        .extern_path(
            ".holdfast.inference.v1.PredictBatchRequest",
            "crate::batch::PredictBatchRequest",
        )
        .compile_fds(descriptors)?;
    Ok(())
}
