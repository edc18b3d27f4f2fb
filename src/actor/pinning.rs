//! Threads pinned to cores.

/// The most that a core's number can be, and one more.
const CORES: usize = 1024;

/// The cores on which this thread may run, in rising order. Those that the kernel keeps isolated are not among them, and
/// can be pinned to all the same.
pub(super) fn allowed() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    if let Ok(set) = rustix::thread::sched_getaffinity(None) {
        return (0..CORES).filter(|core| set.is_set(*core)).collect();
    }
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.into_iter().map(|core| core.id).collect()
}

/// Pins this thread to `core`. What the kernel then says of it, if that is anything else.
pub(super) fn pin(core: usize) -> Result<(), Vec<usize>> {
    // A larger number would be written outside of the set.
    let is_set = core < CORES && core_affinity::set_for_current(core_affinity::CoreId { id: core });
    let got = allowed();
    // Elsewhere than on Linux there is nothing to be read back.
    let holds = is_set && (!cfg!(target_os = "linux") || got == [core]);
    if holds { Ok(()) } else { Err(got) }
}
