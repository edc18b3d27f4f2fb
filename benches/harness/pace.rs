//! Cells of one length, however fast a row is.

use std::time::Instant;

use super::element_flow;
use super::options::Extent;
use super::round::Row;

/// How many elements make a cell of the wanted length, at the rate of the last one.
pub(crate) struct Pace<F> {
    extent: Extent,
    last: Option<f64>,
    each_second: F,
}

impl<F: Fn(f64) -> f64 + 'static> Pace<F> {
    /// `each_second` makes elements a second of a row's figure.
    pub(crate) fn new(extent: Extent, each_second: F) -> Self {
        Self {
            extent,
            last: None,
            each_second,
        }
    }

    pub(crate) fn row(mut self, name: String, run: impl Fn(u64) -> f64 + 'static) -> Row<f64> {
        Row::new(name, move || {
            if self.extent == Extent::Test {
                return run(element_flow::whole(256));
            }
            let last = self.last.unwrap_or_else(|| {
                // Not counted: it finds the rate out, and warms up.
                let began = Instant::now();
                let mut count = 4096;
                loop {
                    let rate = run(element_flow::whole(count));
                    if began.elapsed() > self.extent.cell() / 4 || count > 1 << 24 {
                        break (self.each_second)(rate);
                    }
                    count *= 8;
                }
            });
            let wanted = last * self.extent.cell().as_secs_f64();
            let figure = run(element_flow::whole((wanted as u64).max(2048)));
            self.last = Some((self.each_second)(figure));
            figure
        })
    }
}
