//! The library's errors in the words of this command.
//!
//! They speak of the setters of its builders, by which a program says what this command is told by options. Each phrase of theirs
//! that names one has a row here. Only whole phrases are replaced, so a path or a name that contains a setter's name stays.

use Verb::{Describe, Doctor, List, Pub, Sub, Verify};

/// Which command speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Pub,
    Sub,
    List,
    Describe,
    Verify,
    Doctor,
}

const ALL: &[Verb] = &[Pub, Sub, List, Describe, Verify, Doctor];
/// Those that say themselves of which user the directory is.
const TAKERS: &[Verb] = &[Sub, List, Describe];

/// A phrase of the library, by which commands it is said otherwise, and how. The first row that fits counts.
const PHRASES: &[(&str, &[Verb], &str)] = &[
    // Waiting.
    (
        "give it time with `wait_for`",
        &[Sub],
        "give it time with `--wait`",
    ),
    (", or give it time with `wait_for`", ALL, ""),
    // A durable stream.
    ("say `resumable` with one", ALL, "say one with `--resume`"),
    (
        "resume it under its name",
        ALL,
        "resume it under its name with `--resume`",
    ),
    ("with `recover_synced`", &[Pub], "with `--recover-synced`"),
    ("with `recover_synced`", ALL, "with `pub --recover-synced`"),
    ("the last `sync`", ALL, "the last `--sync`"),
    (
        "was made with buffer_size = ",
        ALL,
        "was made with --buffer-size ",
    ),
    (": say buffer_size = ", ALL, ": say --buffer-size "),
    ("was made with max_demand = ", ALL, "was made with --max-demand "),
    (": say max_demand = ", ALL, ": say --max-demand "),
    ("was made with max_frame = ", ALL, "was made with --max-frame "),
    (": say max_frame = ", ALL, ": say --max-frame "),
    // No option of this command begins elsewhere.
    (
        "was made with start_position = ",
        ALL,
        "was made by a program, to begin at position ",
    ),
    (
        ": say start_position = ",
        ALL,
        ": publish it by a program that begins at ",
    ),
    // What a stream holds.
    (
        "give a size, or say `Buffer::Rendezvous` to put only what was asked for",
        ALL,
        "give a size with `--buffer-size`",
    ),
    (
        "change buffer_size, max_demand or history",
        ALL,
        "change `--buffer-size` or `--max-demand`",
    ),
    ("lower max_frame", ALL, "lower `--max-frame`"),
    (
        "lower `initial_demand`, or publish it with a larger `max_demand` (a rendezvous allows 1: see `subscriber`)",
        ALL,
        "lower `--initial-demand`, or publish it with a larger `--max-demand` (a rendezvous allows 1)",
    ),
    // Several consumers, for which only programs publish.
    (
        "publish it with more `consumers`",
        ALL,
        "have the program that publishes it admit more",
    ),
    (
        "join at one of those, or publish it with more `history`",
        ALL,
        "say one of those with `--from`, or have the program that publishes it hold more of what was",
    ),
    (
        "leave `from`, `lossy` and `evict_after` away, or publish it with `consumers`",
        ALL,
        "leave `--from` away, or have a program publish it for several",
    ),
    // Groups and other users.
    ("(`group`, `from_user`)", &[Pub], "(`--group`)"),
    ("(`group`, `from_user`)", TAKERS, "(`--from-user`)"),
    (
        "(`group`, `from_user`)",
        ALL,
        "(`pub --group`, `sub --from-user`)",
    ),
    (
        "say `from_user` to take what that one publishes",
        TAKERS,
        "say `--from-user` to take what that one publishes",
    ),
    (
        "say `from_user` to take what that one publishes",
        ALL,
        "take what that one publishes with `sub --from-user`",
    ),
    ("or say `from_user(", TAKERS, "or say `--from-user "),
    ("or say `from_user(", ALL, "or say `sub --from-user "),
    (")` to trust it", ALL, "` to trust it"),
    (
        "have it published with `group(",
        ALL,
        "have it published with `pub --group ",
    ),
    (")`, or join its group", ALL, "`, or join its group"),
];

impl Verb {
    /// A text of the library, of which the options of this command are the subject.
    pub(crate) fn words(self, text: &str) -> String {
        let mut text = text.to_owned();
        for (phrase, verbs, own) in PHRASES {
            if verbs.contains(&self) && text.contains(phrase) {
                text = text.replace(phrase, own);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use millstream::{DirectoryError, DurableError, PublishError, SubscribeError};

    use super::*;

    fn setting(what: &'static str) -> DurableError {
        DurableError::Setting {
            path: "/x/max_demand = `wait_for`".into(),
            what,
            found: 100,
            asked: 16,
        }
    }

    /// Every error of the library that names a setter and comes out of this command, as the library says it.
    fn errors() -> Vec<String> {
        let (name, path) = (|| "ticks".to_owned(), || "/run/x".into());
        let mut errors: Vec<String> = [
            SubscribeError::NotFound {
                name: name(),
                path: path(),
            },
            SubscribeError::AlreadySubscribed {
                name: name(),
                pid: None,
                subscription: "book".into(),
                resumable_waiting: true,
            },
            SubscribeError::Full {
                name: name(),
                most: 3,
            },
            SubscribeError::NotHeld {
                name: name(),
                asked: 1,
                oldest: 2,
                newest: 3,
            },
            SubscribeError::NotABroadcast { name: name() },
            SubscribeError::Durable { name: name() },
            SubscribeError::DemandTooLarge {
                name: name(),
                asked: 9,
                max: 1,
            },
            SubscribeError::WrongUser {
                name: name(),
                ours: 1,
                theirs: 7,
            },
            SubscribeError::NotAdmitted {
                name: name(),
                user: 1,
                own_group: 7,
                group: None,
            },
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        errors.extend(
            [
                DirectoryError::WrongOwner {
                    path: path(),
                    owner: 1,
                    own: 2,
                },
                DirectoryError::WrongMode {
                    path: path(),
                    mode: 0o755,
                },
            ]
            .map(|error| error.to_string()),
        );
        errors.extend(
            [
                PublishError::UnboundedNotShareable { name: name() },
                PublishError::TooLarge {
                    name: name(),
                    elements: 9,
                    most: 8,
                },
                PublishError::FrameTooLong {
                    name: name(),
                    asked: 9,
                    most: 8,
                },
            ]
            .map(|error| error.to_string()),
        );
        errors.push(DurableError::OtherBoot { path: path() }.to_string());
        errors.extend(
            ["buffer_size", "max_demand", "max_frame", "start_position"]
                .map(|what| setting(what).to_string()),
        );
        errors
    }

    const SETTERS: [&str; 15] = [
        "wait_for",
        "resumable`",
        "recover_synced",
        "`sync`",
        "buffer_size",
        "max_demand",
        "max_frame",
        "start_position",
        "Rendezvous",
        "history",
        "`consumers`",
        "`from`",
        "`group`",
        "from_user",
        "evict_after",
    ];

    #[test]
    fn no_setter_is_left_and_each_phrase_is_one_of_the_library() {
        let errors = errors();
        let mut unused: BTreeSet<&str> = PHRASES.iter().map(|(phrase, ..)| *phrase).collect();
        for verb in ALL {
            for error in &errors {
                unused.retain(|phrase| !error.contains(phrase));
                let said = verb.words(error).replace("\"/x/max_demand = `wait_for`\"", "");
                for setter in SETTERS {
                    assert!(!said.contains(setter), "{verb:?} speaks of {setter}: {said}");
                }
                assert_eq!(said.matches('`').count() % 2, 0, "{said}");
            }
        }
        assert!(unused.is_empty(), "the library does not say: {unused:?}");
    }

    #[test]
    fn each_command_has_its_own_options() {
        let path = || "/run/x".into();
        let boot = DurableError::OtherBoot { path: path() }.to_string();
        assert!(Pub.words(&boot).contains("with `--recover-synced`"));
        assert!(Verify.words(&boot).contains("with `pub --recover-synced`"));
        let nobody = SubscribeError::NotFound {
            name: "a".into(),
            path: path(),
        };
        let nobody = nobody.to_string();
        assert!(Sub.words(&nobody).ends_with("or give it time with `--wait`"));
        assert!(Describe.words(&nobody).ends_with(": start the producer"));
        let said = Pub.words(&setting("buffer_size").to_string());
        assert_eq!(
            said,
            "\"/x/max_demand = `wait_for`\" was made with --buffer-size 100, and 16 is asked for: say --buffer-size 100, or take \
             another file"
        );
        let user = SubscribeError::WrongUser {
            name: "a".into(),
            ours: 1,
            theirs: 7,
        };
        assert!(
            Sub.words(&user.to_string())
                .ends_with("say `--from-user 7` to trust it")
        );
    }
}
