#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What an auditor asks: search with and without an index, on a copy too; the report and its sums; who could.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

sealgate=$builddir/sealgate
d=$work/gate
conf=$d/sealgate.conf
tool() {
	"$sealgate" -c "$conf" "$@" 2>>"$work/tool.log"
}
status() {
	"$@" >/dev/null 2>>"$work/tool.log"
	echo $?
}

made gate "$d" example.org || fail "init"
start vault "$builddir/sealgate-vault" -c "$conf" -f
wait_for 10 grep -q vault-ready "$work/vault.log" || fail "no vault-ready"
for who in alice bob carol; do
	tool key new "$who@example.org" --type p256 >/dev/null || fail "key new $who"
done
tool key grant alice@example.org --to bob@example.org >/dev/null || fail "grant"
printf 'From: <alice@example.org>\nTo: <bob@example.org>\nSubject: x\n\ntext\n' >"$work/mail"
for i in 1 2 3; do
	tool process --sender alice@example.org --user alice@example.org --rcpt bob@example.org <"$work/mail" >/dev/null || fail "process"
done
sleep 0.7 # what came of a use is written a moment after it
key=$(tool key list alice@example.org --json | field key)

# --- search: the same with an index, without, on a copy with the index elsewhere
tool audit search --event sign --json >"$work/with" || fail "search"
[ -s "$d/ledger/index/000001.index" ] || fail "no index was made"
tool audit search --event sign --json --no-index >"$work/without" || fail "without"
want "the same" "$(cat "$work/with")" "$(cat "$work/without")"
want "three" "$(wc -l <"$work/with")" 3
mkdir "$work/auditor" "$work/copy"
cp "$d"/ledger/*.jsonl "$work/copy/"
"$sealgate" audit search --dir "$work/copy" --index "$work/auditor/index" --event sign --json >"$work/copied" || fail "copy"
want "the copy's" "$(cat "$work/copied")" "$(cat "$work/with")"
[ -s "$work/auditor/index/000001.index" ] || fail "no index elsewhere"
[ ! -e "$work/copy/index" ] || fail "the copy was written to"
printf 'x' | dd of="$work/auditor/index/000001.index" bs=1 seek=200 conv=notrunc 2>/dev/null
want "a damaged index" "$("$sealgate" audit search --dir "$work/copy" --index "$work/auditor/index" --event sign --json)" "$(cat "$work/with")"
want "rebuild" "$(tool audit index --rebuild --json | field built)" 1
want "index in a file" "$(status "$sealgate" audit index --dir "$work/copy" --index "$work/mail")" 66
want "by key" "$(tool audit search --key "$key" --type intent --event sign | wc -l)" 3
want "by rule" "$(tool audit search --rule shipped-internal --type intent | wc -l)" 3
want "by another" "$(status tool audit search --rule nobody)" 65
want "by number" "$(tool audit search --seq 2-4 | wc -l)" 3
want "bad number" "$(status tool audit search --seq 4-2)" 64
want "opened before" "$(status tool audit search --reopen)" 65
tool audit search --recipient bob@example.org --type intent --event sign | wc -l >"$work/n"
want "by recipient" "$(cat "$work/n")" 3
want "the sender is no recipient" "$(status tool audit search --recipient alice@example.org --type intent --event sign)" 65
want "by address" "$(tool audit search --address alice@example.org --type intent --event sign | wc -l)" 3
want "by person" "$(tool audit search --person alice@example.org --type intent --event sign | wc -l)" 3
tool audit search --person bob@example.org --type admin | grep -q grant || fail "the grant of a person"
[ "$(tool audit search --person bob@example.org | wc -l)" -gt "$(tool audit search --address bob@example.org --type intent | wc -l)" ] ||
	fail "a person's records"
mismatch "not in the index" "$(strings -n 5 "$d/ledger/index/000001.index")" 'example|alice'

# --- the report
tool audit report --json >"$work/report" || fail "report"
tool audit verify --json --list >"$work/verify" || fail "verify"
want "uses" "$(field uses <"$work/report")" "$(tool audit verify --json | field intents)"
want "unknown" "$(field unknown <"$work/report")" 0
want "all done" "$(field done <"$work/report")" "$(field uses <"$work/report")"
want "admin" "$(field admin <"$work/report")" "$(tool audit search --type admin | wc -l)"
for list in keys days services rules; do
	want "$list add up" "$(sed "s/.*\"$list\":\[\([^]]*\)\].*/\1/" "$work/report" | grep -o '"sign":[0-9]*' | cut -d: -f2 | awk '{ n += $1 } END { print n }')" 3
done
out=$(tool audit report --person alice@example.org --event sign --list --owners)
match "who signed" "$out" 'intent sign, done key k[0-9a-f]+ of alice@example.org for '
match "the sums of it" "$out" 'uses of keys 3: 3 done'
out=$(tool audit report --recipient bob@example.org --event sign --list)
match "for whom" "$out" 'for bob@example.org'
tool audit report --list --format csv >"$work/csv" || fail "csv"
match "header" "$(head -n 1 "$work/csv")" '^time,seq,type,event,outcome,key,owner,'
want "each line ends as it should" "$(grep -c "$(printf '\r')\$" "$work/csv")" "$(wc -l <"$work/csv")"
match "summary" "$(tool audit report --format csv)" '^key,k[0-9a-f]+,3,0,0'
want "no such format" "$(status tool audit report --format pdf)" 64
"$sealgate" audit report --dir "$work/copy" >/dev/null || fail "an auditor needs no vault"

# --- who could
out=$(tool audit report --could alice@example.org)
match "herself" "$out" '^alice@example.org .*owner of the address'
match "by grant" "$out" '^bob@example.org .*grant '
mismatch "nobody else" "$out" carol
out=$(tool audit report --could alice@example.org --at 2001-01-01)
match "nobody then" "$out" '^nobody'
match "as JSON" "$(tool audit report --could alice@example.org --json)" '"could":\[\{"who":"alice@example.org"'
want "--at alone" "$(status tool audit report --at 2001-01-01)" 64
finish
