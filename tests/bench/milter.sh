#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Messages through the milter protocol: processor time and rate of sealgate-milter and sealgate-vault, less a milter that
# does nothing and less the operation with the key; how much memory a large message costs; how long a stop takes.
#
#   tests/bench/milter.sh [MESSAGES]      in the build folder; 1000 messages for each figure and round by default
#   ONLY=REGEX                            in the environment: only the lines whose name matches, without memory and stops
#
# Times are in microseconds of processor time for each message. Messages of 4 KB come over one connection, one after the
# other, and over eight at the same time.
#
# The same operation costs more processor time in a machine that sleeps between the messages, or does something else, than
# in a loop of its own: caches are cold, wakeups dear. So all three parts are measured in the same run. Each message goes to
# the milter that does nothing first, then to sealgate, so both meet the same conditions ("nothing" is the former's time). That
# milter uses libmilter as it is and answers MAIL; what sealgate saves there counts for sealgate.
# "key" is what the operation took where it ran, by the clock of the vault's own thread around it (keyclock.c, loaded into
# the vault for this). What is left is "over"; the goal is judged by it, since nothing in it is the key's or the
# protocol's. "bare" is the same operation in a loop of its own, which takes turns with the runs, on one thread or on all
# cores, and "o.bare" what is left when that is subtracted instead.
#
# No message comes twice: each has a Message-ID and a text of its own, and what is opened has a content key of its own, as in
# real mail. (The vault remembers what it opened, and says so in log and ledger when the same key comes again.) The signed
# ones are a hundred.
#
# A figure is the median of five rounds, "least" the least of the rounds' "over". "goal" is what sealgate is meant to keep.
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../flow/world.sh"
messages=${1:-1000}
rounds=5
connections=8
sent=0 envelopes= files=
mkdir -p "$work/run"

# The vault with a clock around its keys, and without the budgets that init sets: it uses keys more often than people.
vault_up() {
	sed -i '/^budgets = (/,/^);/d' "$conf"
	start vault env "LD_PRELOAD=$builddir/tests/bench/keyclock.so" "KEYCLOCK=$work/keyclock" \
		"$builddir/sealgate-vault" -c "$conf" -f
	vault=$pid
	wait_for 10 test -S "$dir/run/admin.sock" || fail "the vault did not start"
	wait_for 10 gate key list || fail "the vault does not answer"
}

# text BYTES: a message from alice of about that size
text() {
	printf 'From: Alice <alice@%s>\nTo: carol@%s\nSubject: hello\nMessage-ID: <%%d@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\n%%d\n' \
		"$org" "$partner" "$org"
	head -c "$(($1 * 3 / 4))" /dev/urandom | base64
}

# give_up WHY: figures of what did not work say nothing
give_up() {
	fail "bench: $*"
	finish
}

meter() {
	"$builddir/tests/bench/meter" "$@"
}

# memory PID: its peak in KB
memory() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

# cpu PID…: of these processes so far, us
cpu() {
	echo $(($(meter cpu "$@") / 1000))
}

# drive_all MESSAGES SOCKET DRIVER-OPTIONS… FILE: so many on all connections, which were never sent before
drive_all() {
	local n=$(($1 / connections))
	shift
	[ -z "$envelopes" ] || files=$((n * connections))
	[ -z "$envelopes" ] || "$builddir/tests/bench/envelopes" "$work/alice.cert" "$work/head" "$work/in.txt" "$files" \
		"$work/in.%d.eml" || give_up "no envelopes"
	drive -S "$@" -n $connections -m $n --first $sent ${files:+--files "$files"} >"$work/json" ||
		give_up "not all were accepted: $(cat "$work/json")"
	sent=$((sent + n * connections))
}

# run DRIVER-OPTIONS… FILE: sets $own_us, $null_us (for each message) and $ran_us (for each operation with a key)
run() {
	local own=$(cpu $milter $vault) nulls=$(cpu $null) ran=$(meter key-ran "$work/keyclock") now
	local n=$((messages / connections * connections))
	drive_all "$messages" "$sock" --beside "unix:$work/run/null.sock" "$@"
	own_us=$((($(cpu $milter $vault) - own) / n))
	null_us=$((($(cpu $null) - nulls) / n))
	now=$(meter key-ran "$work/keyclock")
	ran_us=$((${now#* } - ${ran#* }))
	[ $ran_us = 0 ] || ran_us=$(((${now% *} - ${ran% *}) / ran_us / 1000))
}

# median NUMBER…
median() {
	printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

# bare_sign TYPE, bare_verify TYPE: us of the operation with the private and the public key
bare_sign() {
	echo $(($(meter key "$1" 400 $([ $connections = 1 ] && echo 1)) / 1000))
}

bare_verify() {
	openssl speed -seconds 1 "$1" 2>/dev/null | awk '/^ *(rsa)? *[0-9]+ bits/ { r = $NF } END { printf "%d", 1000000 / r }'
}

# is_wanted WHAT: is this line to be measured?
is_wanted() {
	[ -z "${ONLY:-}" ] || printf '%s\n' "$1" | grep -Eq -- "$ONLY"
}

# measure_both …: as measure, with one connection and with eight
measure_both() {
	local what=$1
	shift
	for connections in 1 8; do
		measure "$what, $connections conn." "$@"
	done
}

# measure WHAT KEYTYPE|- sign|verify GOAL|- DRIVER-OPTIONS… FILE: one line
measure() {
	local what=$1 key=$2 operation=$3 goal=$4 nulls= keys= bares= owns= overs= o_bares= bare_us=0 over verdict=
	shift 4
	is_wanted "$what" || return 0
	drive_all 100 "$sock" "$@"
	drive_all "$messages" "$sock" "$@"
	rate=$(field per_second <"$work/json")
	for _ in $(seq $rounds); do
		[ "$key" = - ] || bare_us=$("bare_$operation" "$key")
		run "$@"
		[ "$key" = - ] || bare_us=$(((bare_us + $("bare_$operation" "$key")) / 2))
		[ "$key" = - ] && ran_us=0
		[ "$operation" = sign ] || ran_us=$bare_us # with a public key, in the milter
		nulls="$nulls $null_us" keys="$keys $ran_us" bares="$bares $bare_us" owns="$owns $own_us"
		overs="$overs $((own_us - null_us - ran_us))" o_bares="$o_bares $((own_us - null_us - bare_us))"
	done
	over=$(median $overs)
	[ "$goal" = - ] || verdict="goal $goal: $([ "$over" -le "$goal" ] && echo kept || echo MISSED)"
	printf '%-34s %7s %7s %7s %7s %7s %7s %7s %7s  %s\n' "$what" "${rate%%.*}" "$(median $owns)" "$(median $nulls)" \
		"$(median $keys)" "$over" "$(printf '%s\n' $overs | sort -n | head -1)" "$(median $bares)" \
		"$(median $o_bares)" "$verdict"
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
[ "$failures" = 0 ] || finish
new_key "r3@$org" rsa3072
new_key "ec@$org" p256
text 4096 >"$work/4k.eml"
text 102400 >"$work/100k.eml"
start null "$builddir/nullmilter" "unix:$work/run/null.sock"
null=$pid
wait_for 5 drive --probe -S "unix:$work/run/null.sock"
printf '%-34s %7s %7s %7s %7s %7s %7s %7s %7s\n' "us of CPU for each message" msg/s CPU nothing key over least bare o.bare
echo '(over = CPU - nothing - key, all three from the same run: the goal is judged by it; o.bare = CPU - nothing - bare loop)'
for key in alice:rsa2048 r3:rsa3072 ec:p256; do
	who=${key%%:*}
	sed "s/^From: .*/From: $who@$org/" "$work/4k.eml" >"$work/$who.eml"
	measure_both "sign 4 KB, ${key#*:}" "${key#*:}" sign 300 -u "$who@$org" -f "<$who@$org>" -r "<bob@$org>" "$work/$who.eml"
done

staff_cert alice
printf 'From: carol@%s\r\nTo: alice@%s\r\nMessage-ID: <%%d@x>\r\n' "$partner" "$org" >"$work/head"
files=100
for i in $(seq 0 $((files - 1))); do
	{ printf 'Content-Type: text/plain\n\n%d\n' "$i"; cat "$work/4k.eml"; } >"$work/in.txt"
	openssl cms -sign -in "$work/in.txt" -signer "$work/carol.pem" -inkey "$work/carol.key" -out "$work/signed.body" 2>/dev/null
	{ tr -d '\r' <"$work/head"; cat "$work/signed.body"; } >"$work/signed.$i.eml"
done
sed -i 's/$/\r/' "$work/in.txt" # as real mail is enveloped
measure_both "verify 4 KB, rsa2048" rsa2048 verify 150 -f "<carol@$partner>" -r "<bob@$org>" "$work/signed.%d.eml"
envelopes=yes
{
	cat "$work/head"
	printf 'MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n'
	printf 'Content-Transfer-Encoding: base64\r\n\r\n'
} >"$work/head.new"
mv "$work/head.new" "$work/head"
measure_both "open 4 KB, rsa2048" rsa2048 sign 300 -f "<carol@$partner>" -r "<alice@$org>" "$work/in.%d.eml"
envelopes= files=
rm -f "$work"/in.*.eml

cp "$conf" "$work/conf.keep"
printf 'rules = ( { name = "e"; direction = [ "outbound" ]; encrypt = "required"; sign = "never"; } );\n' >>"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log"
measure_both "encrypt 4 KB to one rsa2048" - sign 250 -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" "$work/4k.eml"
messages=$((messages / 4)) rounds=3
measure "encrypt 100 KB" - sign - -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" "$work/100k.eml"
cp "$work/conf.keep" "$conf"
fresh
measure "sign and encrypt 100 KB, rsa2048" rsa2048 sign - -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" \
	"$work/100k.eml"
measure "sign 100 KB, rsa2048" rsa2048 sign - -u "alice@$org" -f "<alice@$org>" -r "<bob@$org>" "$work/100k.eml"

[ -z "${ONLY:-}" ] || finish
# Stopping with messages in flight.
drive -S "$sock" -n 4 -m 1000 -u "alice@$org" -f "<alice@$org>" -r "<bob@$org>" "$work/4k.eml" >/dev/null 2>&1 &
busy=$!
sleep 0.3
stop "$milter"
printf '%-34s %9s ms  %s\n' "stop of the milter under load" "$took" "goal 1000: $([ "$took" -le 1000 ] && echo kept || echo MISSED)"
kill "$busy" 2>/dev/null
wait "$busy" 2>/dev/null
stop "$vault"
printf '%-34s %9s ms  %s\n' "stop of the vault" "$took" "goal 1000: $([ "$took" -le 1000 ] && echo kept || echo MISSED)"
vault_up
milter_up

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
			echo 'goal 8 MB: kept' || echo 'goal 8 MB: MISSED')"
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
