#![allow(missing_docs)]
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;
use millstream::WaitStrategy;
fn pin(c: usize) { core_affinity::set_for_current(core_affinity::CoreId { id: c }); }
fn probe() -> f64 { // one line bounced
    use std::sync::atomic::*;
    let a = AtomicU64::new(0);
    thread::scope(|s| {
        s.spawn(|| { pin(1); let mut i = 1; while i < 40000 { while a.load(Ordering::Acquire) != i {} a.store(i+1, Ordering::Release); i += 2; } });
        s.spawn(|| { pin(0); let t = Instant::now(); let mut i = 0; while i < 40000 { a.store(i+1, Ordering::Release); i += 2; while a.load(Ordering::Acquire) != i {} } t.elapsed().as_nanos() as f64 / 20000. }).join().unwrap()
    })
}
fn main() {
    let n = 20_000_000u64;
    for round in 0..6 {
      let before = probe();
      let mut out = vec![];
      for mode in 0..4 {
        let (mut p, mut c) = millstream::channel::<u64>().buffer_size(512).initial_demand(512).idle_timeout(None)
            .sink_wait(WaitStrategy::BusySpin).source_wait(WaitStrategy::BusySpin).build().unwrap();
        let b = Barrier::new(2); let b = &b;
        let (t0, t1) = thread::scope(|s| {
            let h = s.spawn(move || { pin(0); b.wait(); let t = Instant::now();
                if mode & 1 == 0 { for i in 0..n { p.put(i).unwrap(); } std::mem::forget(p); }
                else { let mut p = p; for i in 0..n { if p.put(i).is_err() { break } } std::mem::forget(p); }
                t });
            let g = s.spawn(move || { pin(1); b.wait(); let mut s = 0u64; let mut g = 0;
                if mode & 2 == 0 { while g < n { g += c.drain(4096, |e| s = s.wrapping_add(e)) as u64; } }
                else { for _ in 0..n { s = s.wrapping_add(c.next().unwrap()); } }
                black_box(s); let t = Instant::now(); std::mem::forget(c); t });
            (h.join().unwrap(), g.join().unwrap())
        });
        out.push(n as f64 / (t1 - t0).as_secs_f64() / 1e6);
      }
      let (mut p, mut c) = rtrb::RingBuffer::<u64>::new(1024);
      let b = Barrier::new(2); let b = &b;
      let (t0, t1) = thread::scope(|s| {
            let h = s.spawn(move || { pin(0); b.wait(); let t = Instant::now(); for i in 0..n { while p.push(i).is_err() {} } std::mem::forget(p); t });
            let g = s.spawn(move || { pin(1); b.wait(); let mut s = 0u64; for _ in 0..n { s = s.wrapping_add(loop { if let Ok(x) = c.pop() { break x } }); } black_box(s); Instant::now() });
            (h.join().unwrap(), g.join().unwrap())
      });
      println!("{round}: probe {before:.0}/{:.0}  drain {:.0} drain/local {:.0} next {:.0} next/local {:.0} rtrb {:.0}", probe(), out[0], out[1], out[2], out[3], n as f64 / (t1 - t0).as_secs_f64() / 1e6);
    }
}
