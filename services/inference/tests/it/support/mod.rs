//! What these tests share: small artefacts, a registry that can be killed, a service on free ports.

pub(crate) mod model;
pub(crate) mod registry;
pub(crate) mod rollout;
pub(crate) mod sandbox;

pub(crate) use model::{artifact, customer, customers, full_row};
pub(crate) use registry::FakeRegistry;
pub(crate) use sandbox::{MODEL, SOON, Sandbox, Service};
