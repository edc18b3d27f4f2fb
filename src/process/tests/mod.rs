//! Whole streams: publish, subscribe, die.

mod ground;
mod hostile;
mod life;
mod processes;
mod several;
