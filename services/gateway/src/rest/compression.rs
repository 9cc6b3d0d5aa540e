//! Answers compressed for callers who accept it (gzip, zstd). Not small ones, where it costs more than it saves, and not server-sent events, which would
//! wait in the compressor.

use tower_http::compression::predicate::{And, NotForContentType, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

/// Smaller answers fit into a packet or two anyhow.
const LEAST_BYTES: u16 = 1_024;

pub(super) type Compressed = CompressionLayer<And<And<SizeAbove, NotForContentType>, NotForContentType>>;

/// Compresses by what the request accepts.
pub(super) fn layer() -> Compressed {
    use tower_http::compression::predicate::Predicate as _;
    let worth_it = SizeAbove::new(LEAST_BYTES)
        .and(NotForContentType::SSE)
        .and(NotForContentType::const_new("application/vnd.apache.parquet"));
    // The fastest level: numbers and names as JSON shrink to a fraction at any.
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(worth_it)
}
