//! What lies at a path.

use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;

/// In words.
pub(crate) fn word(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_symlink() {
        "a link"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_file() {
        "a file"
    } else {
        "a device"
    }
}
