//! Ranges of semantic versions.

use std::cmp::Ordering;
use std::fmt;

use crate::quote::quote;
use crate::semver::Version;

/// Bounds the text of one range.
pub const MAX_RANGE_BYTES: usize = 1024;

/// Longer operators come first, so that the first one that fits is the right one.
const OPERATORS: [&str; 6] = ["!=", "<=", ">=", "=", "<", ">"];

/// One condition of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparator {
    operator: &'static str,
    version: Version,
    /// Normalised: operator and version, without build part.
    text: String,
}

/// A conjunction of comparators. The default is the empty one, which everything matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Sorted by text, without duplicates.
    comparators: Vec<Comparator>,
}

impl Range {
    /// Reads comparators that are joined by spaces: `=`, `!=`, `<`, `<=`, `>` or `>=`, followed at
    /// once by a version. A version alone means `=`. The empty text is the empty range; a text of
    /// nothing but spaces is an error.
    ///
    /// # Errors
    ///
    /// What is wrong and what is expected.
    pub fn parse(text: &str) -> Result<Range, String> {
        if text.is_empty() {
            return Ok(Range::default());
        }
        if text.len() > MAX_RANGE_BYTES {
            return Err(format!(
                "is {} bytes long, at most {MAX_RANGE_BYTES} are allowed",
                text.len()
            ));
        }
        let mut comparators = Vec::new();
        for part in text.split(' ').filter(|part| !part.is_empty()) {
            comparators.push(Comparator::parse(part)?);
        }
        if comparators.is_empty() {
            return Err("holds no comparator; leave it empty to match every version".into());
        }
        comparators.sort_by(|a, b| a.text.cmp(&b.text));
        comparators.dedup_by(|a, b| a.text == b.text);
        Ok(Range { comparators })
    }

    /// Whether the range has no comparator.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.comparators.is_empty()
    }

    /// Whether every comparator holds. A prerelease matches only if some comparator (whichever its
    /// operator) names a prerelease of the same major.minor.patch, so that `>=1.0.0` never brings
    /// 2.0.0-alpha by surprise.
    #[must_use]
    pub fn matches(&self, v: &Version) -> bool {
        let mut named = v.prerelease.is_empty() || self.is_empty();
        for c in &self.comparators {
            if !c.holds(v) {
                return false;
            }
            named = named
                || !c.version.prerelease.is_empty() && c.version.compare_core(v) == Ordering::Equal;
        }
        named
    }

    /// Whether the range matches an instance's version field. An instance without a version, or
    /// with one that is none, matches only the empty range.
    #[must_use]
    pub fn matches_text(&self, version: &str) -> bool {
        self.is_empty() || Version::parse(version).is_ok_and(|v| self.matches(&v))
    }
}

impl fmt::Display for Range {
    /// The normalised form: comparators sorted as bytes, each once, joined by one space, `=`
    /// written out, build parts left out. Ranges of equal comparators have equal forms.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.comparators.iter().map(|c| c.text.as_str()).collect();
        f.write_str(&texts.join(" "))
    }
}

impl Comparator {
    fn parse(part: &str) -> Result<Comparator, String> {
        let (operator, rest) = OPERATORS
            .iter()
            .find_map(|o| part.strip_prefix(o).map(|rest| (*o, rest)))
            .unwrap_or(("=", part));
        if rest.is_empty() {
            return Err(format!(
                "has {} without a version; write them without a space in between",
                quote(part)
            ));
        }
        let version =
            Version::parse(rest).map_err(|e| format!("comparator {}: version {e}", quote(part)))?;
        Ok(Comparator {
            operator,
            text: format!("{operator}{version}"),
            version,
        })
    }

    fn holds(&self, v: &Version) -> bool {
        let order = v.compare(&self.version);
        match self.operator {
            "=" => order.is_eq(),
            "!=" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        }
    }
}

/// Whether the text of a range matches the text of a version. A text that is no range matches
/// nothing.
#[must_use]
pub fn semver_matches(range: &str, version: &str) -> bool {
    Range::parse(range).is_ok_and(|r| r.matches_text(version))
}
