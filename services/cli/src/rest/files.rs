//! Files on their way to the gateway and back.

use serde_json::Value;

use super::{ANSWER_TIMEOUT, Rest};
use crate::failure::Result;

impl Rest {
    /// Uploads a file as it is.
    pub(crate) async fn upload_file(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: impl Into<reqwest::Body>,
    ) -> Result<Value> {
        let request = self.http.post(self.url(path)?).query(query);
        let request = request.header("content-type", "application/octet-stream");
        self.json(request.body(body)).await
    }

    /// `GET` of a file, whole.
    pub(crate) async fn download(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>> {
        let request = self.http.get(self.url(path)?).query(query).timeout(ANSWER_TIMEOUT);
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        Ok(bytes.to_vec())
    }
}
