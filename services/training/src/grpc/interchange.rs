//! `ImportModel` and `ExportModel`: files of other libraries, in and out.

use bytes::Bytes;
use futures::{Stream, stream};
use holdfast_api::training::v1 as wire;
use holdfast_interchange::Format;
use tonic::{Status, Streaming};

use super::convert::run_request_in;
use super::evaluation::named;
use super::upload::Upload;
use super::{MAX_CHUNK_BYTES, status};
use crate::error::{BadField, Error, Result};
use crate::service::imported::{CategoryOrder, MAX_LISTED, Reading, RenamedColumn, TreeRounds};
use crate::service::pipeline::{Pipelines, SentFile};
use crate::service::runs::RunRequest;
use crate::service::versions::Versions;
use crate::settings::Settings;

/// Longest name in a header, in bytes.
const MAX_NAME_BYTES: usize = 200;

pub(super) async fn import(
    pipelines: &Pipelines,
    settings: &Settings,
    messages: Streaming<wire::ImportModelRequest>,
) -> std::result::Result<wire::ImportModelResponse, Status> {
    let (header, mut file) = Upload::begin(messages).await?;
    let (request, sent) = header_in(header, settings).map_err(status)?;
    let mut upload = pipelines.model_upload(request, sent).await.map_err(status)?;
    while let Some(chunk) = file.chunk().await? {
        upload.write(&chunk).map_err(status)?;
    }
    let run = upload.finish().await.map_err(status)?;
    Ok(wire::ImportModelResponse {
        run_id: run.to_string(),
    })
}

/// The run that is asked for, by the rules of every run, and what is said of the file. All bad fields are named at once.
fn header_in(header: wire::ImportModelHeader, settings: &Settings) -> Result<(RunRequest, SentFile)> {
    let rows = header.snapshot.is_empty().then(|| BadField {
        field: "snapshot",
        rule: "required",
        description: "must name labelled rows".to_owned(),
    });
    taken(header, settings, rows.into_iter().collect())
}

/// The same of an import that may leave its rows to training.
pub(crate) fn wishes_in(header: wire::ImportModelHeader, settings: &Settings) -> Result<(RunRequest, SentFile)> {
    taken(header, settings, Vec::new())
}

fn taken(
    mut header: wire::ImportModelHeader,
    settings: &Settings,
    mut bad: Vec<BadField>,
) -> Result<(RunRequest, SentFile)> {
    bad.extend(violations(&header));
    let run = wire::StartRunRequest {
        model: std::mem::take(&mut header.model),
        snapshot: std::mem::take(&mut header.snapshot),
        test_snapshot: std::mem::take(&mut header.test_snapshot),
        preset: std::mem::take(&mut header.preset),
        seed: header.seed,
        requested_by: std::mem::take(&mut header.requested_by),
        promote: header.promote,
        threshold: header.threshold.take(),
        test_share: header.test_share,
        idempotency_key: std::mem::take(&mut header.idempotency_key),
        ..wire::StartRunRequest::default()
    };
    match run_request_in(run, settings) {
        Ok(request) if bad.is_empty() => Ok((request, sent_in(header))),
        Ok(_) => Err(Error::Invalid(bad)),
        Err(Error::Invalid(found)) => {
            bad.extend(found);
            Err(Error::Invalid(bad))
        }
        Err(other) => Err(other),
    }
}

/// Rules of an import beside those of every run.
fn violations(header: &wire::ImportModelHeader) -> Vec<BadField> {
    let lists = [
        ("columns", header.columns.len()),
        ("renamed", header.renamed.len()),
        ("categories", header.categories.len()),
    ];
    let orders = header
        .categories
        .iter()
        .map(|order| ("categories", order.categories.len()));
    let listed = lists.into_iter().chain(orders);
    let too_many = listed.filter(|(_, count)| *count > MAX_LISTED);
    let too_many = too_many.map(|(field, _)| (field, "too_many", "must list at most 64"));

    let columns = header.columns.iter().map(|name| ("columns", name));
    let renamed = header.renamed.iter().flat_map(|column| [&column.from, &column.to]);
    let categories = header.categories.iter();
    let categories = categories.flat_map(|order| order.categories.iter().chain([&order.column]));
    let names = columns
        .chain(renamed.map(|name| ("renamed", name)))
        .chain(categories.map(|name| ("categories", name)))
        .chain([("source", &header.source)]);
    let too_long = names.filter(|(_, name)| name.len() > MAX_NAME_BYTES);
    let too_long = too_long.map(|(field, _)| (field, "too_long", "must have at most 200 bytes a name"));

    let mut found: Vec<_> = too_many.chain(too_long).collect();
    found.dedup();
    if header.format() == wire::ModelFormat::Holdfast {
        let why = "must be a format of another library; an artefact of Holdfast is a version already";
        found.push(("format", "unsupported", why));
    }
    let found = found.into_iter().map(|(field, rule, description)| BadField {
        field,
        rule,
        description: description.to_owned(),
    });
    found.collect()
}

fn sent_in(header: wire::ImportModelHeader) -> SentFile {
    let format = match header.format() {
        // An artefact of ours was refused above.
        wire::ModelFormat::Unspecified | wire::ModelFormat::Holdfast => None,
        wire::ModelFormat::XgboostJson => Some(Format::XgboostJson),
        wire::ModelFormat::XgboostUbjson => Some(Format::XgboostUbjson),
        wire::ModelFormat::LightgbmText => Some(Format::LightgbmText),
    };
    let rounds = match header.rounds() {
        wire::ModelRounds::Unspecified | wire::ModelRounds::Best => TreeRounds::Best,
        wire::ModelRounds::All => TreeRounds::All,
    };
    let renamed = header.renamed.into_iter().map(|column| RenamedColumn {
        from: column.from,
        to: column.to,
    });
    let categories = header.categories.into_iter().map(|order| CategoryOrder {
        column: order.column,
        categories: order.categories,
    });
    SentFile {
        format,
        source: header.source,
        reading: Reading {
            rounds,
            columns: header.columns,
            renamed: renamed.collect(),
            categories: categories.collect(),
        },
    }
}

pub(super) async fn export(
    versions: &Versions,
    request: wire::ExportModelRequest,
) -> std::result::Result<
    impl Stream<Item = std::result::Result<wire::ExportModelResponse, Status>> + Send + use<>,
    Status,
> {
    let (model, version) = named(&request.model, request.version)?;
    let bytes = match request.format() {
        wire::ModelFormat::XgboostJson => versions.xgboost_json(&model, version).await.map(Bytes::from),
        wire::ModelFormat::Holdfast => versions.artifact_bytes(&model, version).await,
        _ => {
            let why = "must be XGBOOST_JSON or HOLDFAST";
            return Err(status(Error::field("format", "unsupported", why)));
        }
    };
    let bytes = bytes.map_err(status)?;
    let chunks: Vec<_> = bytes
        .chunks(MAX_CHUNK_BYTES)
        .map(|chunk| Ok(wire::ExportModelResponse { chunk: chunk.to_vec() }))
        .collect();
    Ok(stream::iter(chunks))
}
