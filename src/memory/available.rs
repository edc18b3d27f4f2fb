//! How much memory is left: shared memory is charged to the machine and to the control group, and the kernel
//! answers a request beyond either not with an error but by killing somebody.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that can be had before the machine or the control group is out of memory, as far as the system tells.
pub(super) fn bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| kilobytes(&text, "MemAvailable:"));
    let group = fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|membership| group(Path::new("/sys/fs/cgroup"), &membership));
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (one, other) => one.or(other),
    }
}

/// The value of `key` in a table of `key  value kB` lines, in bytes.
pub(super) fn kilobytes(table: &str, key: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

/// The files by which one version of control groups tells its limits.
struct Version {
    limit: &'static str,
    usage: &'static str,
    /// The row of `memory.stat` that counts memory which the kernel takes back when it is needed.
    reclaimable: &'static str,
}

const SECOND: Version = Version {
    limit: "memory.max",
    usage: "memory.current",
    reclaimable: "inactive_file",
};
const FIRST: Version = Version {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};

/// What the tightest limit among the process's control groups and their parents leaves.
fn group(mount: &Path, membership: &str) -> Option<u64> {
    membership.lines().filter_map(|line| one_group(mount, line)).min()
}

fn one_group(mount: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (root, version) = if controllers.is_empty() {
        (mount.to_path_buf(), SECOND)
    } else if controllers.split(',').any(|controller| controller == "memory") {
        (mount.join("memory"), FIRST)
    } else {
        return None;
    };
    // A path with `..` is one outside this container; only the root is to be seen then.
    let relative = path.trim_start_matches('/');
    let relative = if relative.split('/').any(|part| part == "..") {
        ""
    } else {
        relative
    };
    let mut group: PathBuf = root.join(relative);
    let mut least = None::<u64>;
    while group.starts_with(&root) {
        if let Some(left) = left(&group, &version) {
            least = Some(least.map_or(left, |least| least.min(left)));
        }
        if !group.pop() {
            break;
        }
    }
    least
}

/// What one control group has left; `None` without a limit.
fn left(group: &Path, version: &Version) -> Option<u64> {
    let number = |file: &str| {
        fs::read_to_string(group.join(file))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let limit = number(version.limit)?;
    let usage = number(version.usage)?;
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let reclaimable = stat
        .lines()
        .find_map(|line| line.strip_prefix(version.reclaimable)?.trim().parse::<u64>().ok())
        .unwrap_or(0);
    Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells() {
        assert!(bytes().is_some_and(|bytes| bytes > 0));
        assert_eq!(
            kilobytes("MemFree:  1 kB\nMemAvailable:    24 kB\n", "MemAvailable:"),
            Some(24 * 1024)
        );
        assert_eq!(kilobytes("MemAvailable: x kB", "MemAvailable:"), None);
        assert_eq!(
            kilobytes("MemAvailable: 18446744073709551615 kB", "MemAvailable:"),
            None
        );
    }

    #[test]
    fn the_tightest_group_counts() {
        let mount = tempfile::tempdir().unwrap();
        let write = |group: &str, file: &str, text: &str| {
            fs::create_dir_all(mount.path().join(group)).unwrap();
            fs::write(mount.path().join(group).join(file), text).unwrap();
        };
        write("a", "memory.max", "1000\n");
        write("a", "memory.current", "900\n");
        write("a", "memory.stat", "anon 5\ninactive_file 300\n");
        write("a/b", "memory.max", "max\n");
        write("a/b", "memory.current", "100\n");
        assert_eq!(group(mount.path(), "0::/a/b\n"), Some(400));
        assert_eq!(group(mount.path(), "0::/elsewhere\n"), None);
        assert_eq!(group(mount.path(), "0::/../../a/b\nnonsense\n7:cpu:/a\n"), None);

        write("memory/x", "memory.limit_in_bytes", "500");
        write("memory/x", "memory.usage_in_bytes", "600");
        assert_eq!(group(mount.path(), "4:cpu,memory:/x\n0::/a/b\n"), Some(0));
    }
}
