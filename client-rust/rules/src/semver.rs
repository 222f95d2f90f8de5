//! Semantic versions.

use std::cmp::Ordering;
use std::fmt;

/// Bounds the text of one version.
pub const MAX_VERSION_BYTES: usize = 128;

/// A semantic version (semver.org, 2.0.0) without its build part, which has no precedence. Only
/// ASCII is a version, and numbers are 64 bits wide; greater ones are refused, also as prerelease
/// identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
    /// The third number.
    pub patch: u64,
    /// What follows the `-`, without it; empty for a release.
    pub prerelease: String,
}

impl Version {
    /// Reads a version.
    ///
    /// # Errors
    ///
    /// What is wrong and what is expected, without repeating the whole text.
    pub fn parse(text: &str) -> Result<Version, String> {
        if text.len() > MAX_VERSION_BYTES {
            return Err(format!(
                "is {} bytes long, at most {MAX_VERSION_BYTES} are allowed",
                text.len()
            ));
        }
        if text.starts_with(['v', 'V']) {
            return Err("begins with \"v\"; a semantic version begins with a digit".into());
        }
        let (core, build) = cut(text, '+');
        if let Some(build) = build {
            check_identifiers(build, "build part", false)?;
        }
        let (core, prerelease) = cut(core, '-');
        if let Some(prerelease) = prerelease {
            check_identifiers(prerelease, "prerelease", true)?;
        }
        let (major, minor, patch) = parse_core(core)?;
        Ok(Version {
            major,
            minor,
            patch,
            prerelease: prerelease.unwrap_or_default().to_owned(),
        })
    }

    /// Orders versions by precedence.
    #[must_use]
    pub fn compare(&self, other: &Version) -> Ordering {
        self.compare_core(other)
            .then_with(|| compare_prerelease(&self.prerelease, &other.prerelease))
    }

    pub(crate) fn compare_core(&self, other: &Version) -> Ordering {
        let core = |v: &Version| (v.major, v.minor, v.patch);
        core(self).cmp(&core(other))
    }
}

impl fmt::Display for Version {
    /// Writes the version without its build part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dash = if self.prerelease.is_empty() { "" } else { "-" };
        let (major, minor, patch) = (self.major, self.minor, self.patch);
        write!(f, "{major}.{minor}.{patch}{dash}{}", self.prerelease)
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// Reads "major.minor.patch".
fn parse_core(core: &str) -> Result<(u64, u64, u64), String> {
    let parts: Vec<&str> = core.split('.').collect();
    let [major, minor, patch] = parts[..] else {
        return Err("needs exactly three numbers, major.minor.patch, such as 1.2.0".into());
    };
    Ok((
        parse_number(major).map_err(|e| format!("major number {e}"))?,
        parse_number(minor).map_err(|e| format!("minor number {e}"))?,
        parse_number(patch).map_err(|e| format!("patch number {e}"))?,
    ))
}

/// Reads a number without sign, leading zero or anything but digits.
pub(crate) fn parse_number(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() || !is_numeric(text) {
        return Err("must be digits only");
    }
    if text != "0" && text.starts_with('0') {
        return Err("must not begin with 0");
    }
    text.parse().map_err(|_| "must be below 2^64")
}

/// Checks the dot-separated parts of a prerelease or build. The numeric ones of a prerelease are
/// compared as numbers, and so are checked.
fn check_identifiers(text: &str, what: &str, numbers: bool) -> Result<(), String> {
    for identifier in text.split('.') {
        if identifier.is_empty() {
            return Err(format!("{what} has an empty identifier"));
        }
        if !identifier.bytes().all(is_identifier_byte) {
            return Err(format!("{what} may hold only a-z, A-Z, 0-9, '-' and '.'"));
        }
        if numbers && is_numeric(identifier) {
            parse_number(identifier)
                .map_err(|e| format!("{what} identifier that is a number {e}"))?;
        }
    }
    Ok(())
}

pub(crate) fn is_identifier_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'-'
}

pub(crate) fn is_numeric(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit())
}

/// Orders prereleases of one core: a release is above all of them, and of two that begin alike the
/// longer one is above.
fn compare_prerelease(a: &str, b: &str) -> Ordering {
    if a.is_empty() || b.is_empty() {
        return a.is_empty().cmp(&b.is_empty());
    }
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (Some(x), Some(y)) => match compare_identifier(x, y) {
                Ordering::Equal => {}
                order => return order,
            },
            (x, y) => return x.is_some().cmp(&y.is_some()),
        }
    }
}

/// Orders numbers below words, numbers by value, words by bytes. Numbers have no leading zeros, so
/// the longer one is the greater.
fn compare_identifier(a: &str, b: &str) -> Ordering {
    match (is_numeric(a), is_numeric(b)) {
        (true, true) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (false, false) => a.cmp(b),
        (numeric_a, numeric_b) => numeric_b.cmp(&numeric_a),
    }
}
