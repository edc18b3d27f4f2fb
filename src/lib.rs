//! Streams between a producer and a consumer at memory speed, paced by the consumer's demand.

mod primitive;
mod ring;
