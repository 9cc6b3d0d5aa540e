//! Compiles the artefact's messages into `OUT_DIR`, without `protoc`.

use std::error::Error;

const PROTO_ROOT: &str = "../../proto";
const PROTO: &str = "holdfast/model/v1/model.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_ROOT}/{PROTO}");
    let descriptors = protox::compile([PROTO], [PROTO_ROOT])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
