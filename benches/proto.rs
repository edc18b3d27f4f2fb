#![allow(missing_docs)]
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;
use millstream::WaitStrategy;

fn pin(c: usize) { core_affinity::set_for_current(core_affinity::CoreId { id: c }); }

#[derive(Clone, Copy)]
#[repr(C)]
struct E<const W: usize>([u64; W]);
impl<const W: usize> E<W> {
    #[inline(always)] fn make(i: u64) -> Self { let mut a = [i; W]; a[W-1] = i; E(a) }
    #[inline(always)] fn sum(&self) -> u64 { let mut s = 0u64; for x in &self.0 { s = s.wrapping_add(*x) } s }
}

fn run(n: u64, p: impl FnOnce() + Send, c: impl FnOnce() -> u64 + Send) -> f64 {
    let b = Barrier::new(2);
    let (mut t0, mut t1) = (None, None);
    thread::scope(|s| {
        let h = s.spawn(|| { pin(0); b.wait(); let t = Instant::now(); p(); t });
        let g = s.spawn(|| { pin(1); b.wait(); let x = c(); black_box(x); Instant::now() });
        t0 = Some(h.join().unwrap()); t1 = Some(g.join().unwrap());
    });
    n as f64 / (t1.unwrap() - t0.unwrap()).as_secs_f64() / 1e6
}
fn rtrb_one<const W: usize>(cap: usize, n: u64) -> f64 {
    let (mut p, mut c) = rtrb::RingBuffer::<E<W>>::new(cap);
    run(n, move || { for i in 0..n { let mut e = E::make(i); loop { match p.push(e) { Ok(()) => break, Err(rtrb::PushError::Full(x)) => e = x } } } std::mem::forget(p); },
        move || { let mut s = 0u64; for _ in 0..n { let e = loop { if let Ok(e) = c.pop() { break e } }; s = s.wrapping_add(e.sum()); } s })
}
fn rtrb_chunk<const W: usize>(cap: usize, n: u64) -> f64 {
    let (mut p, mut c) = rtrb::RingBuffer::<E<W>>::new(cap);
    let k = 64.min(cap/2);
    run(n, move || { let mut i = 0; while i < n { let m = k.min((n-i) as usize); if let Ok(ch) = p.write_chunk_uninit(m) { let mut j = i; ch.fill_from_iter(std::iter::from_fn(|| { let e = E::make(j); j += 1; Some(e) })); i += m as u64; } } std::mem::forget(p); },
        move || { let mut s = 0u64; let mut g = 0; while g < n { let m = c.slots(); if m > 0 { let ch = c.read_chunk(m).unwrap(); for e in ch { s = s.wrapping_add(e.sum()); } g += m as u64; } } s })
}
fn ours<const W: usize>(cap: usize, n: u64, mode: u32) -> f64 {
    let (mut p, mut c) = millstream::channel::<E<W>>().buffer_size(cap/2).initial_demand(cap as u64/2).idle_timeout(None)
        .sink_wait(WaitStrategy::BusySpin).source_wait(WaitStrategy::BusySpin).build().unwrap();
    run(n, move || {
        if mode == 2 {
            let mut buf = [E::<W>::make(0); 64];
            let mut i = 0;
            while i < n { for (j, b) in buf.iter_mut().enumerate() { *b = E::make(i + j as u64); } p.put_slice(&buf).unwrap(); i += 64; }
        } else if mode == 3 {
            let mut i = 0; let k = 32.min(cap/2);
            while i < n { if let Ok(mut cl) = p.claim(k) { for _ in 0..k { let _ = cl.push(E::make(i)); i += 1; } cl.commit().unwrap(); } }
        } else { for i in 0..n { p.put(E::make(i)).unwrap(); } }
        let _ = p.complete(); std::mem::forget(p); },
        move || { let mut s = 0u64; let mut g = 0;
            if mode == 0 { for e in c.by_ref() { s = s.wrapping_add(e.sum()); } }
            else if mode == 3 { while g < n { let pk = c.peek(64); for e in &pk { s = s.wrapping_add(e.sum()); } g += pk.release_all() as u64; } }
            else { while g < n { g += c.drain(4096, |e| s = s.wrapping_add(e.sum())) as u64; } }
            s })
}
fn med(mut v: Vec<f64>) -> f64 { v.sort_by(|a, b| a.total_cmp(b)); v[v.len()/2] }
fn cell<const W: usize>(cap: usize, n: u64) {
    let n = n / 64 * 64; let mut r: Vec<Vec<f64>> = vec![vec![]; 6];
    for _ in 0..5 {
        r[0].push(rtrb_one::<W>(cap, n)); r[1].push(rtrb_chunk::<W>(cap, n));
        r[2].push(ours::<W>(cap, n, 0)); r[3].push(ours::<W>(cap, n, 1)); r[4].push(ours::<W>(cap, n, 2)); r[5].push(ours::<W>(cap, n, 3));
    }
    print!("{:5}/{:<5}", W*8, cap);
    for (n, v) in ["rtrb", "rtrb64", "next", "drain", "slice", "claim"].iter().zip(r) { print!(" {n} {:7.1} [{:.0}..{:.0}]", med(v.clone()), v.iter().cloned().fold(f64::MAX, f64::min), v.iter().cloned().fold(0., f64::max)); }
    println!();
}
fn pingpong_ours<const W: usize>(n: usize) -> Vec<u64> {
    let mk = || millstream::channel::<E<W>>().idle_timeout(None).sink_wait(WaitStrategy::BusySpin).source_wait(WaitStrategy::BusySpin).build().unwrap();
    let (mut p1, mut c1) = mk(); let (mut p2, mut c2) = mk();
    thread::scope(|s| {
        s.spawn(move || { pin(1); for _ in 0..n { let e = c1.next().unwrap(); p2.put(e).unwrap(); } });
        s.spawn(move || { pin(0); (0..n).map(|i| { let t = Instant::now(); p1.put(E::make(i as u64)).unwrap(); black_box(c2.next().unwrap()); t.elapsed().as_nanos() as u64 }).collect::<Vec<_>>() }).join().unwrap()
    })
}
fn pingpong_rtrb<const W: usize>(n: usize) -> Vec<u64> {
    let (mut p1, mut c1) = rtrb::RingBuffer::<E<W>>::new(32); let (mut p2, mut c2) = rtrb::RingBuffer::<E<W>>::new(32);
    thread::scope(|s| {
        s.spawn(move || { pin(1); for _ in 0..n { let e = loop { if let Ok(e) = c1.pop() { break e } }; let _ = p2.push(e); } std::mem::forget(p2) });
        s.spawn(move || { pin(0); let v = (0..n).map(|i| { let t = Instant::now(); let _ = p1.push(E::make(i as u64)); let e = loop { if let Ok(e) = c2.pop() { break e } }; black_box(e); t.elapsed().as_nanos() as u64 }).collect::<Vec<_>>(); std::mem::forget(p1); v }).join().unwrap()
    })
}
fn pct(name: &str, mut v: Vec<u64>) { v.sort(); let p = |q: f64| v[((v.len()-1) as f64*q) as usize]; println!("{name} p50 {} p99 {} p999 {}", p(0.5), p(0.99), p(0.999)); }
fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    if what != "lat" {
        cell::<1>(1024, 20_000_000); cell::<1>(64, 10_000_000);
        cell::<6>(1024, 5_000_000);
        cell::<7>(1024, 5_000_000); cell::<7>(64, 5_000_000);
        cell::<8>(1024, 5_000_000); cell::<8>(64, 5_000_000);
        cell::<32>(1024, 2_000_000); cell::<32>(64, 2_000_000);
        cell::<128>(1024, 1_000_000); cell::<128>(64, 1_000_000);
    }
    for _ in 0..3 { pct("ours 8", pingpong_ours::<1>(200_000)); pct("rtrb 8", pingpong_rtrb::<1>(200_000)); pct("ours 56", pingpong_ours::<7>(200_000)); pct("rtrb 56", pingpong_rtrb::<7>(200_000)); }
}
