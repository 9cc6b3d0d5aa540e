//! Descriptor sets: which methods there are, and reflection.
//!
//! A set that describes everything, comments included, takes milliseconds to read, and hardly any server is ever asked for it. So only names are read
//! when a server starts; the rest is when somebody asks.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use ::http::{Request, Response};
use futures::future::BoxFuture;
use prost::Message as _;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service;

/// What this server has beside the services it was given.
const OWN_SERVICES: [&str; 2] = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];

/// A method as its descriptor says.
pub(super) struct MethodInfo {
    /// `package.Service/Method`
    pub(super) name: String,
    pub(super) server_streaming: bool,
}

/// `google.protobuf.FileDescriptorSet` as far as the names of methods: fields that are not declared are skipped.
#[derive(prost::Message)]
struct NamesOfFiles {
    #[prost(message, repeated, tag = "1")]
    file: Vec<NamesOfFile>,
}

/// `google.protobuf.FileDescriptorProto`
#[derive(prost::Message)]
struct NamesOfFile {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    service: Vec<NamesOfService>,
}

/// `google.protobuf.ServiceDescriptorProto`
#[derive(prost::Message)]
struct NamesOfService {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<NameOfMethod>,
}

/// `google.protobuf.MethodDescriptorProto`
#[derive(prost::Message)]
struct NameOfMethod {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "6")]
    server_streaming: bool,
}

/// The services and methods of encoded descriptor sets; only those of `services` if that is not empty.
pub(super) fn methods(
    sets: &[&[u8]],
    services: &[String],
) -> Result<(Vec<String>, Vec<MethodInfo>), prost::DecodeError> {
    let mut names = Vec::new();
    let mut methods = Vec::new();
    for set in sets {
        for NamesOfFile { package, service } in NamesOfFiles::decode(*set)?.file {
            for service in service {
                let name = if package.is_empty() {
                    service.name
                } else {
                    format!("{package}.{}", service.name)
                };
                if names.contains(&name) || !(services.is_empty() || services.contains(&name)) {
                    continue;
                }
                methods.extend(service.method.into_iter().map(|method| MethodInfo {
                    name: format!("{name}/{}", method.name),
                    server_streaming: method.server_streaming,
                }));
                names.push(name);
            }
        }
    }
    Ok((names, methods))
}

/// `grpc.reflection.v1.ServerReflection`, made when it is first asked.
#[derive(Clone)]
pub(super) struct Reflection(Arc<Inner>);

struct Inner {
    sets: Vec<&'static [u8]>,
    services: Vec<String>,
    /// Or what is wrong with the sets.
    made: OnceLock<Result<Routes, String>>,
}

impl Reflection {
    /// Reflection over these services, as the sets describe them.
    pub(super) fn new(sets: Vec<&'static [u8]>, services: Vec<String>) -> Self {
        Self(Arc::new(Inner {
            sets,
            services,
            made: OnceLock::new(),
        }))
    }
}

impl Inner {
    fn make(&self) -> Result<Routes, String> {
        let mut reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        for set in &self.sets {
            reflection = reflection.register_encoded_file_descriptor_set(set);
        }
        for service in self.services.iter().map(String::as_str).chain(OWN_SERVICES) {
            reflection = reflection.with_service_name(service);
        }
        let service = reflection.build_v1().map_err(|error| error.to_string())?;
        Ok(Routes::new(service))
    }
}

impl NamedService for Reflection {
    const NAME: &'static str = OWN_SERVICES[1];
}

impl Service<Request<Body>> for Reflection {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            match inner.made.get_or_init(|| inner.make()) {
                Ok(service) => service.clone().call(request).await,
                Err(error) => Ok(Status::internal(format!("descriptor set: {error}")).into_http()),
            }
        })
    }
}
