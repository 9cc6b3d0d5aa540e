//! What routes are registered with. One attribute on a handler routes and describes it; to serve it, the description is dropped route by route: all of
//! them together are megabytes, which the process would keep.

use axum::Router;
use http::Method;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::{App, compression, openapi};

/// Takes routes in.
pub(super) trait Register: Default {
    /// Handlers of one path.
    #[must_use]
    fn routes(self, handlers: UtoipaMethodRouter<App>) -> Self;
    /// The routes of both.
    #[must_use]
    fn merge(self, others: Self) -> Self;
    /// Compresses the answers of the routes so far, for those who accept it.
    #[must_use]
    fn compressed(self) -> Self;
}

/// Routes and their description.
impl Register for OpenApiRouter<App> {
    fn routes(self, handlers: UtoipaMethodRouter<App>) -> Self {
        self.routes(handlers)
    }

    fn merge(self, others: Self) -> Self {
        self.merge(others)
    }

    fn compressed(self) -> Self {
        self.layer(compression::layer())
    }
}

/// Routes, and of their description no more than the names: method and template.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) router: Router<App>,
    pub(super) names: Vec<(Method, String)>,
}

impl Register for Named {
    fn routes(mut self, (_, paths, handlers): UtoipaMethodRouter<App>) -> Self {
        for (path, item) in &paths.paths {
            self.router = self.router.route(path, handlers.clone());
            self.names
                .extend(openapi::methods(item).map(|method| (method, path.clone())));
        }
        self
    }

    fn merge(mut self, others: Self) -> Self {
        self.names.extend(others.names);
        Self {
            router: self.router.merge(others.router),
            ..self
        }
    }

    fn compressed(self) -> Self {
        Self {
            router: self.router.layer(compression::layer()),
            ..self
        }
    }
}
