//! Tokens, which prove to the registry who calls, and where they come from.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;
use muster_rules::defaults;

use crate::status;

/// Proves to the registry who calls. It is sent as `authorization: Bearer …` with every call, and
/// only over TLS.
#[derive(Clone)]
pub struct Token {
    value: String,
    valid_for: Option<Duration>,
}

impl Token {
    /// A token that can be used until the registry refuses it: printable ASCII without spaces, at
    /// most 8 KiB.
    pub fn new(value: impl Into<String>) -> Token {
        Token {
            value: value.into(),
            valid_for: None,
        }
    }

    /// Sets how long it can be used from now on.
    #[must_use]
    pub fn valid_for(mut self, time: Duration) -> Token {
        self.valid_for = Some(time);
        self
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// When to fetch the next one, and when this one is over, counted from when it was asked for:
    /// 30 s before it expires, or after four fifths of a short life.
    pub(crate) fn times(&self) -> Option<(Duration, Duration)> {
        let life = self.valid_for?;
        let margin = Duration::from_secs(30).min(life / 5);
        Some((life - margin, life))
    }

    /// Finds what cannot be sent. The value itself is a secret.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.value.is_empty() {
            return Err("the token is empty".to_owned());
        }
        if self.value.len() > defaults::LONGEST_TOKEN {
            return Err(format!(
                "the token has {} bytes, at most {} are allowed",
                self.value.len(),
                defaults::LONGEST_TOKEN
            ));
        }
        if !self.value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("the token has characters other than printable ASCII".to_owned());
        }
        Ok(())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("valid_for", &self.valid_for)
            .finish_non_exhaustive()
    }
}

/// Gives tokens: see [`FixedToken`] and [`TokenFile`], or implement it for whatever issues yours. It
/// is asked when there is no token, shortly before the present one expires, and once when the
/// registry refused it; by one task at a time, for 5 s at most. If it fails, calls fail with
/// `UNAUTHENTICATED`; streams and registrations that live are retried with backoff.
pub trait TokenSource: Send + Sync {
    /// Returns a token that can be used now.
    fn token(&self) -> BoxFuture<'_, Result<Token, Box<dyn StdError + Send + Sync>>>;
}

/// A source of one token that never changes.
#[derive(Clone)]
pub struct FixedToken(String);

impl FixedToken {
    /// A source of this token.
    pub fn new(value: impl Into<String>) -> FixedToken {
        FixedToken(value.into())
    }
}

impl fmt::Debug for FixedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedToken").finish_non_exhaustive()
    }
}

impl TokenSource for FixedToken {
    fn token(&self) -> BoxFuture<'_, Result<Token, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async { Ok(Token::new(&self.0)) })
    }
}

/// A source that reads a file, such as the one that an orchestrator projects and rotates. Space
/// around the token is ignored. The file is read again when what was read is 10 s old, and when the
/// registry refused it.
#[derive(Debug, Clone)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// A source that reads this file.
    pub fn new(path: impl Into<PathBuf>) -> TokenFile {
        TokenFile(path.into())
    }
}

impl TokenSource for TokenFile {
    fn token(&self) -> BoxFuture<'_, Result<Token, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async {
            let path = self.0.clone();
            let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await?;
            let name = self.0.display();
            let content = read.map_err(|e| format!("file {name}: {}", file_cause(&e)))?;
            let text = String::from_utf8_lossy(&content);
            let value = text.trim();
            if value.is_empty() {
                return Err(format!("file {name} is empty").into());
            }
            Ok(Token::new(value).valid_for(defaults::TOKEN_FILE_CHECK))
        })
    }
}

/// An error of the file system as both clients write it.
pub(crate) fn file_cause(e: &io::Error) -> String {
    let text = status::cause(e);
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
