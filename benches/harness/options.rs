//! The options of a bench.

use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "\
options, after `cargo bench --bench <name> --`:
  --rounds N       rounds of which the medians are taken (default 7)
  --quick          3 short rounds
  --filter TEXT    groups whose name contains TEXT only
  --repeats N      how often a row is repeated that ran on a shared core (default 3)
  --json FILE      writes every value of every round to FILE as well
  --test           one tiny round, to see that everything works (also without `--bench`, which cargo bench gives)";

/// How much is to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// For figures.
    Full,
    /// For a look.
    Quick,
    /// To see that it works.
    Test,
}

impl Extent {
    /// How long a cell takes.
    pub(crate) fn cell(self) -> Duration {
        Duration::from_millis(match self {
            Self::Full => 40,
            Self::Quick => 10,
            Self::Test => 0,
        })
    }
}

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) extent: Extent,
    pub(crate) rounds: usize,
    pub(crate) repeats: usize,
    pub(crate) filter: String,
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; ends the process when it cannot be read, or asks for help.
    pub(crate) fn read() -> Self {
        match Self::parse(std::env::args().skip(1)) {
            Ok(Some(options)) => options,
            Ok(None) => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            Err(wrong) => {
                eprintln!("{wrong}\n{USAGE}");
                std::process::exit(2);
            }
        }
    }

    /// Nothing, if they ask for help.
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut bench, mut test, mut quick) = (false, false, false);
        let (mut rounds, mut repeats, mut filter, mut json) = (None, 3, String::new(), None);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{text:?} is not a number"));
            match word.as_str() {
                "--bench" => bench = true,
                "--test" => test = true,
                "--quick" => quick = true,
                "--rounds" => rounds = Some(number(value()?)?),
                "--repeats" => repeats = number(value()?)?,
                "--filter" => filter = value()?,
                "--json" => json = Some(value()?.into()),
                "--help" | "-h" => return Ok(None),
                text if !text.starts_with('-') => filter = word,
                _ => return Err(format!("unknown option {word}")),
            }
        }
        let extent = match (test || !bench, quick) {
            (true, _) => Extent::Test,
            (false, true) => Extent::Quick,
            (false, false) => Extent::Full,
        };
        let usual = match extent {
            Extent::Full => 7,
            Extent::Quick => 3,
            Extent::Test => 1,
        };
        if extent == Extent::Test {
            repeats = 0;
        }
        Ok(Some(Self {
            extent,
            rounds: rounds.unwrap_or(usual).max(1),
            repeats,
            filter,
            json,
        }))
    }
}
