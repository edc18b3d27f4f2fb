//! A loss of power, as far as it can be played on one machine: another boot stands in the stream's page, and of what was
//! written since some time, sectors reached the disk or not.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::stage::Random;

/// Where the stream page says which run of the machine wrote it.
const BOOT: usize = 2944;
const SECTOR: usize = 512;

pub(crate) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

pub(crate) fn write(file: &Path, offset: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

/// The machine was started again, and everything had reached the disk.
pub(crate) fn restart(file: &Path) {
    write(file, BOOT as u64, &[7; 16]);
}

/// What was on the disk at some time.
pub(crate) struct Disk {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Disk {
    pub(crate) fn of(file: &Path) -> Self {
        let files = [file.to_path_buf(), beside(file, ".position")];
        let files = files.map(|path| (path.clone(), fs::read(path).unwrap()));
        Self { files: files.into() }
    }

    /// The power fails: of each sector of both files the disk has what was written last, what it had before, zeroes, or
    /// what no one wrote.
    pub(crate) fn fail(&self, random: &mut Random) {
        for (path, before) in &self.files {
            let mut bytes = fs::read(path).unwrap();
            for (number, sector) in bytes.chunks_mut(SECTOR).enumerate() {
                match random.below(6) {
                    0 => sector.copy_from_slice(&before[number * SECTOR..][..sector.len()]),
                    1 => sector.fill(0),
                    2 => sector.fill_with(|| random.next() as u8),
                    _ => {}
                }
            }
            write(path, 0, &bytes);
        }
        let stream = &self.files[0].0;
        // A sector with a boot of which the disk has nothing is that of no boot.
        let mut boot = [0; 16];
        let file = fs::File::open(stream).unwrap();
        file.read_exact_at(&mut boot, BOOT as u64).unwrap();
        if boot == *this_boot(&self.files[0].1) {
            restart(stream);
        }
    }
}

fn this_boot(stream: &[u8]) -> &[u8; 16] {
    stream[BOOT..][..16].try_into().unwrap()
}

/// Names beside a file that begin as it does.
pub(crate) fn names(file: &Path) -> Vec<String> {
    let begin = file.file_name().unwrap().to_str().unwrap();
    let mut names: Vec<String> = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(begin))
        .collect();
    names.sort();
    names
}
