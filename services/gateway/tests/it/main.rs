//! The gateway over real HTTP, with stand-ins for the other services behind real gRPC.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod answers;
mod classic;
mod edge;
mod evidence;
mod failures;
mod fakes;
mod imports;
mod interchange;
mod limits;
mod lineage;
mod mlflow;
mod mlflow_files;
mod mlflow_models;
mod mlflow_runs;
mod models;
mod monitoring;
mod observed;
mod open_inference;
mod openapi;
mod predictions;
mod process;
mod promotions;
mod retention;
mod rollouts;
mod stack;
mod status;
mod streams;
mod training;
mod webhooks;
