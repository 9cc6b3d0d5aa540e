//! The OpenAPI description, generated from the handlers, and a page that shows it.

use std::sync::LazyLock;

use http::{HeaderValue, Method, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr,
    ResponseBuilder, Tag,
};
use utoipa::{PartialSchema, openapi::tag::TagBuilder};

use super::open_inference;
use crate::service::evidence::{Reproduction, ReproductionProgress};
use crate::service::open_inference::InferenceError;
use crate::service::records::Record;
use crate::service::runs::RunEvent;
use holdfast_domain::{Column, FeatureKind, Schema as CustomerSchema};

/// The document as it is sent and as it is committed.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| text(&super::description()));

/// One bad field in a [`ProblemDocument`].
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// The field as the caller wrote it.
    #[schema(example = "records[3].Credit_Limit")]
    pub field: String,
    /// The rule that was broken.
    #[schema(example = "below_minimum")]
    pub rule: String,
    /// What is wrong, in words.
    pub detail: String,
}

/// What every failed request is answered with (RFC 9457). It describes what the chassis writes; a test compares the two.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:holdfast:problem:invalid-fields")]
    pub kind: String,
    /// A short title.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened, in words.
    pub detail: String,
    /// The path of the request.
    #[schema(required = false)]
    pub instance: String,
    /// The gRPC code's name.
    #[schema(example = "INVALID_ARGUMENT")]
    pub code: String,
    /// Which failure exactly; stable, for programs.
    #[schema(example = "INVALID_FIELDS")]
    pub reason: String,
    /// One entry per bad field.
    #[schema(required = false)]
    pub errors: Vec<FieldProblem>,
    /// Facts that a program may act on.
    #[schema(required = false)]
    pub metadata: std::collections::BTreeMap<String, String>,
    /// When to try again, in seconds.
    #[schema(required = false)]
    pub retry_after_seconds: u64,
}

/// One event of a stream, as clients of server-sent events see it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerSentEvent {
    /// Its name: `progress`, `done` or `error`.
    #[schema(required = false, nullable = false, example = "progress")]
    event: String,
    /// JSON; its schema is told where the stream is described.
    #[schema(required = false, nullable = false, content_media_type = "application/json")]
    data: String,
    /// What a client that comes back sends as `last-event-id`.
    #[schema(required = false, nullable = false)]
    id: String,
    /// How long a client should wait before it comes back, in milliseconds.
    #[schema(required = false, nullable = false)]
    retry: u64,
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "status", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn document() -> ([(header::HeaderName, HeaderValue); 1], &'static str) {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        &DOCUMENT,
    )
}

/// The document's text, as `docs/openapi.json` holds it.
pub fn text(openapi: &OpenApi) -> String {
    // A tree of plain data: writing it cannot fail.
    let mut text = serde_json::to_string_pretty(openapi).unwrap_or_default();
    text.push('\n');
    text
}

/// Every route: method and template.
pub fn routes(openapi: &OpenApi) -> Vec<(Method, String)> {
    let paths = openapi.paths.paths.iter();
    let named = paths.flat_map(|(path, item)| methods(item).map(|method| (method, path.clone())));
    named.collect()
}

/// The methods that a path is described with.
pub(super) fn methods(item: &PathItem) -> impl Iterator<Item = Method> {
    let operations = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    operations
        .into_iter()
        .filter_map(|(method, operation)| operation.as_ref().map(|_| method))
}

/// The description without its routes.
pub(super) fn about() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Holdfast")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Predicts which credit-card customers are about to leave, watches the data, and retrains.\n\nEvery answer carries `x-request-id`: the \
             caller's, or a new one. Failures are problem documents (RFC 9457); bad fields are 422 with one entry each. `traceparent` is honoured.\n\nBeside what \
             is described here, the gateway speaks MLflow's REST API below `/api/2.0/mlflow` and `/api/2.0/mlflow-artifacts`: see docs/mlflow.md.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(Components::new()))
        .tags(Some(tags()))
        .build()
}

fn tags() -> Vec<Tag> {
    [
        ("predictions", "Scores and what is behind them"),
        ("predecessor", "A drop-in for the API that this one replaces"),
        (
            "open inference",
            "The Open Inference Protocol v2, with its binary tensor extension",
        ),
        ("training", "Snapshots of data and training runs"),
        ("models", "Models, versions, the champion log, versions on trial"),
        ("webhooks", "Addresses that are told when a champion changes"),
        ("monitoring", "Outcomes, drift, retraining"),
        ("status", "The state of the whole; this description"),
    ]
    .map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build())
    .into()
}

/// Adds to every operation what all have in common: how it fails.
pub(super) fn completed(mut openapi: OpenApi) -> OpenApi {
    let components = openapi.components.get_or_insert_with(Components::new);
    let mut schemas = vec![
        (ProblemDocument::name().into_owned(), ProblemDocument::schema()),
        (InferenceError::name().into_owned(), InferenceError::schema()),
    ];
    ProblemDocument::schemas(&mut schemas);
    streamed::<RunEvent>(&mut schemas);
    streamed::<ReproductionProgress>(&mut schemas);
    streamed::<Reproduction>(&mut schemas);
    components.schemas.extend(schemas);
    for (path, item) in &mut openapi.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                operation.operation_id = Some(operation_id(method, path));
                for parameter in operation.parameters.iter_mut().flatten() {
                    if let RefOr::T(parameter) = parameter {
                        parameter.schema = parameter.schema.take().map(never_null);
                    }
                }
                add_failures(operation, open_inference::speaks(path));
            }
        }
    }
    openapi
}

/// What the data of events is: no operation refers to it, because a stream's schema is that of the event around it.
fn streamed<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    T::schemas(schemas);
    schemas.push((T::name().into_owned(), T::schema()));
}

/// A parameter is text or absent, so what may be left out is never null.
fn never_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    let null = SchemaType::Type(Type::Null);
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|kind| *kind != Type::Null);
                if let [only] = types.as_slice() {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::OneOf(mut one_of)) => {
            let is_null =
                |item: &RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(object)) if object.schema_type == null);
            one_of.items.retain(|item| !is_null(item));
            match one_of.items.pop() {
                Some(only) if one_of.items.is_empty() => only,
                last => {
                    one_of.items.extend(last);
                    RefOr::T(Schema::OneOf(one_of))
                }
            }
        }
        other => other,
    }
}

/// A name that no other operation has; handlers of different modules are called alike.
fn operation_id(method: &str, path: &str) -> String {
    let path = path.trim_start_matches("/api/v1");
    let words = path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut id = method.to_owned();
    for word in if path == "/" { vec!["index"] } else { words.collect() } {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn add_failures(operation: &mut Operation, open_inference: bool) {
    let (schema, media_type) = if open_inference {
        (InferenceError::name(), "application/json")
    } else {
        (ProblemDocument::name(), "application/problem+json")
    };
    let problem = |description: &str| {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(schema.clone())))
            .build();
        ResponseBuilder::new()
            .description(description)
            .content(media_type, content)
            .build()
    };
    let responses = &mut operation.responses.responses;
    if operation.request_body.is_some() && !open_inference {
        let refused = "The request is well-formed, and fields of it are wrong: one entry each";
        responses
            .entry("422".to_owned())
            .or_insert_with(|| RefOr::T(problem(refused)));
    }
    for response in responses.values_mut() {
        // The format demands one.
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            "The answer".clone_into(&mut response.description);
        }
    }
    responses.insert("default".to_owned(), RefOr::T(problem("What went wrong")));
}

impl ToSchema for Record {
    fn name() -> std::borrow::Cow<'static, str> {
        "CustomerRecord".into()
    }
}

impl PartialSchema for Record {
    /// From the customer schema itself, so that the description cannot say anything else than the checks do.
    fn schema() -> RefOr<Schema> {
        let schema = CustomerSchema::embedded();
        let key = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
            .minimum(Some(1))
            .maximum(Some(isize::MAX))
            .description(Some(schema.key().description.as_str()));
        let target = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .enum_values(Some([
                serde_json::Value::from(schema.target().positive.as_str()),
                serde_json::Value::from(schema.target().negative.as_str()),
                serde_json::Value::Null,
            ]))
            .description(Some(format!(
                "{} Allowed in exports, and ignored.",
                schema.target().description
            )));
        let mut record = ObjectBuilder::new()
            .description(Some("A customer: values by column name."))
            .examples(Some(serde_json::json!({
                "CLIENTNUM": 768_805_383, "Total_Relationship_Count": 5, "Credit_Limit": 12_691.0, "Total_Revolving_Bal": 777,
                "Total_Amt_Chng_Q4_Q1": 1.335, "Total_Trans_Amt": 1_144, "Total_Trans_Ct": 42, "Total_Ct_Chng_Q4_Q1": 1.625,
                "Avg_Utilization_Ratio": 0.061,
            })))
            .property(&schema.key().name, key)
            .property(&schema.target().name, target)
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
        for column in schema.columns() {
            record = record.property(column.name(), property(column));
            if column.required {
                record = record.required(column.name());
            }
        }
        record.into()
    }
}

fn property(column: &Column) -> Object {
    let kind = match column.kind {
        FeatureKind::Numeric if column.integer => Type::Integer,
        FeatureKind::Numeric => Type::Number,
        FeatureKind::Categorical => Type::String,
    };
    let types = if column.required {
        SchemaType::new(kind)
    } else {
        SchemaType::from_iter([kind, Type::Null])
    };
    let mut about = column.description.clone();
    if let Some(unit) = &column.unit {
        about = format!("{about} In {unit}.");
    }
    if !column.categories.is_empty() {
        about = format!(
            "{about} Known: {}. Others are scored as missing and flagged.",
            column.categories.join(", ")
        );
    }
    ObjectBuilder::new()
        .schema_type(types)
        .minimum(column.minimum)
        .maximum(column.maximum)
        .description(Some(about))
        .build()
}
