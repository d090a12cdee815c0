#!/usr/bin/env bash
# launch/fetch-weights from a folder of this machine: names, resuming, verifying.
set -euo pipefail
command -v curl >/dev/null || { echo "skipped: curl, which reads file:// addresses, is not installed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $1"; exit 1; }
fetch=$work/bin/fetch-weights
mkdir "$work/bin" "$work/server"

# A file of known content in place of the published one, whose digits are those of that content.
seq 1 20000 >"$work/content"
digits=$(sha256sum "$work/content" | cut -c 1-8)
sed "s/resnet18-f37072fd/resnet18-$digits/" "$LOCKSTEP_SOURCE_DIR/launch/fetch-weights" >"$fetch"
chmod +x "$fetch"
file=resnet18-$digits.pth
cp "$work/content" "$work/server/$file"
export LOCKSTEP_WEIGHTS_URL=file://$work/server

# Claims: the exit status of fetch-weights with these arguments.
ends_with() {
  local expected=$1 status=0
  shift
  (cd "$work" && "$fetch" "$@") >"$work/out" 2>"$work/err" || status=$?
  [ "$status" = "$expected" ] || fail "$* ended with $status, not $expected: $(cat "$work/err")"
}

ends_with 0 resnet18 --output got
cmp "$work/content" "$work/got/$file" || fail "the file is not what was served"
[ "$(cat "$work/out")" = "got/$file" ] || fail "the path was not printed"

mv "$work/server/$file" "$work/away"
ends_with 0 resnet18 --output got  # nothing to download
rm "$work/got/$file"
ends_with 1 resnet18 --output got
grep -q 'the download failed' "$work/err" || fail "a missing file: $(cat "$work/err")"
mv "$work/away" "$work/server/$file"

head -c 5000 "$work/content" >"$work/got/$file.part"
ends_with 0 resnet18 --output=got
cmp "$work/content" "$work/got/$file" || fail "resuming did not give the file"
[ ! -e "$work/got/$file.part" ] || fail "the part is still there"

rm "$work/got/$file"
echo other >"$work/server/$file"
ends_with 4 resnet18 --output got
[ -z "$(ls "$work/got")" ] || fail "a damaged file was left"

ends_with 0 vgg16_bn alexnet inception_v3 --dry-run
[ "$(sed -n 1p "$work/out")" = "$LOCKSTEP_WEIGHTS_URL/vgg16_bn-6c64b313.pth -> data/weights/vgg16_bn-6c64b313.pth" ] ||
  fail "dry run: $(cat "$work/out")"
[ "$(sed -n 3p "$work/out")" = "$LOCKSTEP_WEIGHTS_URL/inception_v3_google-0cc3c7bd.pth -> data/weights/inception_v3_google-0cc3c7bd.pth" ] ||
  fail "dry run: $(cat "$work/out")"
[ ! -e "$work/data" ] || fail "a dry run wrote something"

ends_with 0 --list
[ "$(wc -l <"$work/out")" = 20 ] || fail "--list has $(wc -l <"$work/out") lines"
[ "$(awk '{ print $1 }' "$work/out" | sort -u | wc -l)" = 20 ] || fail "--list has a name twice"

ends_with 2
ends_with 2 resnet1000
ends_with 2 resnet18 --bogus
ends_with 2 resnet18 --output
