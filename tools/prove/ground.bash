# Where the tools stand: sourced by those beside it. The root of the repository, how they build, what they share of words.
set -euo pipefail
prove=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$prove/../.."

# What is built here is thrown away: neither incremental, nor with full debug information, nor optimised across crates.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=line-tables-only
# Nothing of this touches the user's streams.
unset MILLSTREAM_DIR

# Builds with flags of their own lie beside the others, each in a folder of its own.
targets=${CARGO_TARGET_DIR:-target}
case $targets in /*) ;; *) targets=$PWD/$targets ;; esac

ci=
case "$*" in
'') ;;
--ci) ci=yes ;;
*)
    printf '%s: unknown arguments %s; it takes --ci or nothing\n' "${0##*/}" "$*" >&2
    exit 2
    ;;
esac

# The last word of a tool that cannot run here.
skip() {
    printf 'SKIPPED: %s\n' "$1"
    exit 0
}

# need COMMAND PACKAGE: gets a command from Debian if it is missing; without it the tool is skipped.
need() {
    if command -v "$1" >/dev/null; then return; fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    "${as_root[@]}" apt-get update >/dev/null && "${as_root[@]}" apt-get install --yes --no-install-recommends "$2" >/dev/null ||
        skip "$1 is not here, and the package $2 could not be installed"
}

# Tests that ran, by what libtest said in a file.
passed() {
    awk '/^test result:/ { passed += $4; failed += $6 } END { printf "%d passed, %d failed", passed, failed }' "$1"
}
