//! Calls into a gRPC server of the same process: the same layers, limits and metrics, no message written out and read again.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::uri::PathAndQuery;
use ::http::{Request, Response, Uri};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service as _};

use super::grpc::Grpc;
use super::layers::RequestLayers;
use crate::deadline;
use crate::error::Fault;

/// A service of this process behind the layers of its server. Clones are the same one.
pub struct Local<T: ?Sized> {
    layers: RequestLayers<Grpc>,
    service: Arc<T>,
}

impl<T: ?Sized> Local<T> {
    pub(super) fn new(layers: RequestLayers<Grpc>, service: Arc<T>) -> Self {
        Self { layers, service }
    }

    /// Calls a method of the service as a client on the network would: counted under `path`, refused when too many run, ended after `timeout` or by the
    /// server's deadline, a panic made an answer.
    ///
    /// # Errors
    /// The method's status, or that of a layer.
    pub async fn call<Q, A, F, Fut>(
        &self,
        path: &'static str,
        timeout: Duration,
        request: tonic::Request<Q>,
        method: F,
    ) -> Result<tonic::Response<A>, Status>
    where
        F: FnOnce(Arc<T>, tonic::Request<Q>) -> Fut,
        Fut: Future<Output = Result<tonic::Response<A>, Status>>,
    {
        let (metadata, extensions, message) = request.into_parts();
        let mut head = Request::new(());
        *head.uri_mut() = Uri::from(PathAndQuery::from_static(path));
        *head.headers_mut() = metadata.into_headers();
        let inner = tonic::Request::from_parts(tonic::metadata::MetadataMap::new(), extensions, message);
        // The layers know bodies of bytes: the answer goes around them.
        let answer = Mutex::new(None);
        // Stays where it is: each layer would copy it into a future of its own.
        let mut work = Some(pin!(method(self.service.clone(), inner)));
        let answering = tower::service_fn(|_: Request<()>| {
            let work = work.take();
            let answer = &answer;
            async move {
                let answered = match work {
                    Some(work) => work.await,
                    None => Err(Fault::internal("CALLED_AGAIN", "internal error").into()),
                };
                Ok::<_, Infallible>(match answered {
                    Ok(response) => {
                        *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
                        Response::new(Body::empty())
                    }
                    Err(status) => status.into_http(),
                })
            }
        });
        let answered = {
            // In force while the layers take the request, and theirs from then on: a header would have to be written and read.
            let _scope = deadline::enter(Instant::now() + timeout);
            self.layers.layer(answering).call(head)
        };
        let Ok(head) = answered.await;
        match answer.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(response) => Ok(response),
            None => Err(Status::from_header_map(head.headers())
                .unwrap_or_else(|| Fault::internal("NO_ANSWER", "internal error").into())),
        }
    }
}

impl<T: ?Sized> Clone for Local<T> {
    fn clone(&self) -> Self {
        Self {
            layers: self.layers.clone(),
            service: self.service.clone(),
        }
    }
}

impl<T: ?Sized> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}
