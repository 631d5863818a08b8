#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Messages through the milter protocol: processor time and rate of sealgate-milter and sealgate-vault, less a milter that
# does nothing in the same run and less the bare operation with the key; and how much memory a large message costs.
#
#   tests/bench/milter.sh [MESSAGES]      in the build folder; 2000 messages for each figure by default
#
# The processor time is utime+stime of the processes, in ticks of 10 ms; believe differences of 20 us and more.
# Times are in microseconds for each message. The "limit" is what sealgate is meant to keep.
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../flow/world.sh"
messages=${1:-2000}
connections=4
mkdir -p "$work/run"

# text BYTES: a message from alice of about that size
text() {
	printf 'From: Alice <alice@%s>\nTo: carol@%s\nSubject: hello\nMessage-ID: <1@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\n' \
		"$org" "$partner" "$org"
	head -c "$(($1 * 3 / 4))" /dev/urandom | base64
}

# ticks PID…: processor time so far
ticks() {
	local sum=0 pid
	for pid in "$@"; do
		sum=$((sum + $(sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }')))
	done
	echo "$sum"
}

# memory PID: its peak in KB
memory() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

# run SOCKET "PIDS" DRIVER-OPTIONS… FILE: sets $us (for each message) and $rate
run() {
	local socket=$1 pids_of=$2 before after per=$((messages / connections))
	shift 2
	drive -S "$socket" -n $connections -m 25 "$@" >/dev/null
	before=$(ticks $pids_of)
	drive -S "$socket" -n $connections -m $per "$@" >"$work/json" || fail "bench: not all were accepted: $(cat "$work/json")"
	after=$(ticks $pids_of)
	us=$(((after - before) * 10000 / (per * connections)))
	rate=$(field per_second <"$work/json")
}

# bare ALGORITHM: microseconds of the operation with the private key, as openssl does it here and now
bare() {
	openssl speed -seconds 1 "$1" 2>/dev/null | awk '/^ *(rsa)? *[0-9]+ bits/ { r = $(NF - 1) } END { printf "%d", 1000000 / r }'
}

# bare_public ALGORITHM: of the operation with the public key
bare_public() {
	openssl speed -seconds 1 "$1" 2>/dev/null | awk '/^ *(rsa)? *[0-9]+ bits/ { r = $NF } END { printf "%d", 1000000 / r }'
}

# line WHAT MSG/S CPU NOTHING KEY LIMIT
line() {
	local over=$(($3 - $4 - $5))
	printf '%-34s %9s %9s %9s %9s %9s  %s\n' "$1" "$2" "$3" "$4" "$5" "$over" \
		"$([ -z "$6" ] || { [ "$over" -le "$6" ] && echo "limit $6: kept" || echo "limit $6: MISSED"; })"
}

# null_run FILE: sets $nothing
null_run() {
	run "unix:$work/run/null.sock" "$null" -u "alice@$org" -f "<alice@$org>" "$1"
	nothing=$us
}

# new_key ADDRESS TYPE
new_key() {
	gate key new "$1" --type "$2" >/dev/null || fail "key new --type $2"
}

# fresh: both daemons anew, for peaks of memory
fresh() {
	stop "$milter"
	stop "$vault"
	vault_up
	milter_up
}

world
new_key "r3@$org" rsa3072
new_key "ec@$org" p256
text 4096 >"$work/4k.eml"
text 102400 >"$work/100k.eml"
start null "$builddir/nullmilter" "unix:$work/run/null.sock"
null=$pid
wait_for 5 drive --probe -S "unix:$work/run/null.sock"
both="$milter $vault"

printf '%-34s %9s %9s %9s %9s %9s\n' "4 KB, us for each message" msg/s CPU nothing key over
null_run "$work/4k.eml"
line "do-nothing milter" "$rate" "$us" "$us" 0
for key in alice:rsa2048 r3:rsa3072 ec:ecdsap256; do
	who=${key%%:*}
	sed "s/^From: .*/From: $who@$org/" "$work/4k.eml" >"$work/$who.eml"
	null_run "$work/$who.eml"
	run "$sock" "$both" -u "$who@$org" -f "<$who@$org>" -r "<bob@$org>" "$work/$who.eml"
	line "sign, ${key#*:}" "$rate" "$us" "$nothing" "$(bare "${key#*:}")" 300
done

staff_cert alice
printf 'Content-Type: text/plain\n\n' | cat - "$work/4k.eml" >"$work/in.txt"
openssl cms -sign -in "$work/in.txt" -signer "$work/carol.pem" -inkey "$work/carol.key" -out "$work/signed.body" 2>/dev/null
{ printf 'From: carol@%s\nTo: alice@%s\nMessage-ID: <3@x>\n' "$partner" "$org"; cat "$work/signed.body"; } >"$work/signed.eml"
{
	printf 'From: carol@%s\nTo: alice@%s\nMessage-ID: <4@x>\n' "$partner" "$org"
	openssl cms -encrypt -aes-256-cbc -in "$work/in.txt" "$work/alice.cert" 2>/dev/null
} >"$work/enveloped.eml"
null_run "$work/signed.eml"
run "$sock" "$both" -f "<carol@$partner>" -r "<bob@$org>" "$work/signed.eml"
line "verify, rsa2048" "$rate" "$us" "$nothing" "$(bare_public rsa2048)" 150
null_run "$work/enveloped.eml"
run "$sock" "$both" -f "<carol@$partner>" -r "<alice@$org>" "$work/enveloped.eml"
line "open, rsa2048" "$rate" "$us" "$nothing" "$(bare rsa2048)" 300

cp "$conf" "$work/conf.keep"
printf 'rules = ( { name = "e"; direction = [ "outbound" ]; encrypt = "required"; sign = "never"; } );\n' >>"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log"
null_run "$work/4k.eml"
run "$sock" "$both" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" "$work/4k.eml"
line "encrypt to one rsa2048" "$rate" "$us" "$nothing" 0 250
messages=$((messages / 4))
null_run "$work/100k.eml"
run "$sock" "$both" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" "$work/100k.eml"
line "encrypt 100 KB" "$rate" "$us" "$nothing" 0
cp "$work/conf.keep" "$conf"
fresh
both="$milter $vault"
run "$sock" "$both" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" "$work/100k.eml"
line "sign and encrypt 100 KB, rsa2048" "$rate" "$us" "$nothing" "$(bare rsa2048)"
run "$sock" "$both" -u "alice@$org" -f "<alice@$org>" -r "<bob@$org>" "$work/100k.eml"
line "sign 100 KB, rsa2048" "$rate" "$us" "$nothing" "$(bare rsa2048)"

# peak WHAT DRIVER-OPTIONS…: of both daemons with $file of 1 MB and of 200 MB
peak() {
	local what=$1 size small_m small_v large_m large_v
	shift
	for size in 1 200; do
		fresh
		drive -q -S "$sock" --timeout 300000 -o "$work/$what.$size.eml" "$@" "$work/$file.$size.eml" ||
			fail "memory: $what of $size MB was not accepted"
		if [ $size = 1 ]; then
			small_m=$(memory "$milter") small_v=$(memory "$vault")
		else
			large_m=$(memory "$milter") large_v=$(memory "$vault")
		fi
	done
	printf '%-34s milter %7d -> %7d KB  vault %7d -> %7d KB  %s\n' "memory, $what, 1 -> 200 MB" "$small_m" "$large_m" \
		"$small_v" "$large_v" "$([ $((large_m - small_m)) -le 8192 ] && [ $((large_v - small_v)) -le 8192 ] &&
			echo 'limit 8 MB: kept' || echo 'limit 8 MB: MISSED')"
}
for size in 1 200; do
	text $((size * 1000000)) >"$work/plain.$size.eml"
done
file=plain
peak sign -u "alice@$org" -f "<alice@$org>" -r "<bob@$org>"
peak seal -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>"
file=sign
peak verify -f "<alice@$org>" -r "<bob@$org>"
rm -f "$work"/plain.*.eml "$work"/seal.*.eml
for size in 1 200; do
	{
		printf 'From: carol@%s\nTo: alice@%s\nMessage-ID: <5@x>\n' "$partner" "$org"
		sed '1,/^$/d' "$work/sign.$size.eml" | { printf 'Content-Type: text/plain\n\n'; cat; } |
			openssl cms -encrypt -stream -aes-256-cbc "$work/alice.cert" 2>/dev/null
	} >"$work/enveloped.$size.eml"
done
file=enveloped
peak open -f "<carol@$partner>" -r "<alice@$org>"
finish
