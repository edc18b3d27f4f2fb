//! The headers of the shared pages, computed again by whoever maps them: nothing in them is believed.

#![forbid(unsafe_code)]

use std::mem::offset_of;

use zerocopy::FromBytes;

use super::wire::Welcome;
use crate::element::Schema;
use crate::memory::SharedMemory;
use crate::ring::frame::{LONGEST, area_for};
use crate::ring::page::{
    ATTENTION_MAGIC, AttentionHeader, CREDIT_MAGIC, CreditHeader, CreditLine, CreditPage, DURABLE,
    ENDIAN_MARK, EndLine, KIND_ELEMENTS, KIND_FRAMES, MAJOR, MINOR, PAGE, STREAM_MAGIC, StreamHeader,
    StreamPage, WordLine,
};

/// Largest element.
const LARGEST: u64 = 1 << 30;
/// Most elements, or frames, in the ring.
const MOST: u64 = 1 << 32;

/// A word that cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lie {
    pub(super) word: &'static str,
    pub(super) value: u64,
}

fn must(right: bool, word: &'static str, value: impl Into<u64>) -> Result<(), Lie> {
    if right {
        Ok(())
    } else {
        Err(Lie {
            word,
            value: value.into(),
        })
    }
}

/// A private copy of the stream's header and schema, checked against the memory that holds them.
pub(in crate::process) fn stream(memory: &SharedMemory) -> Result<(StreamHeader, Vec<u8>), Lie> {
    let len = memory.len() as u64;
    let bytes = memory.copy_out(0, size_of::<StreamHeader>());
    let header = bytes
        .as_deref()
        .and_then(|bytes| StreamHeader::read_from_bytes(bytes).ok());
    let Some(header) = header else {
        return Err(Lie {
            word: "memory length",
            value: len,
        });
    };
    check(&header, len)?;
    let schema = memory.copy_out(header.schema_offset as usize, header.schema_len as usize);
    match schema {
        Some(schema) => Ok((header, schema)),
        None => Err(Lie {
            word: "schema_offset",
            value: header.schema_offset.into(),
        }),
    }
}

/// Checks a header against the length of the memory that it describes.
pub(in crate::process) fn check(header: &StreamHeader, memory_len: u64) -> Result<(), Lie> {
    must(
        header.magic == STREAM_MAGIC,
        "magic",
        u64::from_le_bytes(header.magic),
    )?;
    must(header.endian == ENDIAN_MARK, "endian", header.endian)?;
    must(header.major == MAJOR, "major", header.major)?;
    must(
        header.header_len as usize == size_of::<StreamHeader>(),
        "header_len",
        header.header_len,
    )?;
    // A later revision may give them a meaning.
    let reserved = header
        .reserved
        .iter()
        .chain([&header.reserved0])
        .find(|word| **word != 0);
    let flags = header.flags;
    must(header.minor > MINOR || flags & !DURABLE == 0, "flags", flags)?;
    must(
        flags & DURABLE == 0 || header.consumers == 0,
        "consumers",
        header.consumers,
    )?;
    must(
        header.minor > MINOR || reserved.is_none(),
        "reserved",
        reserved.copied().unwrap_or(0),
    )?;

    let area_end = header.area_offset.checked_add(header.area_len);
    let page = PAGE as u64;
    must(
        header.area_offset >= page && header.area_offset.is_multiple_of(page),
        "area_offset",
        header.area_offset,
    )?;
    must(
        header.area_len > 0 && area_end.is_some_and(|end| end <= memory_len),
        "area_len",
        header.area_len,
    )?;
    must(
        header.schema_len as usize <= Schema::MAX_ENCODED,
        "schema_len",
        header.schema_len,
    )?;
    let schema_end = u64::from(header.schema_offset) + u64::from(header.schema_len);
    must(
        header.schema_len == 0
            || (header.schema_offset as usize >= PAGE
                && header.schema_offset.is_multiple_of(8)
                && schema_end <= header.area_offset),
        "schema_offset",
        header.schema_offset,
    )?;
    must(
        (1..=MOST).contains(&header.max_demand),
        "max_demand",
        header.max_demand,
    )?;
    match header.kind {
        KIND_ELEMENTS => elements(header),
        KIND_FRAMES => frames(header),
        kind => must(false, "kind", kind),
    }
}

fn elements(header: &StreamHeader) -> Result<(), Lie> {
    let (size, align) = (u64::from(header.element_size), header.element_align);
    let (per_block, first) = (u64::from(header.per_block), u64::from(header.first));
    must(size <= LARGEST, "element_size", size)?;
    must(
        align.is_power_of_two() && align as usize <= PAGE && size.is_multiple_of(u64::from(align)),
        "element_align",
        align,
    )?;
    let align = u64::from(align);
    must(
        first >= 8 && first.is_multiple_of(align) && first <= header.stride,
        "first",
        first,
    )?;
    must(
        header.stride.is_multiple_of(8) && header.stride.is_multiple_of(align),
        "stride",
        header.stride,
    )?;
    // No overflow: both factors are below 2^32.
    must(
        per_block >= 1 && per_block * size + first <= header.stride,
        "per_block",
        per_block,
    )?;
    must(
        header.stride.checked_mul(header.blocks) == Some(header.area_len) && header.blocks > 0,
        "blocks",
        header.blocks,
    )?;
    let room = header.blocks.checked_mul(per_block);
    must(
        header.history == 0 || header.consumers > 0,
        "history",
        header.history,
    )?;
    let needed = header.buffer_size.checked_add(header.max_demand);
    let needed = needed.and_then(|needed| needed.checked_add(header.history));
    must(
        needed.is_some_and(|needed| needed <= MOST && room.is_some_and(|room| needed <= room)),
        "buffer_size",
        header.buffer_size,
    )?;
    must(header.max_frame == 0, "max_frame", header.max_frame)
}

fn frames(header: &StreamHeader) -> Result<(), Lie> {
    must(header.element_size == 0, "element_size", header.element_size)?;
    must(header.element_align == 1, "element_align", header.element_align)?;
    must(header.per_block == 0, "per_block", header.per_block)?;
    must(header.first == 8, "first", header.first)?;
    must(header.stride == 0, "stride", header.stride)?;
    must(header.blocks == 0, "blocks", header.blocks)?;
    must(header.consumers == 0, "consumers", header.consumers)?;
    must(header.history == 0, "history", header.history)?;
    must(header.area_len.is_multiple_of(64), "area_len", header.area_len)?;
    let elements = header
        .buffer_size
        .checked_add(header.max_demand)
        .filter(|elements| *elements <= MOST);
    must(elements.is_some(), "buffer_size", header.buffer_size)?;
    let needed = usize::try_from(header.max_frame)
        .ok()
        .filter(|longest| *longest <= LONGEST)
        .and_then(|longest| area_for(usize::try_from(elements?).ok()?, longest));
    must(
        needed.is_some_and(|needed| needed as u64 <= header.area_len),
        "max_frame",
        header.max_frame,
    )
}

/// The position of the frame that begins `byte` bytes after the first, where a consumer said that it had released
/// everything before `position` and those bytes. Killed between telling the two, it leaves `position` ahead; the
/// frame's own header, which the producer keeps until the bytes are released, says which it is. Positions of
/// elements stand for themselves.
pub(super) fn position_at(memory: &SharedMemory, header: &StreamHeader, position: u64, byte: u64) -> u64 {
    if header.kind != KIND_FRAMES || header.area_len == 0 {
        return position;
    }
    let at = usize::try_from(header.area_offset + byte % header.area_len).ok();
    match at.and_then(|at| memory.load(at)) {
        // Nothing is published there, so nothing after these bytes was released.
        None | Some(0) => position,
        Some(word) => {
            let ahead = ((word >> 32) as u32)
                .wrapping_sub(1)
                .wrapping_sub(position as u32) as i32;
            position.wrapping_add(i64::from(ahead) as u64)
        }
    }
}

/// Where the consumer's words lie in its page.
pub(super) const CONTROL: usize = offset_of!(CreditPage, control) + offset_of!(WordLine, word);
/// Where a durable stream's next producer takes back what the last one left.
pub(super) const END_KIND: usize = offset_of!(StreamPage, end) + offset_of!(EndLine, kind);
pub(super) const WAITING: usize = offset_of!(StreamPage, waiting) + offset_of!(WordLine, word);
const CREDIT: usize = offset_of!(CreditPage, credit);
pub(super) const GRANTED: usize = CREDIT + offset_of!(CreditLine, granted);
pub(super) const RELEASED: usize = CREDIT + offset_of!(CreditLine, released);
pub(super) const RELEASED_BYTES: usize = CREDIT + offset_of!(CreditLine, released_bytes);

/// Checks a fresh credit page against what the producer said of it. Gives the consumer's number among several, plus one; 0
/// in a stream for one.
pub(super) fn credit(memory: &SharedMemory, header: &StreamHeader, welcome: &Welcome) -> Result<u64, Lie> {
    let bytes = memory.copy_out(0, size_of::<CreditHeader>());
    let credit = bytes
        .as_deref()
        .and_then(|bytes| CreditHeader::read_from_bytes(bytes).ok());
    let Some(credit) = credit else {
        return Err(Lie {
            word: "credit page length",
            value: memory.len() as u64,
        });
    };
    must(
        credit.magic == CREDIT_MAGIC,
        "credit magic",
        u64::from_le_bytes(credit.magic),
    )?;
    must(credit.major == MAJOR, "credit major", credit.major)?;
    must(
        credit.header_len as usize == size_of::<CreditHeader>(),
        "credit header_len",
        credit.header_len,
    )?;
    must(header.epoch == welcome.epoch, "epoch", header.epoch)?;
    must(credit.epoch == welcome.epoch, "credit epoch", credit.epoch)?;
    must(credit.window == welcome.window, "credit window", credit.window)?;
    let whole = credit.start_byte.is_multiple_of(8);
    must(
        credit.start_byte == welcome.start_byte && whole,
        "credit start_byte",
        credit.start_byte,
    )?;
    let ahead = welcome.start.wrapping_sub(header.base) as i64 >= 0;
    must(
        credit.start == welcome.start && ahead,
        "credit start",
        credit.start,
    )?;
    for (offset, word, wanted) in [
        (CONTROL, "control", 0),
        (GRANTED, "granted", welcome.start),
        (RELEASED, "released", welcome.start),
        (RELEASED_BYTES, "released bytes", welcome.start_byte),
    ] {
        let value = memory.load(offset).unwrap_or(u64::MAX);
        must(value == wanted, word, value)?;
    }
    must(
        (credit.number > 0) == (header.consumers > 0),
        "credit number",
        credit.number,
    )?;
    Ok(credit.number)
}

/// Checks the page by which several consumers ask for attention.
pub(super) fn attention(memory: &SharedMemory, header: &StreamHeader) -> Result<(), Lie> {
    let bytes = memory.copy_out(0, size_of::<AttentionHeader>());
    let page = bytes
        .as_deref()
        .and_then(|bytes| AttentionHeader::read_from_bytes(bytes).ok());
    let Some(page) = page else {
        return Err(Lie {
            word: "attention page length",
            value: memory.len() as u64,
        });
    };
    must(
        page.magic == ATTENTION_MAGIC,
        "attention magic",
        u64::from_le_bytes(page.magic),
    )?;
    must(page.major == MAJOR, "attention major", page.major)?;
    must(
        page.header_len as usize == size_of::<AttentionHeader>(),
        "attention header_len",
        page.header_len,
    )?;
    must(page.epoch == header.epoch, "attention epoch", page.epoch)
}

#[cfg(test)]
mod tests;
