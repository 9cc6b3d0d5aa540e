//! `ReproduceVersion`: progress first, the verdict last.

use futures::{Stream, stream};
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::reproduce_version_response::Part;
use tonic::Status;

use super::evaluation::named;
use super::status;
use crate::error::Error;
use crate::service::reproduction::{MAX_THREADS, News, Reproduction, Reproductions};

pub(super) async fn reproduce(
    reproductions: &Reproductions,
    request: wire::ReproduceVersionRequest,
) -> Result<impl Stream<Item = Result<wire::ReproduceVersionResponse, Status>> + Send + use<>, Status> {
    let (model, version) = named(&request.model, request.version)?;
    let threads = usize::try_from(request.threads).unwrap_or(usize::MAX);
    if threads > MAX_THREADS {
        let rule = format!("must be at most {MAX_THREADS}; 0 for the service's own");
        return Err(status(Error::field("threads", "range", rule)));
    }
    let reproducing = reproductions.start(&model, version, threads).await.map_err(status)?;
    // The work is given up when the stream is dropped.
    Ok(stream::try_unfold(reproducing, |mut reproducing| async move {
        let news = reproducing.next().await.map_err(status)?;
        Ok(news.map(|news| (news_out(news), reproducing)))
    }))
}

fn news_out(news: News) -> wire::ReproduceVersionResponse {
    let part = match news {
        News::Progress(progress) => Part::Progress(progress),
        News::Verdict(reproduction) => Part::Reproduction(reproduction_out(*reproduction)),
    };
    wire::ReproduceVersionResponse { part: Some(part) }
}

fn reproduction_out(reproduction: Reproduction) -> wire::Reproduction {
    wire::Reproduction {
        registered_digest: reproduction.registered_digest.to_string(),
        rebuilt_digest: reproduction.rebuilt_digest.to_string(),
        identical: reproduction.is_identical(),
        differences: reproduction.differences,
        duration_seconds: reproduction.duration.as_secs_f64(),
        registered_code_version: reproduction.registered_code_version,
        code_version: reproduction.code_version.to_owned(),
    }
}
