//! How a consumer asks for elements.

#![forbid(unsafe_code)]

/// How a consumer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The most that may be open at a time.
    pub(crate) window: u64,
    /// Elements asked for and not taken; `u64::MAX` asks for ever.
    pub(crate) asked: u64,
    /// Elements taken between two times that credit is given back.
    pub(crate) step: u64,
    /// Elements just taken that do not count as released yet: 1 where a successor would need the
    /// one that the user still works on.
    pub(crate) lag: u64,
    /// Elements of the window that are not asked for while the user works on one: 1 where others could take them.
    pub(crate) held: u64,
}

impl Demand {
    /// A window that replenishes itself, or by hand; with every element or about every half window.
    pub(crate) fn new(window: u64, manual: bool, eager: bool, resumable: bool) -> Self {
        Self {
            window,
            asked: if manual { 0 } else { u64::MAX },
            step: if eager { 1 } else { (window / 2).max(1) },
            lag: resumable.into(),
            held: 0,
        }
    }

    /// Replenishes about every quarter of the window, but not for fewer than eight elements, unless it does so more often.
    pub(super) fn quicken(&mut self) {
        self.step = self.step.min((self.window / 4).max(8));
    }
}
