#!/usr/bin/env bash
# Builds the image and tries it: photos from a read-only folder are scanned, two are fixed and restored, by several users, and the
# health check follows the watcher. Needs podman or docker; as root in a machine without systemd, podman takes crun.
#
#   containers/try.sh            # with the image debian:bookworm-slim from the registry
#   BASE=localhost/debian BUILD="--volume /etc/ssl/certs:/etc/ssl/certs:ro" containers/try.sh
#   IMAGE=localhost/orientd containers/try.sh   # one that is built already
set -euo pipefail
cd "$(dirname "$0")/.."

engine=$(command -v podman || command -v docker)
format=$([ "${engine##*/}" = podman ] && echo "--format docker" || true)
image=${IMAGE:-localhost/orientd:try}
work=$(mktemp -d)
watcher=orientd-try-$$
trap '"$engine" rm --force "$watcher" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# orientd USER MODE WORDS…: a command in a container, as USER, with the photos mounted as MODE (ro or rw).
orientd() {
    local user=$1 mode=$2
    shift 2
    # shellcheck disable=SC2086  # RUN holds words
    "$engine" run --rm ${RUN:-} --user "$user" --read-only --tmpfs /tmp --cap-drop ALL --network none \
        --volume "$work/photos:/photos:$mode" --volume "$work/state-${user%%:*}:/state" "$image" "$@"
}

# expect CODE COMMAND…: fails unless the command ends with that exit code.
expect() {
    local code=$1 found=0
    shift
    "$@" || found=$?
    [ "$found" = "$code" ] || fail "exit code $found, not $code: $*"
}

sums() { (cd "$work/photos" && sha256sum ./*.jpg); }

# 20 landscapes with a bright sky, each third one stored upside down.
photos() {
    mkdir "$work/photos" && chmod 755 "$work" && chmod 777 "$work/photos"
    # shellcheck disable=SC2086
    "$engine" run --rm ${RUN:-} --user "$(id -u):$(id -g)" --volume "$work/photos:/photos" --entrypoint /opt/orientd/bin/python "$image" -c '
import numpy as np
from PIL import Image
rows, columns = np.mgrid[0:480, 0:640]
for number in range(20):
    random = np.random.default_rng(number)
    ground = 260 + 30 * np.sin(columns / (60 + 4 * number))
    sky = np.stack([110 + rows / 4, 160 + rows / 5, 235 - rows / 9], -1)
    grass = np.stack([60 + 0 * rows, 110 + rows / 12, 50 + 0 * rows], -1) + random.integers(-25, 25, (480, 640, 1))
    picture = Image.fromarray(np.where((rows < ground)[..., None], sky, grass).clip(0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 3 if number % 3 == 0 else 1
    picture.save(f"/photos/{number:02}.jpg", exif=exif)
'
}

# as_user USER: a scan of the read-only folder, a fix of two photos that a plan names, and the way back.
as_user() {
    local user=$1 state=$work/state-${1%%:*}
    say "As user $user"
    mkdir -p "$state" && chmod 777 "$state"
    chown -R "$user" "$work/photos"
    sums >"$work/before"
    expect 0 orientd "$user" ro scan /photos --report /state/plan.csv --html /state/plan.html
    [ "$(grep -c '^/photos/' "$state/plan.csv")" = 20 ] || fail "the plan has not 20 photos"
    grep -q '<html' "$state/plan.html" || fail "there is no report with pictures"
    # The pictures are drawn, so what is thought of them does not matter: a person decides on two.
    awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
        $1 ~ "/0[03].jpg$" { $column["decision"] = "fix"; $column["turn"] = 180 } 1' "$state/plan.csv" >"$state/mine.csv"
    expect 3 orientd "$user" ro apply /state/mine.csv /photos # read-only: both are refused
    sums | cmp - "$work/before" || fail "a read-only folder was written"
    expect 0 orientd "$user" rw apply /state/mine.csv /photos
    [ "$(sums | diff - "$work/before" | grep -c '^<')" = 2 ] || fail "not two photos were fixed"
    expect 0 orientd "$user" rw verify
    expect 0 orientd "$user" rw undo --yes
    sums | cmp - "$work/before" || fail "the photos have not their old bytes"
}

# health: what the image says of a watcher, by its own health check.
health() { "$engine" exec "$watcher" orientd status --check >/dev/null; }

watching() {
    say "The watcher and its health"
    # shellcheck disable=SC2086
    "$engine" run --detach ${RUN:-} --name "$watcher" --user 4321:4321 --read-only --tmpfs /tmp --cap-drop ALL --network none \
        --volume "$work/photos:/photos:ro" "$image" >/dev/null
    for _ in $(seq 60); do health && break || sleep 1; done
    health || { "$engine" logs "$watcher"; fail "the watcher is not well"; }
    "$engine" inspect "$image" | grep -A8 '"Healthcheck"' | grep -q -- --check || fail "the image has no health check"
    if [ "${engine##*/}" = podman ]; then "$engine" healthcheck run "$watcher" || fail "the health check says no"; fi
    expect 0 "$engine" stop --time 30 "$watcher" >/dev/null
    [ "$("$engine" inspect --format '{{.State.ExitCode}}' "$watcher")" = 0 ] || fail "it did not stop in order"
    mkdir -p "$work/state-4322" && chmod 777 "$work/state-4322"
    expect 12 orientd 4322 ro status --check
}

if [ -z "${IMAGE:-}" ]; then
    say "Building $image"
    # shellcheck disable=SC2086  # options are words
    "$engine" build $format ${BUILD:-} ${BASE:+--build-arg BASE=$BASE} -f containers/Containerfile -t "$image" .
fi
say "What is in it"
"$engine" image inspect --format '{{.Architecture}}, {{.Size}} bytes' "$image"
photos
as_user 1000:1000
as_user 1026:100
as_user 65534:65534
watching
say "Everything held"
