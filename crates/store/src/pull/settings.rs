//! How to pull: end points, tokens, proxy, connections, patience.
//!
//! Not read from the environment: whoever calls passes plain values in.

use std::fmt;
use std::time::Duration;

/// A secret that a server knows its people by. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token, if the text can be one: visible ASCII, at most 4,096 bytes. White space around it is dropped.
    pub fn new(text: &str) -> Option<Self> {
        const MAX_BYTES: usize = 4096;
        let text = text.trim();
        let is_sound =
            !text.is_empty() && text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_sound.then(|| Self(text.to_owned()))
    }

    /// The secret itself: for the one header that it is meant for.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How to pull. [`Settings::default`] suits most people.
#[derive(Clone)]
pub struct Settings {
    /// Where Hugging Face's interface is (`HF_ENDPOINT`): `https://…`, or `http://` on this machine.
    pub hugging_face: String,
    /// The registry of names without a host.
    pub ollama: String,
    /// Sent to the Hugging Face end point and nowhere else.
    pub hugging_face_token: Option<Token>,
    /// Sent to the default registry and nowhere else.
    pub ollama_token: Option<Token>,
    /// `http://[user:password@]host:port` of a proxy for everything (`HTTPS_PROXY`).
    pub proxy: Option<String>,
    /// Hosts that are asked without the proxy (`NO_PROXY`).
    pub no_proxy: Vec<String>,
    /// PEM of the certificates to trust in place of Mozilla's roots (`SSL_CERT_FILE`).
    pub certificates_pem: Option<Vec<u8>>,
    /// Connections per file, 1 to 16.
    pub n_connections: usize,
    /// Bytes that are fetched, hashed and noted together. A kill costs at most so many per connection.
    pub piece_bytes: u64,
    /// The longest wait for a connection, with name, proxy and encryption.
    pub connect_timeout: Duration,
    /// The longest wait for an answer.
    pub first_byte_timeout: Duration,
    /// The longest silence within an answer.
    pub stall_timeout: Duration,
    /// How often one piece is asked for without getting on before the pull ends.
    pub max_attempts: u32,
    /// The wait before the second attempt; it doubles from attempt to attempt, and chance takes up to half away.
    pub first_wait: Duration,
    /// The longest wait; a server that asks for a longer one ends the pull with [`super::Problem::Busy`].
    pub longest_wait: Duration,
    /// How often progress is told.
    pub progress_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hugging_face: "https://huggingface.co".into(),
            ollama: "https://registry.ollama.ai".into(),
            hugging_face_token: None,
            ollama_token: None,
            proxy: None,
            no_proxy: Vec::new(),
            certificates_pem: None,
            n_connections: 4,
            piece_bytes: 8 << 20,
            connect_timeout: Duration::from_secs(30),
            first_byte_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            max_attempts: 6,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(120),
            progress_every: Duration::from_millis(200),
        }
    }
}

/// Without the secrets: the proxy's address may hold a password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("hugging_face", &self.hugging_face)
            .field("ollama", &self.ollama)
            .field("has_proxy", &self.proxy.is_some())
            .field("n_connections", &self.n_connections)
            .field("piece_bytes", &self.piece_bytes)
            .finish_non_exhaustive()
    }
}
