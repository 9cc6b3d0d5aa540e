//! Signatures as Standard Webhooks has them: HMAC-SHA-256 of "id.timestamp.body", so that a receiver knows who sent what, and
//! when.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::error::{Error, Result, Violation};

/// What stands before a secret, so that it is known for one where it turns up.
const PREFIX: &str = "whsec_";
const MADE_BYTES: usize = 32;
const FEWEST_BYTES: usize = 24;
const MOST_BYTES: usize = 64;
/// Longest text that MLflow keeps.
const LONGEST_TEXT: usize = 1_000;

/// The key that deliveries of one webhook are signed with. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret {
    key: Vec<u8>,
    /// As its owner knows it.
    text: String,
}

impl SigningSecret {
    /// A new one, of 32 random bytes.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] when the machine gives none.
    pub fn generate() -> Result<Self> {
        let mut bytes = vec![0; MADE_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
        Ok(Self {
            text: format!("{PREFIX}{}", STANDARD.encode(&bytes)),
            key: bytes,
        })
    }

    /// Reads "whsec_" and Base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`]; it does not repeat the text.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = text.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        match bytes {
            Some(key) if (FEWEST_BYTES..=MOST_BYTES).contains(&key.len()) => Ok(Self {
                key,
                text: text.to_owned(),
            }),
            _ => {
                let rule = "must be \"whsec_\" and the Base64 of 24 to 64 bytes, or empty for one that is made";
                Err(Violation::new("secret", "secret", rule).into())
            }
        }
    }

    /// A text whose bytes are the key, as MLflow has it; none when it is empty.
    ///
    /// # Errors
    /// [`Error::Invalid`]; it does not repeat the text.
    pub fn of_text(text: &str) -> Result<Option<Self>> {
        if text.len() > LONGEST_TEXT {
            return Err(Violation::new("secret", "length", "must have at most 1,000 bytes").into());
        }
        let secret = Self {
            key: text.as_bytes().to_vec(),
            text: text.to_owned(),
        };
        Ok((!text.is_empty()).then_some(secret))
    }

    /// As it was given, or "whsec_" and Base64: for its owner and for the database, and for nobody else.
    pub fn expose(&self) -> String {
        self.text.clone()
    }

    /// The header `webhook-signature`, and MLflow's `X-MLflow-Signature`. `timestamp` is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> Result<String> {
        // HMAC takes keys of every length.
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).map_err(|_| Error::Corrupt("secret of a webhook".into()))?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_example_of_standard_webhooks() {
        // The example of the specification's reference libraries.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret
            .sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}")
            .unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_read_as_written_and_never_printed() {
        let secret = SigningSecret::generate().unwrap();
        assert_eq!(SigningSecret::parse(&secret.expose()).unwrap(), secret);
        assert_ne!(SigningSecret::generate().unwrap(), secret);
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }

    #[test]
    fn secrets_of_another_shape_are_refused_and_not_repeated() {
        let of_bytes = |count: usize| format!("{PREFIX}{}", STANDARD.encode(vec![7; count]));
        assert!(SigningSecret::parse(&of_bytes(24)).is_ok());
        assert!(SigningSecret::parse(&of_bytes(64)).is_ok());
        let unprefixed = of_bytes(32).replace(PREFIX, "");
        for text in [
            of_bytes(23),
            of_bytes(65),
            unprefixed,
            "whsec_%%%%".to_owned(),
            String::new(),
        ] {
            let refused = SigningSecret::parse(&text).unwrap_err().to_string();
            assert!(refused.contains("secret must be"), "{refused}");
            assert!(text.is_empty() || !refused.contains(&text), "{refused}");
        }
    }
}
