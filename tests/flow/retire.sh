#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Retention: whole segments are dropped, and the ledger proves itself from their stubs on.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

sealgate=$builddir/sealgate
vault=$builddir/sealgate-vault
d=$work/gate
conf=$d/sealgate.conf
tool() {
	"$sealgate" -c "$conf" "$@" 2>>"$work/tool.log"
}
status() {
	"$@" >/dev/null 2>>"$work/tool.log"
	echo $?
}

# note ADDR: a record about it
note() {
	want "a record about $1" "$(status tool audit search --event none --address "$1")" 65
}

"$sealgate" init --dir "$d" --domain example.org --json >"$work/init" || fail "init"
field root <"$work/init" >"$work/root"
sed -i 's/^ledger = {/ledger = { segment_size = 65536;/' "$conf"
grep -q 'segment_size' "$conf" || echo 'ledger = { segment_size = 65536; };' >>"$conf"
start vault "$vault" -c "$conf" -f
wait_for 10 grep -q vault-ready "$work/vault.log" || fail "no vault-ready"
want "one segment only" "$(status tool audit retire --segment 9)" 65
want "no order" "$(status tool audit retire)" 64
want "no number" "$(status tool audit retire --segment x)" 64
want "the future" "$(status tool audit retire --before 2999-01-01)" 64

# --- four segments
tool key new alice@example.org --type p256 >/dev/null || fail "key new"
i=0
while [ ! -e "$d/ledger/000005.jsonl" ] && [ $i -lt 2000 ]; do
	i=$((i + 1))
	note "u$i@example.org"
	[ $((i % 50)) = 0 ] && tool audit anchor >>"$work/anchors"
done
[ -e "$d/ledger/000005.jsonl" ] || fail "no fifth segment after $i records"
tool audit anchor >>"$work/anchors"
out=$(tool audit verify --json --anchor "$work/anchors")
want "whole" $? 0
want "five segments" "$(printf '%s\n' "$out" | field segments)" 5
root=$(printf '%s\n' "$out" | field root)
cp -r "$d/ledger" "$work/before"

# --- dropped
out=$(tool audit retire --segment 3 --dry-run) || fail "dry run"
want "would be dropped" "$(printf '%s\n' "$out" | grep -c 'would be dropped')" 3
[ -e "$d/ledger/000001.jsonl" ] || fail "a dry run dropped a segment"
want "nothing so old" "$(status tool audit retire --before 2020-01-01)" 65
out=$(tool audit retire --segment 2 --json) || fail "retire"
match "answer" "$out" '^\{"v":1,"segments":\[\{"segment":1,"first":1,.*"record":[0-9]+\},\{"segment":2,'
for n in 1 2; do
	[ ! -e "$d/ledger/00000$n.jsonl" ] || fail "segment $n is still there"
	[ -s "$d/ledger/00000$n.stub" ] || fail "no stub of segment $n"
done
want "sha256 in the stub" "$(head -n 1 "$d/ledger/000001.stub" | field sha256)" \
	"$(sha256sum <"$work/before/000001.jsonl" | cut -d' ' -f1)"
want "the record tells the stub" "$(tool audit search --event audit.retire --json | tail -n 1 | field stub)" \
	"$(sha256sum <"$d/ledger/000002.stub" | cut -d' ' -f1)"
out=$(tool audit verify --anchor "$work/anchors" --root "$root")
want "whole without them" $? 0
match "what was dropped" "$out" 'dropped +2 files, records up to [0-9]+'
match "by which record" "$out" 'segment 000002 .* dropped 20[^ ]+Z by record [0-9]+'
match "anchors of dropped records" "$out" 'of them for dropped records: their signatures are good'
out=$(tool audit verify --json --anchor "$work/anchors")
match "as JSON" "$out" '"dropped":\[\{"segment":1,.*"record":[0-9]+,"at":"20[^"]+Z"\},\{"segment":2,'
want "another root" "$(status tool audit verify --root "$(printf %064d 1)")" 65
tool audit show >"$work/shown" || fail "show"
want "show begins behind them" "$(head -n 1 "$work/shown" | cut -d' ' -f3)" open
want "search" "$(tool audit search --event audit.pseudonyms --address u5@example.org | wc -l)" 1 # itself
want "search in what is there" "$(tool audit search --event audit.pseudonyms --address "u$i@example.org" | wc -l)" 2
tool audit anchor >>"$work/anchors" || fail "anchor"
want "anchors" "$(status tool audit verify --anchor "$work/anchors")" 0

# --- the vault goes on, and drops more
stop "$pid"
want "the tool by itself" "$(status tool audit retire --segment 3)" 0
start vault "$vault" -c "$conf" -f
wait_for 10 "$sealgate" -c "$conf" key list || fail "the vault does not come back"
want "three stubs" "$(ls "$d/ledger" | grep -c stub)" 3
want "whole" "$(status tool audit verify --anchor "$work/anchors" --root "$root")" 0
want "nothing more" "$(status tool audit retire --segment 3)" 65
want "never the last one" "$(tool audit retire --segment 99 --dry-run | grep -c 'would be')" 1
stop "$pid"

# --- doctored
fresh() {
	rm -rf "$work/copy"
	cp -r "$d/ledger" "$work/copy"
}
doctored() {
	out=$("$sealgate" audit verify --dir "$work/copy")
	want "$1" $? 65
	match "$1" "$out" "DOES NOT VERIFY: .*$2"
}
fresh && cp "$work/before/000002.jsonl" "$work/copy" || fail "copy"
want "put back from an archive" "$(status "$sealgate" audit verify --dir "$work/copy")" 0
sed -i '1s/"bytes":[0-9]*/"bytes":1/' "$work/copy/000002.stub"
doctored "a stub with another number" 'stub of segment 000002 is not the one'
fresh && rm "$work/copy/000001.stub"
doctored "the first stub is gone" 'segment 000001 is missing'
fresh && rm "$work/copy/000002.stub"
doctored "a stub in the middle is gone" 'segment .* is missing'
fresh && mv "$work/copy/000004.jsonl" "$work/copy/x"
doctored "a segment is gone" 'segment .* is missing'
fresh && sed -i '$s/"sig":"3/"sig":"4/' "$work/copy/000001.stub"
doctored "a signature in a stub" 'stub of segment 000001'
fresh && sed -i 2d "$work/copy/000001.stub"
doctored "a line of a stub" 'stub of segment 000001'
rm -rf "$work/copy" && cp -r "$work/before" "$work/copy" && cp "$d/ledger/000001.stub" "$work/copy" &&
	rm "$work/copy/000001.jsonl"
doctored "dropped without a record" 'segment 000001 was dropped without a record'

# --- a vault that died in between
fresh && cp "$work/before/000003.jsonl" "$d/ledger"
want "lines and stub" "$(status tool key list)" 0
note z@example.org
[ ! -e "$d/ledger/000003.jsonl" ] || fail "the removal was not taken up again"
want "whole" "$(status tool audit verify --anchor "$work/anchors")" 0

# --- what others wrote into the ledger does nothing to a terminal
cp -r "$d/ledger" "$work/bad"
sed -i '$s/}$/,"rule":"a\\u001b[2J\\u0007\\\\b'"$(printf '\342\200\256')c$(printf '\302\233')"'d","list":["\\u000d","カ"]}/' \
	"$work/bad/000005.jsonl"
want "escaped" "$("$sealgate" audit show --dir "$work/bad" | sed -n '$s/.* rule=/rule=/p')" \
	'rule=a\x1b[2J\x07\x5cb\u{202e}c\u{9b}d list=\x0d,カ'

# --- with officers: a request first
for who in anna ben; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$who.key" -out "$work/$who.crt" -days 30 \
		-subj "/CN=$who" 2>/dev/null || fail "a certificate for $who"
	cat "$work/$who.key" "$work/$who.crt" >"$work/$who.pem"
done
tool officer init --cert "$work/anna.crt" --cert "$work/ben.crt" >/dev/null || fail "officer init"
want "a dry run asks nobody" "$(tool audit retire --segment 4 --dry-run | grep -c 'would be dropped')" 1
id=$(tool audit retire --segment 4 --reason 'ten years are over' --json | field request)
match "what they read" "$(tool officer show "$id" | tr -d '\r')" '^segment: 4$'
for who in anna ben; do
	want "too few approvals" "$(status tool audit retire --request "$id")" 65
	[ -e "$d/ledger/000004.jsonl" ] || fail "dropped without approval"
	want "$who" "$(status tool officer approve "$id" --yes --key "$work/$who.pem")" 0
done
match "dropped" "$(tool audit retire --request "$id")" '^segment 000004, .*: dropped, record'
[ ! -e "$d/ledger/000004.jsonl" ] || fail "segment 4 is still there"
match "recorded" "$(tool audit search --event officer.run)" "request=$id"
want "whole" "$(status tool audit verify --anchor "$work/anchors" --root "$root")" 0
finish
