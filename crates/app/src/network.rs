//! How the network is reached, as plain values that whoever opens the program read from its environment.

use std::fmt;

use store::pull;

/// How the network is reached when a person asks for something from there. Nothing else ever asks.
#[derive(Clone, Default)]
pub struct Network {
    /// Where Hugging Face's interface is, if elsewhere than usual.
    pub hugging_face: Option<String>,
    /// The secret that Hugging Face knows the person by.
    pub hugging_face_token: Option<String>,
    /// The registry of names without a host, if another than Ollama's.
    pub registry: Option<String>,
    /// `http://[user:password@]host:port` of a proxy.
    pub proxy: Option<String>,
    /// Hosts that are asked without it.
    pub no_proxy: Vec<String>,
    /// The certificates to trust, in PEM, in place of the usual roots.
    pub certificates_pem: Option<Vec<u8>>,
}

impl Network {
    /// As the store wants to know it.
    pub(crate) fn settings(&self) -> pull::Settings {
        let usual = pull::Settings::default();
        pull::Settings {
            hugging_face: self.hugging_face.clone().unwrap_or(usual.hugging_face),
            ollama: self.registry.clone().unwrap_or(usual.ollama),
            hugging_face_token: self.hugging_face_token.as_deref().and_then(pull::Token::new),
            proxy: self.proxy.clone(),
            no_proxy: self.no_proxy.clone(),
            certificates_pem: self.certificates_pem.clone(),
            ..usual
        }
    }
}

/// Without the secrets: a token, and a proxy's password.
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("hugging_face", &self.hugging_face)
            .field("registry", &self.registry)
            .field("has_token", &self.hugging_face_token.is_some())
            .field("has_proxy", &self.proxy.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let secret = || Some("hf_canary".to_owned());
        let network = Network { hugging_face_token: secret(), proxy: secret(), ..Network::default() };
        assert!(!format!("{network:?} {:?}", network.settings()).contains("canary"));
        assert!(network.settings().hugging_face_token.is_some());
    }
}
