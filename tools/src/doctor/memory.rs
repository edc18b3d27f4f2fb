//! How much shared memory, and how many descriptors, a process may have here.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::check::Check;

/// Less than this is not enough for a large buffer.
const ROOMY: u64 = 1 << 30;
/// Less than this is not enough for the smallest streams of some processes.
const TIGHT: u64 = 16 << 20;
/// Below this a process with some streams, each of which takes descriptors for itself and for each consumer, is soon refused
/// the next.
const FEW_FILES: u64 = 256;
/// Below this it may be refused the first: the background thread, a name, the memory and a consumer take a dozen.
const TOO_FEW_FILES: u64 = 32;

pub(crate) fn checks() -> Vec<Check> {
    vec![
        machine(),
        group(Path::new("/sys/fs/cgroup")),
        files(),
        bytes(
            "file size",
            "ulimit -f",
            Resource::Fsize,
            "shared memory counts as a file",
        ),
        bytes(
            "address space",
            "ulimit -v",
            Resource::As,
            "each side maps the whole stream",
        ),
        locked(),
        huge_pages(),
    ]
}

fn machine() -> Check {
    let table = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match value(&table, "MemAvailable:") {
        Some(kilobytes) => sized(
            "available",
            kilobytes.saturating_mul(1024),
            "free some, or use smaller buffers",
        ),
        None => Check::note("available", "the system does not tell", "is /proc mounted?"),
    }
}

/// The number in the row of `key`.
fn value(table: &str, key: &str) -> Option<u64> {
    let row = table.lines().find_map(|line| line.strip_prefix(key))?;
    row.split_whitespace().next()?.parse().ok()
}

fn sized(name: &str, bytes: u64, advice: &str) -> Check {
    let found = mebibytes(bytes);
    if bytes < TIGHT {
        Check::attention(name, found, advice)
    } else if bytes < ROOMY {
        Check::note(name, found, advice)
    } else {
        Check::ok(name, found)
    }
}

fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

/// The tightest limit among the control groups of this process and their parents.
fn group(mount: &Path) -> Check {
    let Ok(membership) = fs::read_to_string("/proc/self/cgroup") else {
        return Check::note("control group", "the system does not tell", "is /proc mounted?");
    };
    match membership.lines().filter_map(|line| limit(mount, line)).min() {
        Some((limit, file)) => {
            let advice = format!(
                "the kernel kills who exceeds it, so millstream refuses beforehand: raise {}",
                file.display()
            );
            sized("control group", limit, &advice)
        }
        None => Check::ok("control group", "no limit"),
    }
}

fn limit(mount: &Path, membership: &str) -> Option<(u64, PathBuf)> {
    let mut fields = membership.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let (root, file) = if controllers.is_empty() {
        (mount.to_path_buf(), "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        (mount.join("memory"), "memory.limit_in_bytes")
    } else {
        return None;
    };
    let path = path.trim_start_matches('/');
    // One with `..` lies outside this container; only the root is to be seen then.
    let path = if path.split('/').any(|part| part == "..") {
        ""
    } else {
        path
    };
    root.join(path)
        .ancestors()
        .take_while(|group| group.starts_with(&root))
        .filter_map(|group| {
            let file = group.join(file);
            let limit = fs::read_to_string(&file).ok()?.trim().parse::<u64>().ok()?;
            // The first version says "no limit" by the largest number of whole pages.
            (limit < 1 << 62).then_some((limit, file))
        })
        .min()
}

fn files() -> Check {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else {
        return Check::ok("descriptors", "no limit");
    };
    let found = format!("{current} at a time");
    let advice = match limit.maximum {
        Some(maximum) if maximum > current => {
            format!("ulimit -n {maximum} raises it, in the shell that starts the process")
        }
        _ => "raise nofile in /etc/security/limits.conf, or LimitNOFILE of the service".into(),
    };
    if current < TOO_FEW_FILES {
        Check::attention("descriptors", found, advice)
    } else if current < FEW_FILES {
        Check::note("descriptors", found, advice)
    } else {
        Check::ok("descriptors", found)
    }
}

fn bytes(name: &str, raise: &str, resource: Resource, why: &str) -> Check {
    match getrlimit(resource).current {
        None => Check::ok(name, "no limit"),
        Some(limit) => sized(name, limit, &format!("{why}: raise it ({raise})")),
    }
}

fn locked() -> Check {
    // Nothing is locked by millstream; a user who locks all of a process's memory needs room for the streams, too.
    let found = match getrlimit(Resource::Memlock).current {
        None => "no limit".into(),
        Some(limit) => mebibytes(limit),
    };
    Check::ok(
        "locked memory",
        format!("{found} (matters to who calls mlockall)"),
    )
}

fn huge_pages() -> Check {
    const FILE: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    let Ok(text) = fs::read_to_string(FILE) else {
        return Check::note(
            "huge pages",
            "none for shared memory",
            "this kernel has none to offer: `huge_pages()` stays without effect",
        );
    };
    let chosen = text.split(['[', ']']).nth(1).unwrap_or("?");
    match chosen {
        "always" | "advise" | "within_size" | "force" => {
            Check::ok("huge pages", format!("{chosen}, for shared memory"))
        }
        _ => Check::note(
            "huge pages",
            format!("{chosen}, for shared memory"),
            format!("`huge_pages()` stays without effect until: echo advise > {FILE}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn sizes_are_judged() {
        let state = |bytes| sized("x", bytes, "y").state;
        assert_eq!(
            (state(ROOMY), state(ROOMY - 1), state(TIGHT - 1)),
            (State::Ok, State::Note, State::Attention)
        );
        assert_eq!(sized("x", 1000, "y").found, "1000 bytes");
    }

    #[test]
    fn the_tightest_group_counts() {
        let mount = tempfile::tempdir().unwrap();
        let write = |group: &str, file: &str, text: &str| {
            fs::create_dir_all(mount.path().join(group)).unwrap();
            fs::write(mount.path().join(group).join(file), text).unwrap();
        };
        write("a", "memory.max", "5000\n");
        write("a/b", "memory.max", "max\n");
        write("memory/c", "memory.limit_in_bytes", "7000\n");
        write("memory", "memory.limit_in_bytes", "9223372036854771712\n");
        let found = |line| limit(mount.path(), line).map(|(limit, _)| limit);
        assert_eq!(found("0::/a/b"), Some(5000));
        assert_eq!(found("4:cpu,memory:/c"), Some(7000));
        assert_eq!(found("4:memory:/elsewhere"), None);
        assert_eq!(found("4:cpu:/a"), None);
        assert_eq!(found("nonsense"), None);
    }
}
