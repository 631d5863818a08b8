#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Other people's mail through the daemon with no rule that applies: each comes out as it went in, bit for bit.
# SEALGATE_CORPORA names the folder; it is not part of this tree.
. "$(dirname "$0")/../flow/lib.sh"
corpora=${SEALGATE_CORPORA:-$srcdir/../shared/corpora}/mail
[ -d "$corpora" ] || skip "no corpora"
. "$(dirname "$0")/../flow/world.sh"
world
cp "$conf" "$work/conf.keep"
printf 'rules = ( { name = "none"; } );\npolicy = { shipped_rules = false; };\n' >>"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log" || fail "no reload"

find "$corpora" -type f -name '*.eml' | sort >"$work/list"
count=$(wc -l <"$work/list")
[ "$count" -ge 800 ] || fail "only $count mails"
for form in 0x1fffff 0xfffff; do
	xargs -d '\n' "$builddir/mtadriver" -S "$sock" --protocol $form --one-session -f '<a@outside.example>' \
		-r '<b@elsewhere.example>' <"$work/list" >"$work/json"
	want "protocol $form: accepted" "$(grep -c '"code":250' "$work/json")" "$count"
	want "protocol $form: unchanged" "$(grep -c '"changed":false' "$work/json")" "$count"
done

# The same mails from a person who may sign: what is signed verifies, with openssl as the judge.
cp "$work/conf.keep" "$conf"
kill -USR1 "$milter"
wait_for 5 sh -c "[ \"\$(grep -c event=reloaded '$work/milter.log')\" = 2 ]" || fail "no second reload"
mkdir "$work/mine" "$work/signed"
number=0
while read -r file; do
	number=$((number + 1))
	LC_ALL=C awk -v from="From: Alice <alice@$org>" '
		NR == 1 && /\r$/ { cr = "\r" }
		!body && /^\r?$/ { if (!done) print from cr; body = 1 }
		!body && skip && /^[ \t]/ { next }
		{ skip = 0 }
		!body && tolower($0) ~ /^(from|sender|resent-[a-z-]*)[ \t]*:/ { skip = 1; next }
		!body && !done && !/^From / { print from cr; done = 1 }
		{ print }' "$file" >"$work/mine/$number.eml"
done <"$work/list"
(cd "$work/mine" && ls | sort -n | xargs -d '\n' "$builddir/mtadriver" -S "$sock" --one-session -u "alice@$org" \
	-f "<alice@$org>" -r "<bob@$org>" -o "$work/signed/%d.eml") >"$work/json"
signed=0
while read -r line; do
	file=$(printf '%s\n' "$line" | field file)
	case $line in
	*'"code":5'*) match "refused: $file" "$line" 'cannot be signed safely|malformed' ;;
	*'"code":4'*) fail "deferred: $line" ;;
	*'"body_changed":true'*)
		signed=$((signed + 1))
		openssl cms -verify -in "$work/signed/$file" -noverify -out /dev/null 2>"$work/openssl.txt" ||
			fail "$file: $(sed -n "${file%.eml}p" "$work/list") does not verify: $(head -n 1 "$work/openssl.txt")"
		;;
	esac
done <"$work/json"
[ "$signed" -ge 400 ] || fail "only $signed mails were signed"
echo "note: $count mails passed twice, $signed signed and verified"
finish
