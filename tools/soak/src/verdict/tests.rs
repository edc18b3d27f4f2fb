//! Ledgers written by hand: what must be found is found, and what is promised no more is not missed.

use crate::ledger::{Fate, Finale, Inc, Ledger, Of, Ses, Word};
use crate::line::{Kind, Manner};
use crate::tally::{Count, Tally};
use crate::verdict::Played;

/// A ledger that is taken away with its file.
struct Book {
    ledger: Ledger,
    _dir: tempfile::TempDir,
}

impl Book {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            ledger: Ledger::open(&dir.path().join("ledger")).unwrap(),
            _dir: dir,
        }
    }

    fn incarnation(&self, run: u64, published: u64, trying: u64, fate: Fate) -> u64 {
        let number = self.ledger.incarnate(run).unwrap();
        let row = self.ledger.incarnation(number);
        row.set(Inc::Published, published);
        row.set(Inc::Trying, trying);
        row.set(Inc::Fate, fate as u64);
        number
    }

    fn session(&self, slot: usize, run: u64, incarnation: u64, from: u64, to: u64, finale: Finale) {
        self.session_of(Manner::Plain, slot, run, incarnation, from, to, finale);
    }

    #[allow(clippy::too_many_arguments, reason = "a row has as many words")]
    fn session_of(
        &self,
        manner: Manner,
        slot: usize,
        run: u64,
        incarnation: u64,
        from: u64,
        to: u64,
        finale: Finale,
    ) {
        let number = self.ledger.sessions(slot);
        let row = self.ledger.session(slot, number);
        row.set(Ses::Run, run + 1);
        row.set(Ses::Incarnation, incarnation);
        row.set(Ses::First, from);
        row.set(Ses::Next, to);
        row.set(Ses::End, finale as u64);
        row.set(Ses::Again, 10);
        row.set(Ses::Manner, manner as u64);
        self.ledger.slot(slot).set(Of::Sessions, number as u64 + 1);
    }

    /// The verdict, where the named runs of each slot were killed.
    fn judged(&self, kind: Kind, gone: &[&[bool]]) -> Tally {
        let mut tally = Tally::default();
        let played = Played {
            kind,
            stream: 1,
            ledger: &self.ledger,
            gone: gone.to_vec(),
        };
        played.judge(&mut tally);
        tally
    }

    #[track_caller]
    fn expect(&self, kind: Kind, gone: &[&[bool]], classes: &[&str]) -> Tally {
        let tally = self.judged(kind, gone);
        let found: Vec<&str> = tally
            .faults
            .iter()
            .filter_map(|fault| fault.split(' ').next())
            .collect();
        assert_eq!(found, classes, "{:#?}", tally.faults);
        tally
    }
}

#[test]
fn what_a_killed_producer_had_published_must_have_come() {
    // 100 puts had returned, of 7 more that is not known.
    for (got, classes) in [
        (99, &["lost"][..]),
        (100, &[]),
        (103, &[]),
        (107, &[]),
        (108, &["torn"]),
    ] {
        let book = Book::new();
        let number = book.incarnation(0, 100, 107, Fate::Running);
        book.session(1, 0, number, 0, got, Finale::PeerGone);
        let tally = book.expect(Kind::Small, &[&[true], &[false]], classes);
        assert_eq!(tally.get(Count::Delivered), got);
    }
}

#[test]
fn who_is_killed_itself_owes_nothing_and_who_is_not_owes_its_end() {
    let book = Book::new();
    let number = book.incarnation(0, 100, 100, Fate::ConsumerGone);
    book.session(1, 0, number, 0, 40, Finale::Open);
    book.expect(Kind::Small, &[&[false], &[true]], &[]);
    let unkilled = &[&[false][..], &[false]];
    // Neither was there a death that could have ended it, nor did the consumer say how it ended.
    book.expect(Kind::Small, unkilled, &["wrong", "wrong"]);
}

#[test]
fn an_end_must_be_the_one_that_the_producer_gave() {
    for (fate, finale, classes) in [
        (Fate::Completed, Finale::Completed, &[][..]),
        (Fate::Failed, Finale::Failed, &[]),
        (Fate::Dropped, Finale::Failed, &[]),
        (Fate::Completed, Finale::Failed, &["wrong"]),
        (Fate::Completed, Finale::PeerGone, &["wrong"]),
        (Fate::Failed, Finale::Completed, &["wrong"]),
    ] {
        let book = Book::new();
        let number = book.incarnation(0, 9, 9, fate);
        book.session(1, 0, number, 0, 9, finale);
        book.expect(Kind::Frames, &[&[false], &[false]], classes);
    }
}

#[test]
fn an_end_that_comes_before_the_last_element_is_a_loss() {
    let book = Book::new();
    let number = book.incarnation(0, 9, 9, Fate::Completed);
    book.session(1, 0, number, 0, 8, Finale::Completed);
    book.expect(Kind::Medium, &[&[false], &[false]], &["lost"]);
}

#[test]
fn a_producer_that_nobody_killed_may_not_leave_its_stream_open() {
    let book = Book::new();
    book.incarnation(0, 9, 9, Fate::Running);
    book.expect(Kind::Large, &[&[false], &[]], &["wrong"]);
    book.expect(Kind::Large, &[&[true], &[]], &[]);
}

#[test]
fn a_successor_goes_on_where_the_one_before_had_released() {
    for (first, before, classes) in [
        (50, Finale::Open, &[][..]),
        (40, Finale::Open, &[]),
        (39, Finale::Open, &["duplicated"]),
        (51, Finale::Open, &["lost"]),
        (50, Finale::Dropped, &[]),
        (49, Finale::Dropped, &["duplicated"]),
    ] {
        let book = Book::new();
        let number = book.incarnation(0, 90, 90, Fate::Completed);
        book.session_of(Manner::Resumed, 1, 0, number, 0, 50, before);
        book.session_of(Manner::Resumed, 1, 1, number, first, 90, Finale::Completed);
        let killed = before == Finale::Open;
        let tally = book.expect(Kind::Resumed, &[&[false], &[killed, false]], classes);
        assert_eq!(tally.get(Count::Resumes), 1);
        assert_eq!(tally.get(Count::Again), 50u64.saturating_sub(first));
    }
}

#[test]
fn an_only_consumer_begins_at_the_first_element() {
    let book = Book::new();
    let number = book.incarnation(0, 9, 9, Fate::Completed);
    book.session(1, 0, number, 2, 9, Finale::Completed);
    book.expect(Kind::Small, &[&[false], &[false]], &["lost"]);
    book.expect(Kind::Broadcast, &[&[false], &[false]], &[]);
}

#[test]
fn whom_a_death_ends_all_have_got_the_same() {
    let book = Book::new();
    let number = book.incarnation(0, 100, 110, Fate::Running);
    book.session(1, 0, number, 0, 105, Finale::PeerGone);
    book.session(2, 0, number, 20, 105, Finale::MovedOn);
    book.expect(Kind::Broadcast, &[&[true], &[false], &[false]], &[]);
    book.session(3, 0, number, 20, 104, Finale::PeerGone);
    book.expect(
        Kind::Broadcast,
        &[&[true], &[false], &[false], &[false]],
        &["lost"],
    );
}

#[test]
fn one_of_several_consumers_ends_nobody_elses_stream() {
    let book = Book::new();
    book.incarnation(0, 100, 100, Fate::Cancelled);
    book.expect(Kind::Rendezvous, &[&[false], &[true]], &["wrong"]);
}

#[test]
fn work_is_done_and_again_only_over_a_death() {
    let book = Book::new();
    let number = book.incarnation(0, 20, 20, Fate::Completed);
    let row = book.ledger.incarnation(number);
    row.set(Inc::Base, 5);
    for position in 0..19 {
        book.ledger.handle(5 + position);
    }
    let gone: &[&[bool]] = &[&[false], &[true, false], &[false]];
    // What was not said to be drained may be lost with its workers.
    book.expect(Kind::Work, gone, &[]);
    row.set(Inc::Drained, 1);
    book.expect(Kind::Work, gone, &["lost"]);
    book.ledger.handle(5 + 19);
    book.ledger.handle(5 + 3);
    let tally = book.expect(Kind::Work, gone, &[]);
    assert_eq!((tally.get(Count::Delivered), tally.get(Count::Again)), (21, 1));
    book.ledger.handle(5 + 3);
    book.expect(Kind::Work, gone, &["duplicated"]);
    assert_eq!(book.ledger.get(Word::Incarnations), 1);
}
