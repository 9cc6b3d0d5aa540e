//! The wire contracts of Holdfast: messages, clients and servers generated from `proto/` at build time.
//!
//! Module names follow the proto packages (`registry::v1` is `holdfast.registry.v1`). Wire types stop at a
//! service's adapter (`grpc.rs`); what the adapters of several services share, the conversion of time and of
//! customers, lives here too.

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "generated from commented protos"
)]
mod generated {
    pub mod common {
        pub mod v1 {
            tonic::include_proto!("holdfast.common.v1");
        }
    }
    pub mod inference {
        pub mod v1 {
            tonic::include_proto!("holdfast.inference.v1");
            pub use crate::batch::PredictBatchRequest;
        }
    }
    pub mod registry {
        pub mod v1 {
            tonic::include_proto!("holdfast.registry.v1");
        }
    }
    pub mod training {
        pub mod v1 {
            tonic::include_proto!("holdfast.training.v1");
        }
    }
    pub mod monitoring {
        pub mod v1 {
            tonic::include_proto!("holdfast.monitoring.v1");
        }
    }
    pub mod open_inference {
        pub mod v2 {
            tonic::include_proto!("inference");
        }
    }
}

pub use generated::{common, inference, monitoring, open_inference, registry, training};

/// Inference as callers of the same process see it, whatever its type is.
pub type DynInferenceService = dyn inference::v1::inference_service_server::InferenceService<
        PredictStreamStream = tonic::codegen::BoxStream<inference::v1::PredictStreamResponse>,
    >;

pub mod batch;
pub mod customer;
pub mod time;

/// The encoded `FileDescriptorSet` of all packages, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
