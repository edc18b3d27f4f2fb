//! Pages as a producer makes them, taken from real streams, and changes to them.

use std::fs;
use std::sync::OnceLock;

/// The largest image: the stream page, the schema's, one of the area or the credit page.
pub const LEN: usize = 3 * 4096;

/// Where a mapping of a memfd of that name begins, and its length.
pub fn mapping(name: &str, writable: bool) -> Option<(*mut u8, usize)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let wanted = format!("/memfd:{name} (deleted)");
    let line = maps
        .lines()
        .find(|line| line.ends_with(&wanted) && line.contains("rw-s") == writable)?;
    let (range, _) = line.split_once(' ').unwrap();
    let (from, to) = range.split_once('-').unwrap();
    let number = |hex| usize::from_str_radix(hex, 16).unwrap();
    let (from, to) = (number(from), number(to));
    Some((std::ptr::with_exposed_provenance_mut(from), to - from))
}

/// The bytes of a mapped memfd of that name.
pub fn bytes(name: &str) -> Vec<u8> {
    let (begin, len) = mapping(name, true).or_else(|| mapping(name, false)).unwrap();
    // SAFETY: mapped, and kept by the caller's handles; nobody writes it meanwhile.
    (0..len)
        .map(|at| unsafe { begin.add(at).read_volatile() })
        .collect()
}

/// The stream page and its credit page, of elements (odd) or frames (even), each as a page of one image.
pub fn pages(kind: u8) -> &'static [u8; LEN] {
    static IMAGES: OnceLock<[[u8; LEN]; 2]> = OnceLock::new();
    let images = IMAGES.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let image = |stream: Vec<u8>, credit: Vec<u8>| {
            let mut image = [0; LEN];
            image[..4096].copy_from_slice(&stream[..4096]);
            image[4096..8192].copy_from_slice(&credit[..4096]);
            // What the geometry finds must fit into the image.
            let (offset, area) = (8192u64.to_le_bytes(), 4096u64.to_le_bytes());
            image[56..64].copy_from_slice(&offset);
            image[64..72].copy_from_slice(&area);
            image
        };
        let sink = millstream::publish::<u64>("honest-e")
            .directory(&path)
            .buffer_size(8)
            .max_demand(8)
            .open()
            .unwrap();
        let source = millstream::subscribe::<u64>("honest-e")
            .directory(&path)
            .initial_demand(8)
            .open()
            .unwrap();
        let mut elements = image(bytes("honest-e"), bytes("millstream-credit"));
        elements[48..56].copy_from_slice(&64u64.to_le_bytes());
        drop((sink, source));
        let sink = millstream::publish::<[u8]>("honest-f")
            .directory(&path)
            .buffer_size(8)
            .max_demand(8)
            .max_frame(64)
            .open();
        let source = millstream::subscribe::<[u8]>("honest-f")
            .directory(&path)
            .initial_demand(8)
            .open()
            .unwrap();
        let frames = image(bytes("honest-f"), bytes("millstream-credit"));
        drop((sink, source));
        [frames, elements]
    });
    &images[usize::from(kind % 2)]
}

/// Writes words over an image: two bytes of where, eight of what.
pub fn change(image: &mut [u8], changes: &[u8]) {
    for change in changes.as_chunks::<10>().0 {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % (image.len() - 7);
        image[at..at + 8].copy_from_slice(&change[2..]);
    }
}

/// Runtime directories of a target, removed with it.
pub fn run_dir() -> std::path::PathBuf {
    // libFuzzer ends by `_exit`, so nothing would remove a directory of a name of its own at each start.
    let path = std::env::temp_dir().join(format!("millstream-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}
