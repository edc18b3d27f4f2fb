//! docs/reliability.md and the tests: every line of that page has its test, and every test of the files that the page
//! speaks for has its line.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/reliability.md";
/// What ends the list of the files that the page speaks for, and where it begins.
const LISTED: &str = "The page speaks for ";
const COLUMNS: usize = 5;
const HEADED: &str = "What goes wrong";
/// Where the tools of proof lie.
const COMMANDS: &str = "tools/prove/";

#[test]
fn every_line_has_its_test_and_every_test_its_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join(PAGE)).unwrap();
    let found = faults(root, &page);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// What is wrong, each with its line.
fn faults(root: &Path, page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut sources = Sources {
        root,
        read: HashMap::new(),
    };
    let mut lines_of = HashMap::new();
    let mut named = HashSet::new();
    for row in rows(page, &mut faults) {
        let at = format!("{PAGE}:{}", row.line);
        if let Some(before) = lines_of.insert(row.cells[0], row.line) {
            faults.push(format!(
                "{at}: {:?} stands in line {before} already",
                row.cells[0]
            ));
        }
        let mut of_row = HashSet::new();
        let shown = spans(row.cells[COLUMNS - 1]);
        if shown.is_empty() {
            faults.push(format!("{at}: {:?} has no test", row.cells[0]));
        }
        for span in shown {
            if !of_row.insert(span) {
                faults.push(format!("{at}: `{span}` is named twice"));
            }
            match sources.check(span) {
                Ok(test) => drop(named.insert(test)),
                Err(why) => faults.push(format!("{at}: `{span}` {why}")),
            }
        }
    }
    commands(root, page, &mut faults);
    for (line, path) in spoken_for(page, &mut faults) {
        let at = format!("{PAGE}:{line}");
        let files = files(&whole(root, path));
        if files.is_empty() {
            faults.push(format!("{at}: there are no tests in {path}"));
        }
        for file in files {
            for test in sources.tests(&file).all() {
                if !named.contains(&(file.clone(), test.clone())) {
                    let file = file.strip_prefix(root).unwrap_or(&file).display();
                    faults.push(format!("{at}: {file}: {test} is in no line of a table"));
                }
            }
        }
    }
    faults
}

/// One line of a table.
struct Row<'a> {
    line: usize,
    cells: Vec<&'a str>,
}

/// The lines of the tables of promises, which are known by how their first column is headed.
fn rows<'a>(page: &'a str, faults: &mut Vec<String>) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    let mut is_promise = false;
    for (index, text) in page.lines().enumerate() {
        let Some(inner) = text.trim().strip_prefix('|') else {
            is_promise = false;
            continue;
        };
        let inner = inner.strip_suffix('|').unwrap_or(inner);
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        if cells[0] == HEADED {
            is_promise = true;
            continue;
        }
        let is_rule = cells.iter().all(|cell| cell.starts_with("---"));
        if !is_promise || is_rule {
            continue;
        }
        let line = index + 1;
        if cells.len() != COLUMNS || cells.iter().any(|cell| cell.is_empty()) {
            faults.push(format!(
                "{PAGE}:{line}: {} columns where {COLUMNS} that say something belong",
                cells.iter().filter(|cell| !cell.is_empty()).count()
            ));
        } else {
            rows.push(Row { line, cells });
        }
    }
    rows
}

/// Commands that the page names and that are not there, and commands that are there and that it does not name.
fn commands(root: &Path, page: &str, faults: &mut Vec<String>) {
    let mut named = HashSet::new();
    for (index, line) in page.lines().enumerate() {
        for span in spans(line) {
            let Some(command) = span.strip_prefix(COMMANDS) else {
                continue;
            };
            let command = command.split(' ').next().unwrap_or(command);
            let is_there = root.join(COMMANDS).join(command).exists();
            if !is_there && !command.chars().all(char::is_uppercase) {
                let line = index + 1;
                faults.push(format!("{PAGE}:{line}: there is no {COMMANDS}{command}"));
            }
            named.insert(command);
        }
    }
    for entry in fs::read_dir(root.join(COMMANDS)).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if is_executable(&entry.path()) && !named.contains(name.as_str()) {
            faults.push(format!("{PAGE}: {COMMANDS}{name} is not named"));
        }
    }
}

/// What stands between backticks.
fn spans(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The files and folders in the list that the page gives, each with its line.
fn spoken_for<'a>(page: &'a str, faults: &mut Vec<String>) -> Vec<(usize, &'a str)> {
    let mut lines = page.lines().enumerate();
    if !lines.any(|(_, line)| line.starts_with(LISTED)) {
        faults.push(format!("{PAGE}: no line begins with {LISTED:?}"));
    }
    lines
        .skip_while(|(_, line)| !line.starts_with("- "))
        .take_while(|(_, line)| line.starts_with("- "))
        .flat_map(|(index, line)| spans(line).into_iter().map(move |path| (index + 1, path)))
        .collect()
}

/// The Rust files at, or below, a path.
fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return path.is_file().then(|| path.to_path_buf()).into_iter().collect();
    };
    let mut all: Vec<PathBuf> = entries.flat_map(|entry| files(&entry.unwrap().path())).collect();
    all.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    all.sort();
    all
}

/// The tests of a file: those written as such, and those that a macro makes of names.
#[derive(Default)]
struct Tests {
    written: Vec<String>,
    ignored: HashSet<String>,
    /// No test, but where another process of a test begins.
    roles: HashSet<String>,
    made: HashSet<String>,
}

impl Tests {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.written
            .iter()
            .chain(&self.made)
            .filter(|test| !self.roles.contains(*test))
    }
}

/// Where a file is that the page names: below `tests`, or from the root on.
fn whole(root: &Path, file: &str) -> PathBuf {
    match file.split_once('/') {
        Some(("src" | "tools" | "derive" | "benches" | "examples", _)) => root.join(file),
        _ => root.join("tests").join(file),
    }
}

struct Sources<'a> {
    root: &'a Path,
    read: HashMap<PathBuf, Tests>,
}

impl Sources<'_> {
    /// The file and the test that are named; or why they cannot be.
    fn check(&mut self, span: &str) -> Result<(PathBuf, String), String> {
        if span.starts_with(COMMANDS) {
            let path = self.root.join(span);
            return match is_executable(&path) {
                true => Ok((path, String::new())),
                false => Err("is no file that can be run".into()),
            };
        }
        let (file, test) = span
            .split_once(": ")
            .ok_or("names neither `FILE: TEST` nor `tools/prove/NAME`")?;
        let path = whole(self.root, file);
        if !path.is_file() {
            return Err(format!("names no file ({} is not there)", path.display()));
        }
        let tests = self.tests(&path);
        match tests.written.iter().filter(|name| *name == test).count() {
            _ if tests.ignored.contains(test) => Err("is ignored".into()),
            0 if tests.made.contains(test) => Ok((path, test.into())),
            0 => Err("is no test of that file".into()),
            1 => Ok((path, test.into())),
            several => Err(format!("names {several} tests of that file")),
        }
    }

    fn tests(&mut self, file: &Path) -> &Tests {
        let root = self.root;
        self.read
            .entry(file.to_path_buf())
            .or_insert_with(|| read(root, file))
    }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o100 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

fn read(root: &Path, file: &Path) -> Tests {
    let text = fs::read_to_string(file).unwrap();
    let mut tests = Tests::default();
    let (mut is_test, mut is_ignored, mut is_role) = (false, false, false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("/// No test:") {
            is_role = true;
        } else if line == "#[test]" {
            is_test = true;
        } else if line.starts_with("#[ignore") {
            is_ignored = true;
        } else if let Some(name) = function(line) {
            if is_test {
                tests.written.push(name.into());
                if is_ignored {
                    tests.ignored.insert(name.into());
                }
                if is_role {
                    tests.roles.insert(name.into());
                }
            }
            (is_test, is_ignored, is_role) = (false, false, false);
        } else if !line.starts_with("//") && !line.starts_with('#') {
            (is_test, is_ignored, is_role) = (false, false, false);
        }
    }
    let suite = file.parent().unwrap_or(root);
    for makes in files(suite).iter().flat_map(|file| makers(file)) {
        tests.made.extend(made(&text, &makes));
    }
    tests
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub(crate) ").unwrap_or(line);
    let rest = rest.strip_prefix("fn ")?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then_some(&rest[..end])
}

/// The macros of a file that make tests.
fn makers(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut makers = Vec::new();
    for part in text.split("macro_rules! ").skip(1) {
        let body = part.split("\n}").next().unwrap_or(part);
        if body.contains("#[test]")
            && let Some((name, _)) = body.split_once(' ')
        {
            makers.push(name.into());
        }
    }
    makers
}

/// The names with which a file calls a macro: those that begin a line.
fn made(text: &str, makes: &str) -> Vec<String> {
    let call = format!("{makes}! {{");
    text.split(&call)
        .skip(1)
        .flat_map(|part| part.split("\n}").next().unwrap_or(part).lines())
        .filter_map(|line| {
            let name = line.trim().split([':', ' ', ',']).next()?;
            let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            (is_name && !line.trim_end().ends_with('{')).then(|| name.into())
        })
        .collect()
}

/// A page and a tree of tests, of which something is wrong.
#[cfg(unix)]
mod wrong {
    use std::os::unix::fs::PermissionsExt;

    use super::{Path, faults, fs};

    const TESTS: &str = "
        #[test]
        fn stands() {}
        fn serves() {}
        /// No test: a role.
        #[test]
        fn role() {}
    ";

    /// The faults of a page with these lines of a table and this list.
    fn of(lines: &str, list: &str) -> Vec<String> {
        page_of(lines, list, "")
    }

    fn page_of(lines: &str, list: &str, rest: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str, mode| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("tests/suite/noun.rs", TESTS, 0o644);
        write("tools/prove/all", "", 0o755);
        write("tools/prove/none", "", 0o644);
        write("tests/tired.rs", "#[test]\n#[ignore]\nfn sleeps() {}\n", 0o644);
        let made = "macro_rules! both {\n (#[test])\n}\nboth! {\n    one\n    two: 2\n}\n";
        write("tests/made.rs", made, 0o644);
        let head = "| What goes wrong | b | c | d | e |\n|---|---|---|---|---|\n";
        let tools = "| Tool | Command |\n|---|---|\n| everything | `tools/prove/all --ci` |";
        let page =
            format!("{head}{lines}\n\n{tools}\n\n{rest}\n\nThe page speaks for all of these:\n\n{list}\n");
        faults(Path::new(root.path()), &page)
    }

    #[track_caller]
    fn one(lines: &str, list: &str, expected: &str) {
        let found = of(lines, list);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    const GOOD: &str = "| a | b | c | d | `suite/noun.rs: stands`, `tools/prove/all` |";

    #[test]
    fn a_page_that_is_right_passes() {
        assert_eq!(of(GOOD, "- `suite/`"), [""; 0]);
        assert_eq!(
            of("| a | b | c | d | `made.rs: one` `made.rs: two` |", ""),
            [""; 0]
        );
    }

    #[test]
    fn lines_that_say_nothing() {
        one(
            "| a | b | c | d | none |",
            "",
            "reliability.md:3: \"a\" has no test",
        );
        one("| a | b | | d | `suite/noun.rs: stands` |", "", ":3: 4 columns");
        one("| a | b | c | `suite/noun.rs: stands` |", "", ":3: 4 columns");
        one(
            "| a | b | c | d | e | `suite/noun.rs: stands` |",
            "",
            ":3: 6 columns",
        );
    }

    #[test]
    fn tests_that_are_none() {
        for (named, why) in [
            ("suite/noun.rs: serves", "is no test"),
            ("tired.rs: sleeps", "is ignored"),
            ("suite/verb.rs: stands", "names no file"),
            ("src/noun.rs: stands", "names no file"),
            ("stands", "names neither"),
            ("made.rs: three", "is no test"),
            ("tools/prove/none", "is no file that can be run"),
        ] {
            one(&format!("| a | b | c | d | `{named}` |"), "", why);
        }
    }

    #[test]
    fn commands_that_are_not_there_or_not_named() {
        let found = page_of(
            GOOD,
            "",
            "`tools/prove/NAME` is called by `tools/prove/nothing --ci`.",
        );
        assert!(
            found.len() == 1 && found[0].ends_with("there is no tools/prove/nothing"),
            "{found:?}"
        );
        let root = tempfile::tempdir().unwrap();
        let script = root.path().join("tools/prove/alone");
        fs::create_dir_all(script.parent().unwrap()).unwrap();
        fs::write(&script, "").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let found = faults(root.path(), "The page speaks for nothing.\n");
        assert!(
            found.len() == 1 && found[0].ends_with("tools/prove/alone is not named"),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_there_twice() {
        one(
            &format!("{GOOD}\n{GOOD}"),
            "",
            ":4: \"a\" stands in line 3 already",
        );
        let twice = GOOD.replace("`tools/prove/all`", "`suite/noun.rs: stands`");
        one(&twice, "", "is named twice");
    }

    #[test]
    fn tests_without_a_line() {
        let line = "| a | b | c | d | `made.rs: one` `made.rs: two` |";
        one(
            line,
            "- `suite/noun.rs`",
            "tests/suite/noun.rs: stands is in no line",
        );
        one(GOOD, "- `other/`", "there are no tests in other/");
    }
}
