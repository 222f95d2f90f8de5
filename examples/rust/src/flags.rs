//! Command-line flags as both languages' programs take them: `--name value` or `--name=value`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

/// The flags that a program was started with.
#[derive(Debug)]
pub struct Flags {
    given: BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl Flags {
    /// Reads the flags of this process.
    ///
    /// # Errors
    /// An argument that is no flag, or a flag without value.
    pub fn of_process() -> Result<Flags, String> {
        Flags::parse(std::env::args().skip(1))
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Flags, String> {
        let mut given = BTreeMap::new();
        while let Some(arg) = args.next() {
            let name = arg
                .strip_prefix("--")
                .ok_or_else(|| format!("{arg}: flags are written --name value"))?;
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                // Not known, so that `done` tells what is.
                None if name == "help" => (name.to_owned(), String::new()),
                None => (
                    name.to_owned(),
                    args.next()
                        .ok_or_else(|| format!("flag --{name} needs a value"))?,
                ),
            };
            given.insert(name, value);
        }
        Ok(Flags {
            given,
            known: Vec::new(),
        })
    }

    /// The text of a flag, or its default.
    pub fn text(&mut self, name: &'static str, default: &str) -> String {
        self.known.push(name);
        self.given
            .remove(name)
            .unwrap_or_else(|| default.to_owned())
    }

    /// A whole number of at least 1.
    ///
    /// # Errors
    /// The value is none.
    pub fn number(&mut self, name: &'static str, default: u32) -> Result<u32, String> {
        match self.count(name, default) {
            Ok(0) => Err(refused(name, 0, "a whole number of at least 1")),
            result => result,
        }
    }

    /// A whole number, 0 included.
    ///
    /// # Errors
    /// The value is none.
    pub fn count(&mut self, name: &'static str, default: u32) -> Result<u32, String> {
        let text = self.text(name, &default.to_string());
        text.parse()
            .map_err(|_| refused(name, &text, "a whole number"))
    }

    /// A duration such as `15s` or `100ms`, longer than nothing.
    ///
    /// # Errors
    /// The value is none.
    pub fn duration(&mut self, name: &'static str, default: &str) -> Result<Duration, String> {
        let text = self.text(name, default);
        let parsed = match text.strip_suffix("ms") {
            Some(number) => number.parse().map(Duration::from_millis).ok(),
            None => text
                .strip_suffix('s')
                .and_then(|number| number.parse().map(Duration::from_secs).ok()),
        };
        parsed
            .filter(|d| !d.is_zero())
            .ok_or_else(|| refused(name, &text, "a duration such as 15s or 100ms"))
    }

    /// Says that all flags were asked for.
    ///
    /// # Errors
    /// One was given that the program does not know.
    pub fn done(self) -> Result<(), String> {
        match self.given.keys().next() {
            Some(name) => Err(format!(
                "flag --{name} is not known; there are --{}",
                self.known.join(", --")
            )),
            None => Ok(()),
        }
    }
}

fn refused(name: &str, value: impl Display, wanted: &str) -> String {
    format!("flag --{name}: {value} is not allowed; give {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(args: &[&str]) -> Result<Flags, String> {
        Flags::parse(args.iter().map(|&a| a.to_owned()))
    }

    #[test]
    fn flags_are_read() {
        let mut f = flags(&["--id", "g-1", "--rate=7", "--ttl", "1500ms"]).expect("flags");
        assert_eq!(f.text("id", ""), "g-1");
        assert_eq!(f.text("zone", "here"), "here");
        assert_eq!(f.number("rate", 1), Ok(7));
        assert_eq!(f.duration("ttl", "15s"), Ok(Duration::from_millis(1500)));
        assert_eq!(f.duration("timeout", "2s"), Ok(Duration::from_secs(2)));
        assert_eq!(f.done(), Ok(()));
    }

    #[test]
    fn flags_are_refused() {
        assert!(flags(&["id"]).is_err());
        assert!(flags(&["--id"]).is_err());
        assert!(
            flags(&["--rate", "0"])
                .expect("a flag")
                .number("rate", 1)
                .is_err()
        );
        assert!(
            flags(&["--rate", "-1"])
                .expect("a flag")
                .count("rate", 1)
                .is_err()
        );
        for bad in ["5", "0s", "xs", "s"] {
            assert!(
                flags(&["--ttl", bad])
                    .expect("a flag")
                    .duration("ttl", "1s")
                    .is_err(),
                "{bad}"
            );
        }
        assert!(flags(&["--other", "1"]).expect("a flag").done().is_err());
    }
}
