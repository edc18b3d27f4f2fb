use super::*;
use crate::ring::page::ENDIAN_MARK;

fn examples() -> Vec<Message> {
    let hello = Hello {
        role: Role::Consumer,
        kind: Kind::Elements,
        any_type: false,
        resumable: true,
        membarrier: true,
        endian: ENDIAN_MARK,
        window: 0x0102_0304_0506_0708,
        fingerprint: *b"0123456789abcdef",
        subscription: "night".into(),
        schema: vec![1, 2, 3],
        join: Join::default(),
    };
    let newcomer = |from, gates, evict_after| {
        let join = Join {
            from,
            gates,
            evict_after,
        };
        Message::Hello(Hello {
            join,
            ..hello.clone()
        })
    };
    let newcomers = [
        newcomer(JoinPosition::Oldest, true, 0),
        newcomer(JoinPosition::At(0x1112_1314), false, 0x2122_2324),
        newcomer(JoinPosition::Live, true, 5),
    ];
    let watcher = Hello {
        role: Role::Observer,
        kind: Kind::Any,
        resumable: false,
        subscription: String::new(),
        schema: vec![],
        ..hello.clone()
    };
    let welcome = Welcome {
        pid: 7,
        membarrier: false,
        durable: true,
        memory_len: 1 << 20,
        epoch: u64::MAX,
        start: 5,
        start_byte: 6,
        window: 8,
        consumer: None,
        consumers: 0,
    };
    let watched = Welcome {
        consumer: Some(Consumer {
            pid: 9,
            subscription: "night".into(),
            resumable: true,
            connected: false,
        }),
        consumers: 3,
        ..welcome.clone()
    };
    let refusal = Refusal {
        code: Code::Fingerprint,
        pid: 3,
        ours: 1,
        theirs: 2,
        fingerprint: [9; 16],
        subscription: "day".into(),
        waiting: true,
        schema: vec![0; 300],
    };
    let mut examples = vec![
        Message::Hello(hello),
        Message::Hello(watcher),
        Message::Welcome(welcome),
        Message::Welcome(watched),
        Message::Refusal(refusal),
        Message::Refusal(Refusal::new(Code::Busy)),
        Message::Ready,
        Message::Evicted,
    ];
    examples.extend(newcomers);
    examples
}

#[test]
fn what_is_encoded_is_decoded() {
    for message in examples() {
        let packet = message.encode();
        assert_eq!(Message::decode(&packet).unwrap(), message);
        assert!(packet.len() <= LONGEST_MESSAGE);
    }
    for code in CODES {
        let message = Message::Refusal(Refusal::values(code, 1, 2));
        assert_eq!(Message::decode(&message.encode()).unwrap(), message);
    }
}

#[test]
fn a_schema_that_does_not_fit_is_left_out() {
    for (len, sent) in [(LONGEST_SCHEMA, LONGEST_SCHEMA), (LONGEST_SCHEMA + 1, 0)] {
        let refusal = Refusal {
            schema: vec![1; len],
            ..Refusal::new(Code::Fingerprint)
        };
        match Message::decode(&Message::Refusal(refusal).encode()).unwrap() {
            Message::Refusal(refusal) => assert_eq!(refusal.schema.len(), sent),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn golden_bytes() {
    let hello = &examples()[0].encode();
    assert_eq!(&hello[..8], b"\x89MLH\r\n\x1a\n");
    assert_eq!(&hello[8..16], [2, 0, 1, 0, 64, 0, 0, 0]);
    assert_eq!(&hello[16..24], [1, 0, 1, 1, 6, 5, 0, 0]);
    assert_eq!(&hello[24..32], [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(&hello[32..48], b"0123456789abcdef");
    assert_eq!(&hello[48..56], [3, 0, 0, 0, 4, 3, 2, 1]);
    assert_eq!(&hello[56..], b"night\x01\x02\x03");
    let refusal = Message::Refusal(Refusal::values(Code::Window, 0x11, 0x22)).encode();
    assert_eq!(&refusal[16..24], [3, 0, 5, 0, 0, 0, 0, 0]);
    assert_eq!((refusal[24], refusal[32], refusal.len()), (0x11, 0x22, 64));
    let welcome = examples()[2].encode();
    assert_eq!(
        (welcome[16], welcome[20], welcome[26], welcome.len()),
        (2, 7, 16, 72)
    );
    assert_eq!(&Message::Ready.encode()[12..], [20, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!(&Message::Evicted.encode()[12..], [20, 0, 0, 0, 5, 0, 0, 0]);
    let newcomer = examples()[8].encode();
    assert_eq!((newcomer[12], newcomer[20]), (64 + 24, 64 | 6));
    assert_eq!(&newcomer[64..72], [1, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&newcomer[72..], [0; 16]);
    let newcomer = examples()[9].encode();
    assert_eq!(&newcomer[64..72], [2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&newcomer[72..80], [0x14, 0x13, 0x12, 0x11, 0, 0, 0, 0]);
    assert_eq!(&newcomer[80..], [0x24, 0x23, 0x22, 0x21, 0, 0, 0, 0]);
    let watched = examples()[3].encode();
    assert_eq!(&watched[64..72], [9, 0, 0, 0, 3, 0, 0, 0]);
    let full = Message::Refusal(Refusal::values(Code::Full, 64, 0)).encode();
    assert_eq!((full[18], full[24]), (13, 64));
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    for message in examples() {
        let packet = message.encode();
        for len in 0..packet.len() {
            assert!(
                Message::decode(&packet[..len]).is_err(),
                "{message:?} cut to {len}"
            );
            // Also when the length in it agrees.
            let mut cut = packet[..len].to_vec();
            if let Some(length) = cut.get_mut(12..16) {
                length.copy_from_slice(&(len as u32).to_le_bytes());
            }
            assert!(
                Message::decode(&cut).is_err(),
                "{message:?} cut to {len}, and saying so"
            );
        }
        let mut longer = packet.clone();
        longer.push(0);
        assert!(Message::decode(&longer).is_err());
        longer[12..16].copy_from_slice(&(packet.len() as u32 + 1).to_le_bytes());
        assert!(Message::decode(&longer).is_err());
    }
}

/// A flipped byte either makes another message, which encodes to exactly these bytes again, or none.
#[test]
fn no_flipped_byte_is_misread() {
    for message in examples() {
        let packet = message.encode();
        for at in 0..packet.len() {
            for flip in 1..=255 {
                let mut flipped = packet.clone();
                flipped[at] ^= flip;
                match Message::decode(&flipped) {
                    // A later minor version may say more, in ways that this one need not know.
                    Ok(other) if (10..12).contains(&at) => assert_eq!(other, message),
                    Ok(other) => assert_eq!(other.encode(), flipped, "{at}: {other:?}"),
                    Err(WireError::Version { .. }) => assert!((8..10).contains(&at)),
                    Err(WireError::Field { .. }) => assert!(!(8..12).contains(&at)),
                }
            }
        }
    }
}

#[test]
fn a_newer_major_version_is_told_by_its_first_bytes_alone() {
    let mut packet = Message::Ready.encode();
    packet[8..10].copy_from_slice(&7u16.to_le_bytes());
    packet.truncate(16);
    packet.extend_from_slice(&[0xff; 100]);
    assert_eq!(
        Message::decode(&packet),
        Err(WireError::Version {
            major: 7,
            minor: MINOR
        })
    );
}

#[test]
fn noise_is_refused() {
    let mut state = 1u64;
    let mut noise = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as u8
    };
    for round in 0..20_000 {
        let mut packet: Vec<u8> = (0..noise()).map(|_| noise()).collect();
        if round % 2 == 0 && packet.len() >= 18 {
            packet[..8].copy_from_slice(&MAGIC);
            packet[8..12].copy_from_slice(&[1, 0, 0, 0]);
            let len = packet.len() as u32;
            packet[12..16].copy_from_slice(&len.to_le_bytes());
            packet[16] %= 6;
            packet[17] = 0;
        }
        if let Ok(message) = Message::decode(&packet) {
            assert_eq!(message.encode(), packet);
        }
    }
}
