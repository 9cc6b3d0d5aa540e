//! Servers that do nothing: what the framework alone can do, with messages of the same sizes.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Json;
use axum::routing::post;
use bytes::{Buf as _, BufMut as _, Bytes};
use serde::{Deserialize, Serialize};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Response, Status};

/// A tonic server that takes any message undecoded and answers the same bytes each time.
#[derive(Clone, Debug)]
pub struct Echo {
    /// The message that it answers with.
    pub answer: Bytes,
}

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "holdfast.load.Echo";
}

impl tower::Service<http::Request<tonic::body::Body>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    // What tonic generates for a service of one method.
    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move { Ok(tonic::server::Grpc::new(Undecoded).unary(echo, request).await) })
    }
}

impl tonic::server::UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(self.answer.clone())))
    }
}

/// Messages as bytes.
#[derive(Clone, Copy, Debug)]
struct Undecoded;

impl Codec for Undecoded {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Undecoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Undecoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

/// A customer, shaped as the gateway's own: every column by its name, none of them required.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "the names of the columns")]
#[expect(dead_code, reason = "parsing is all that is measured")]
struct Record {
    CLIENTNUM: Option<i64>,
    Customer_Age: Option<f64>,
    Gender: Option<String>,
    Dependent_count: Option<f64>,
    Education_Level: Option<String>,
    Marital_Status: Option<String>,
    Income_Category: Option<String>,
    Card_Category: Option<String>,
    Months_on_book: Option<f64>,
    Total_Relationship_Count: Option<f64>,
    Months_Inactive_12_mon: Option<f64>,
    Contacts_Count_12_mon: Option<f64>,
    Credit_Limit: Option<f64>,
    Total_Revolving_Bal: Option<f64>,
    Avg_Open_To_Buy: Option<f64>,
    Total_Amt_Chng_Q4_Q1: Option<f64>,
    Total_Trans_Amt: Option<f64>,
    Total_Trans_Ct: Option<f64>,
    Total_Ct_Chng_Q4_Q1: Option<f64>,
    Avg_Utilization_Ratio: Option<f64>,
}

/// An answer of the classic route.
#[derive(Debug, Serialize)]
struct Answer {
    predictions: [f64; 1],
    probabilities: [f64; 1],
    model_version: String,
    timestamp: String,
    num_samples: usize,
}

/// An axum server whose `/predict` parses a record and answers the same score each time.
pub fn rest() -> axum::Router {
    let predict = async |Json(_): Json<Record>| {
        Json(Answer {
            predictions: [0.0],
            probabilities: [0.012_345_678_901_234_5],
            model_version: "1".to_owned(),
            timestamp: "2026-03-01T10:20:30.123456789Z".to_owned(),
            num_samples: 1,
        })
    };
    axum::Router::new().route("/predict", post(predict))
}
